package budget

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The list of audits and the tables beside it agree with what the packages of
// Lighthouse have: testdata has the audits of each one's default configuration.
func TestAuditsOfRealPackages(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/lighthouse-*.txt")
	if err != nil || len(files) != lastMajor-firstMajor+1 {
		t.Fatalf("%d lists, %v", len(files), err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "lighthouse-"), ".txt")
		names := strings.Fields(string(raw))
		for _, name := range names {
			seen[name] = true
		}
		for name := range audits() {
			if has(version, name) != slices.Contains(names, name) {
				t.Errorf("Lighthouse %s, %s: has says %v", version, name, has(version, name))
			}
		}
	}
	if len(seen) != len(audits()) {
		t.Errorf("the packages have %d audits, the list %d", len(seen), len(audits()))
	}
}

// Each default limit of Lighthouse is for something that each version has, or the table
// says what became of it.
func TestDefaultsInEachVersion(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"10.4.0", "11.7.1", "12.8.2", "13.5.0"} {
		for _, b := range Defaults() {
			audit := auditOf(b.Metric)
			if b.Meter != Lighthouse || has(version, audit) {
				continue
			}
			g, ok := successors[audit]
			switch {
			case !ok:
				t.Errorf("Lighthouse %s has no %s, and nothing says what became of it", version, audit)
			case g.successor != "" && !has(version, g.successor):
				t.Errorf("Lighthouse %s has no %s, the successor of %s", version, g.successor, audit)
			case g.successor == "" && g.why == "":
				t.Errorf("%s has neither a successor nor a reason", audit)
			}
		}
	}
}

func TestHas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version, audit string
		want           bool
	}{
		{"9.6.8", "viewport", true},
		{"12.0.0", "viewport", true},
		{"13.0.0", "viewport", false},
		{"14.1.0", "viewport", false},
		{"14.1.0", "speed-index", true},
		{"11.0.0", "pwa", true},
		{"12.0.0", "pwa", false},
		{"13.5.0", "performance", true},
		{"13.5.0", "no-such-audit", false},
		{"", "viewport", true},
		{"-1", "viewport", true},
		{"x.y", "viewport", true},
	} {
		if got := has(c.version, c.audit); got != c.want {
			t.Errorf("has(%q, %q) = %v", c.version, c.audit, got)
		}
	}
}
