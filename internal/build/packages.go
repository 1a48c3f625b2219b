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

const stagetest = "github.com/candlefish/deploy-action/internal/stage/stagetest"

// A pkg is what go list says of a package.
type pkg struct {
	ImportPath   string
	Dir          string
	Deps         []string
	TestGoFiles  []string
	XTestGoFiles []string
	TestImports  []string
	XTestImports []string
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
			return pkgs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		pkgs = append(pkgs, p)
	}
}

func (p pkg) imports() []string { return slices.Concat(p.Deps, p.TestImports, p.XTestImports) }

// needsStage reports whether the package's tests run on the stage.
func (p pkg) needsStage() bool { return slices.Contains(p.imports(), stagetest) }

// pure reports whether the package has tests and nothing in it reaches for a
// cluster: then running them with the race detector is cheap.
func (p pkg) pure() bool {
	return len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 && !slices.ContainsFunc(p.imports(), func(path string) bool {
		return strings.HasPrefix(path, "k8s.io/") || strings.HasPrefix(path, "sigs.k8s.io/") || strings.Contains(path, "/internal/stage") ||
			strings.Contains(path, "/internal/kube")
	})
}

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
