package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Build puts the actions' binaries into the folder out, static and without
// paths of this machine in them.
func Build(ctx context.Context, out io.Writer) error {
	return runGo(ctx, out, []string{"CGO_ENABLED=0"}, "build", "-trimpath", "-ldflags=-s -w", "-o", "out/", "./actions/...")
}

// Lint runs the linters. Their versions are in tools/go.mod, a module of its own
// so that the product's dependencies stay few.
func Lint(ctx context.Context, out io.Writer) error {
	workflows, err := filepath.Glob(".github/workflows/*.yml")
	if err != nil {
		return err
	}
	return errors.Join(
		runGo(ctx, out, nil, append([]string{"tool", "actionlint"}, workflows...)...),
		runGo(ctx, out, nil, "tool", "-modfile=tools/go.mod", "golangci-lint", "run", "./..."),
	)
}

// Vulnerabilities looks the module's dependencies up in Go's vulnerability
// database, which needs the network.
func Vulnerabilities(ctx context.Context, out io.Writer) error {
	return runGo(ctx, out, nil, "tool", "-modfile=tools/go.mod", "govulncheck", "./...")
}

// Check runs what a change must pass before it is proposed: fresh generated
// files, tidy modules, lint, tests.
func Check(ctx context.Context, out io.Writer) error {
	stale, err := Stale(".")
	if len(stale) > 0 {
		err = errors.Join(err, fmt.Errorf("run mage generate: stale are %s", strings.Join(stale, ", ")))
	}
	return errors.Join(err,
		runGo(ctx, out, nil, "mod", "tidy", "-diff"),
		Lint(ctx, out),
		Test(ctx, out),
	)
}
