package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/candlefish/deploy-action/internal/devtools/gobuild"
)

// Build puts the actions' binaries into the folder out, static and without
// paths of this machine in them.
func Build(ctx context.Context, out io.Writer) error {
	return runGo(ctx, out, []string{"CGO_ENABLED=0"}, "build", "-trimpath", "-ldflags=-s -w", "-o", "out/", "./actions/...")
}

// Lint runs the linters over workflows and code.
func Lint(ctx context.Context, out io.Writer) error {
	return errors.Join(actionlint(ctx, out), golangci(ctx, out))
}

func actionlint(ctx context.Context, out io.Writer) error {
	var workflows []string
	for _, pattern := range []string{".github/workflows/*.yml", "examples/*.yml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		workflows = append(workflows, files...)
	}
	return runGo(ctx, out, gobuild.Env(), append([]string{"tool", "actionlint"}, workflows...)...)
}

// golangci builds golangci-lint, which takes minutes the first time, and runs it.
// Its version is in tools/go.mod, a module of its own so that the product's
// dependencies stay few.
func golangci(ctx context.Context, out io.Writer) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("find a place for the linter: %w", err)
	}
	p := gobuild.Program{
		Name: "golangci-lint", Dir: "tools", Packages: []string{"github.com/golangci/golangci-lint/v2/cmd/golangci-lint"},
		Out: filepath.Join(cache, "candlefish-deploy-action", "golangci-lint"), Flags: []string{"-ldflags=-s -w"},
	}
	if err := os.MkdirAll(filepath.Dir(p.Out), 0o755); err != nil {
		return err
	}
	if err := p.Build(ctx, func(line string) { fmt.Fprintln(out, line) }); err != nil {
		return err
	}
	return run(command(ctx, gobuild.Env(), p.Out, "run", "--allow-parallel-runners", "./..."), out)
}

// Vulnerabilities looks the module's dependencies up in Go's vulnerability
// database, which needs the network.
func Vulnerabilities(ctx context.Context, out io.Writer) error {
	return runGo(ctx, out, gobuild.Env(), "tool", "-modfile=tools/go.mod", "govulncheck", "./...")
}
