package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/candlefish/deploy-action/internal/devtools/gatetest"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/github/githubtest/checkstest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"perf-gate": main})
}

// Whole runs of the program in a repository of the script, against a GitHub and a
// Slack in this process, with meters that need no tool, and with stand-ins for tools.
// The scripts have these commands beside testscript's own and those of gatetest, which
// counts checks and statuses of deployments too:
//
//	deployed ENVIRONMENT          adds a deployment of the commit that is checked out
//	secret TEXT                   names a credential that unseen looks for
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "../../testdata/script/perf-gate", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error { return setup(t, env) },
		Cmds:  gatetest.Commands(map[string]gatetest.Command{"deployed": deployed, "secret": secret}),
	})
}

func setup(t *testing.T, env *testscript.Env) error {
	w, err := gatetest.New(t, env, "perf-gate")
	if err != nil {
		return err
	}
	env.Setenv("METERS", "load\nservertime\nsamples")
	checks := checkstest.New(w.GitHub)
	var commits []string
	w.Committed = func(sha string) {
		checks.AddCommit(sha)
		commits = append(commits, sha)
	}
	w.Texts["checks"] = func() []string {
		var all []string
		for _, commit := range commits {
			for _, run := range checks.Runs(commit) {
				all = append(all, fmt.Sprintf("%+v", run))
			}
		}
		return all
	}
	w.Texts["statuses"] = func() []string {
		var all []string
		for _, d := range w.GitHub.Deployments(gatetest.Repository) {
			for _, status := range d.Statuses {
				all = append(all, fmt.Sprintf("%s %+v", d.Environment, status))
			}
		}
		return all
	}
	return nil
}

func deployed(ts *testscript.TestScript, neg bool, args []string) {
	gatetest.Want(ts, !neg && len(args) == 1, "deployed ENVIRONMENT")
	gatetest.Of(ts).GitHub.AddDeployment(gatetest.Repository, githubtest.Deployment{
		Environment: args[0], SHA: gatetest.Git(ts, "rev-parse", "HEAD"), Statuses: []githubtest.Status{{State: "success"}},
	})
}

func secret(ts *testscript.TestScript, neg bool, args []string) {
	gatetest.Want(ts, !neg && len(args) > 0 && !slices.Contains(args, ""), "secret TEXT...")
	w := gatetest.Of(ts)
	w.Secrets = append(w.Secrets, args...)
}
