package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/candlefish/deploy-action/internal/deploy"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
)

// rbac prints the manifest of a ServiceAccount for releases that run in the
// cluster.
func rbac(_ context.Context, out io.Writer, args []string) error {
	values, err := rbacSpec().Parse(args, os.Getenv)
	if err != nil {
		return &exit.Error{Status: exit.BadInput, Err: err}
	}
	_, err = fmt.Fprint(out, deploy.RBAC(values.String("namespace"), values.String("account")))
	return err
}

// rbacSpec takes its inputs from those of a deploy, with their defaults and forms.
func rbacSpec() input.Spec {
	s := input.Spec{Name: "rbac"}
	for _, d := range deploy.Spec().Inputs {
		switch d.Name {
		case "namespace":
			s.Inputs = append(s.Inputs, d)
		case "service-account":
			d.Name, d.Help = "account", "Name of the ServiceAccount and of its Role"
			s.Inputs = append(s.Inputs, d)
		}
	}
	return s
}
