package repotest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/candlefish/deploy-action/internal/devtools/figures"
)

// limits are what the code keeps to. What is above its limit today has the number of today here as an
// exception. It may shrink and not grow, and the exception ends when the limit is reached.
var limits = struct {
	lines, methods, imports, function map[string]int
}{
	lines:    map[string]int{},
	methods:  map[string]int{},
	imports:  map[string]int{"internal/deploy": 19},
	function: map[string]int{},
}

// maxImports is how many packages of the module the deploy use case may join.
const maxImports = 12

func TestLimits(t *testing.T) {
	t.Parallel()
	tree, err := figures.Measure(root)
	if err != nil {
		t.Fatal(err)
	}
	packages, methods, deploy := map[string]int{}, map[string]int{}, map[string]int{}
	for _, p := range tree.Packages {
		packages[p.Path] = p.Lines
		if p.Path == "internal/deploy" {
			deploy[p.Path] = len(p.Imports)
		}
	}
	for _, m := range tree.Types {
		methods[m.Package+"."+m.Name] = m.Methods
	}
	for _, complaint := range slices.Concat(
		broken("lines", packages, figures.MaxLines, limits.lines),
		broken("methods", methods, figures.MaxMethods, limits.methods),
		broken("imports of this module", deploy, maxImports, limits.imports),
		broken("lines at the 90th percentile", map[string]int{"functions": tree.Percentile(90)}, figures.MaxFunction-1, limits.function),
	) {
		t.Error(complaint)
	}
	if len(deploy) == 0 {
		t.Error("internal/deploy is not there")
	}
}

// broken compares what was measured with its limit and with the exceptions, and says what does not hold.
func broken(unit string, measured map[string]int, limit int, over map[string]int) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for name, n := range measured {
		most, excepted := over[name]
		switch {
		case !excepted && n > limit:
			say("%s has %d %s, at most %d are allowed", name, n, unit, limit)
		case excepted && n > most:
			say("%s has %d %s, more than the %d that it had", name, n, unit, most)
		case excepted && n <= limit:
			say("%s has %d %s and keeps the limit: delete its exception", name, n, unit)
		}
	}
	for name := range over {
		if _, there := measured[name]; !there {
			say("%s is not there any more: delete its exception", name)
		}
	}
	return found
}

func TestExceptionsOnlyShrink(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		n, limit int
		over     map[string]int
		want     bool
	}{
		"within":            {10, 10, nil, false},
		"over":              {11, 10, nil, true},
		"as before":         {12, 10, map[string]int{"x": 12}, false},
		"grown":             {13, 10, map[string]int{"x": 12}, true},
		"shrunk":            {11, 10, map[string]int{"x": 12}, false},
		"keeps it now":      {10, 10, map[string]int{"x": 12}, true},
		"other is not here": {10, 10, map[string]int{"y": 12}, true},
	} {
		if got := broken("lines", map[string]int{"x": test.n}, test.limit, test.over); (len(got) > 0) != test.want {
			t.Errorf("%s: %q, want something: %t", name, got, test.want)
		}
	}
}
