package repotest

import (
	"testing"

	"github.com/candlefish/deploy-action/internal/devtools/figures"
)

// maxImports is how many packages of the module the deploy use case may join.
const maxImports = 12

// Nothing is above its limit, and nothing has an exception: what grows over one
// is cut into parts that have reasons of their own.
func TestLimits(t *testing.T) {
	t.Parallel()
	tree, err := figures.Measure(root)
	if err != nil {
		t.Fatal(err)
	}
	deploy := false
	for _, p := range tree.Packages {
		if p.Lines > figures.MaxLines {
			t.Errorf("%s has %d lines, at most %d are allowed", p.Path, p.Lines, figures.MaxLines)
		}
		if p.Path == "internal/deploy" {
			deploy = true
			if n := len(p.Imports); n > maxImports {
				t.Errorf("%s imports %d packages of this module, at most %d are allowed", p.Path, n, maxImports)
			}
		}
	}
	if !deploy {
		t.Error("internal/deploy is not there")
	}
	for _, m := range tree.Types {
		if m.Methods > figures.MaxMethods {
			t.Errorf("%s.%s has %d methods, at most %d are allowed", m.Package, m.Name, m.Methods, figures.MaxMethods)
		}
	}
	if n := tree.Percentile(90); n >= figures.MaxFunction {
		t.Errorf("nine of ten functions have up to %d lines, want fewer than %d", n, figures.MaxFunction)
	}
}
