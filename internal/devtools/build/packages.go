package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const sandboxtest = "github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"

const toolboxtest = "github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"

// A pkg is what go list says of a package.
type pkg struct {
	ImportPath   string
	Dir          string
	Deps         []string
	TestGoFiles  []string
	XTestGoFiles []string
	TestImports  []string
	XTestImports []string

	needs []string // all that its code and, through this module, its tests import
}

func listPackages(ctx context.Context) ([]pkg, error) {
	text, err := output(ctx, "go", "list", "-json=ImportPath,Dir,Deps,TestGoFiles,XTestGoFiles,TestImports,XTestImports", "./...")
	if err != nil {
		return nil, err
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(text)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return withNeeds(pkgs), nil
		}
		if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		pkgs = append(pkgs, p)
	}
}

// withNeeds fills in needs: go list says what code needs, but of tests only what
// they name.
func withNeeds(pkgs []pkg) []pkg {
	deps := map[string][]string{}
	for _, p := range pkgs {
		deps[p.ImportPath] = p.Deps
	}
	for i, p := range pkgs {
		needs := slices.Concat(p.Deps, p.TestImports, p.XTestImports)
		for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
			needs = append(needs, deps[path]...)
		}
		pkgs[i].needs = needs
	}
	return pkgs
}

// needsSandbox reports whether the package's tests run on the sandbox.
func (p pkg) needsSandbox() bool { return slices.Contains(p.needs, sandboxtest) }

// needsTools reports whether the package's tests run the real tools of the gates.
func (p pkg) needsTools() bool { return slices.Contains(p.needs, toolboxtest) }

// pure reports whether the package has tests that need neither a cluster nor its
// libraries nor the Go command: then the race detector costs little.
func (p pkg) pure() bool {
	tested := len(p.TestGoFiles)+len(p.XTestGoFiles) > 0
	return tested && !slices.ContainsFunc(elsewhere, func(path string) bool { return strings.Contains(p.ImportPath, path) }) && !slices.ContainsFunc(p.needs, func(path string) bool {
		return strings.HasPrefix(path, "k8s.io/") || strings.Contains(path, "/devtools/sandbox")
	})
}

// elsewhere are packages whose tests wait for programs of their own, or compute for
// a long time alone: the race detector makes them slow and sees nothing there.
var elsewhere = []string{"/internal/devtools/build", "/internal/devtools/multitool", "/internal/browser", "/internal/isolate", "/internal/toolbox", "/internal/sarif/emit", "/internal/security/view/htmlreport", "/internal/devtools/bench/", "/internal/stat"}

var fuzzFunc = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// fuzzTargets returns the names of the package's fuzz targets.
func (p pkg) fuzzTargets() ([]string, error) {
	var names []string
	for _, file := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		text, err := os.ReadFile(filepath.Join(p.Dir, file))
		if err != nil {
			return nil, err
		}
		for _, m := range fuzzFunc.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names, nil
}
