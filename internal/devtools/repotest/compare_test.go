package repotest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testName matches a test that docs/compare.md names.
var testName = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")

// Each row of docs/compare.md names tests that exist, or says that the tool does not do
// it.
func TestComparedCapabilitiesHaveTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs/compare.md"))
	if err != nil {
		t.Fatal(err)
	}
	exist, rows := testNames(t), 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 || strings.HasPrefix(strings.TrimSpace(cells[0]), "Capability") {
			continue
		}
		rows++
		named := testName.FindAllStringSubmatch(cells[2], -1)
		if refused := strings.HasPrefix(strings.TrimSpace(cells[1]), "**No.**"); len(named) == 0 && !refused {
			t.Errorf("%s: names no test, and does not say No", cells[0])
		}
		for _, m := range named {
			if !exist[m[1]] {
				t.Errorf("%s: %s does not exist", cells[0], m[1])
			}
		}
	}
	if rows < 40 {
		t.Errorf("the table has %d rows: it is not the whole list", rows)
	}
}

// testNames returns the names of all tests of this module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
	names := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
