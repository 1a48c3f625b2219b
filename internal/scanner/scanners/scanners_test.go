package scanners

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// always are the scanners that are part of every level and that no level needs: rules
// of our own for workflows, which ask for no tool, and the reports of other tools that
// a user gives.
var always = []string{"workflow-rules", "sarif"}

func TestNeedsNameScanners(t *testing.T) {
	t.Parallel()
	needed := map[string]bool{}
	for _, level := range verdict.Levels() {
		for _, n := range verdict.NeedsOf(level) {
			for _, name := range n.Tools {
				needed[name] = true
			}
		}
	}
	known := map[string]bool{}
	for _, s := range All() {
		name := s.About().Name
		if known[name] {
			t.Errorf("%s is listed twice", name)
		}
		known[name] = true
		if needed[name] == slices.Contains(always, name) {
			t.Errorf("%s is needed by a level: %t; it is part of every level: %t", name, needed[name], !needed[name])
		}
	}
	for name := range needed {
		if !known[name] {
			t.Errorf("a level needs %s and there is no scanner", name)
		}
	}
	for _, name := range always {
		if !known[name] {
			t.Errorf("%s is part of every level and there is no scanner", name)
		}
	}
}

func TestScannersDescribeThemselves(t *testing.T) {
	t.Parallel()
	for _, s := range All() {
		about := s.About()
		_, program := s.(scanner.Program)
		_, check := s.(scanner.Check)
		if program == check || program != (about.Tool != "") {
			t.Errorf("%s: program %t, check %t, tool %q", about.Name, program, check, about.Tool)
		}
		if about.Does == "" || !slices.Contains(finding.Classes(), about.Class) || strings.ToLower(about.Name) != about.Name {
			t.Errorf("%+v", about)
		}
		applies, why := s.Applies(scanner.Job{})
		if applies || why == "" {
			t.Errorf("%s applies to nothing, because %q", about.Name, why)
		}
	}
}

// TestEachScannerPlants makes sure that a scanner which reports nothing is noticed:
// it plants a problem, or says why it cannot.
func TestEachScannerPlants(t *testing.T) {
	t.Parallel()
	for _, s := range All() {
		p, name := s.Plant(), s.About().Name
		something := len(p.Files)+len(p.Images) > 0 || p.Serve != nil
		if p.Without != "" {
			if something || p.Found != nil || name != "sarif" {
				t.Errorf("%s plants nothing: %s", name, p.Without)
			}
			continue
		}
		if !something || p.Found == nil {
			t.Errorf("%s plants nothing and does not say why", name)
		} else if p.Found(finding.Sighting{}) {
			t.Errorf("%s takes anything for its plant", name)
		}
	}
}

// TestSettingsAreAll looks for the keys with which adapters read Job.Settings.
func TestSettingsAreAll(t *testing.T) {
	t.Parallel()
	var read []string
	for _, folder := range []string{"code", "dependencies", "images", "network", "secrets", "workflows", "anysarif"} {
		read = append(read, settingsOf(t, "../"+folder)...)
	}
	slices.Sort(read)
	if d := cmp.Diff(Settings(), slices.Compact(read)); d != "" {
		t.Errorf("settings (-listed +read):\n%s", d)
	}
}

// settingsOf returns the values of the constants that index a Settings.
func settingsOf(t *testing.T, folder string) []string {
	t.Helper()
	constants, used := map[string]string{}, []string{}
	err := fs.WalkDir(os.DirFS(folder), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), folder+"/"+path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if i < len(n.Values) {
						if text, ok := n.Values[i].(*ast.BasicLit); ok && text.Kind == token.STRING {
							constants[name.Name] = strings.Trim(text.Value, `"`)
						}
					}
				}
			case *ast.IndexExpr:
				if of, ok := n.X.(*ast.SelectorExpr); ok && of.Sel.Name == "Settings" {
					key, ok := n.Index.(*ast.Ident)
					if !ok {
						t.Errorf("%s: a setting is not named by a constant", path)
						return true
					}
					used = append(used, key.Name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, name := range used {
		values = append(values, constants[name])
	}
	return values
}
