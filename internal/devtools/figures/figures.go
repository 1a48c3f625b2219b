// Package figures measures how a tree of Go code is built: the size of its packages, types and functions, and who imports whom. It only
// parses, so that it measures any checkout with the same code, an old one included.
package figures

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The limits that the house keeps to.
const (
	MaxLines    = 1500 // of a package, without tests
	MaxMethods  = 25   // of a type
	MaxFunction = 30   // lines, of nine functions in ten
)

// A Tree is what was measured of one module. Tests, generated files, testdata and nested modules do not count.
type Tree struct {
	Packages  []Package // by path
	Types     []Type    // with methods, most first
	Functions []int     // lengths in lines, ascending
}

// A Package is one folder of Go files.
type Package struct {
	Path     string // below the module's root; "." is the root
	Lines    int
	Exported int      // names at the top level
	Imports  []string // packages of the same module, by path, sorted
	FanIn    int      // packages of the same module that import it
}

// A Type is a type with methods.
type Type struct {
	Package string
	Name    string
	Methods int
}

// Measure measures the module whose go.mod is in dir.
func Measure(dir string) (Tree, error) {
	module, err := modulePath(dir)
	if err != nil {
		return Tree{}, err
	}
	m := measure{module: module, packages: map[string]*Package{}, methods: map[[2]string]int{}}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != dir && skipped(path, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		folder, err := filepath.Rel(dir, filepath.Dir(path))
		if err != nil {
			return err
		}
		return m.file(path, filepath.ToSlash(folder))
	})
	return m.tree(), err
}

// skipped reports whether a folder is none of the module's packages.
func skipped(path, name string) bool {
	if name == "testdata" || name == "vendor" || name == "node_modules" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

func modulePath(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(path), nil
		}
	}
	return "", fmt.Errorf("%s/go.mod names no module", dir)
}

// measure is a measurement under way.
type measure struct {
	module    string
	packages  map[string]*Package
	methods   map[[2]string]int // by package and type
	functions []int
}

func (m *measure) file(path, folder string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if ast.IsGenerated(file) {
		return nil
	}
	p := m.packages[folder]
	if p == nil {
		p = &Package{Path: folder}
		m.packages[folder] = p
	}
	p.Lines += bytes.Count(text, []byte("\n"))
	for _, imp := range file.Imports {
		name, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return err
		}
		if own, ok := strings.CutPrefix(name, m.module+"/"); ok && !slices.Contains(p.Imports, own) {
			p.Imports = append(p.Imports, own)
		}
	}
	for _, d := range file.Decls {
		m.decl(files, p, d)
	}
	return nil
}

func (m *measure) decl(files *token.FileSet, p *Package, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		m.functions = append(m.functions, files.Position(d.End()).Line-files.Position(d.Pos()).Line+1)
		if d.Recv != nil {
			m.methods[[2]string{p.Path, receiver(d.Recv.List[0].Type)}]++
		} else if d.Name.IsExported() {
			p.Exported++
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				p.Exported += exported(s.Name)
			case *ast.ValueSpec:
				p.Exported += exported(s.Names...)
			}
		}
	}
}

func exported(names ...*ast.Ident) int {
	n := 0
	for _, name := range names {
		if name.IsExported() {
			n++
		}
	}
	return n
}

// receiver is the name of a method's type.
func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return "?"
}

func (m *measure) tree() Tree {
	t := Tree{Functions: m.functions}
	slices.Sort(t.Functions)
	for _, p := range m.packages {
		slices.Sort(p.Imports)
		for _, imp := range p.Imports {
			if q := m.packages[imp]; q != nil {
				q.FanIn++
			}
		}
	}
	for _, p := range m.packages {
		t.Packages = append(t.Packages, *p)
	}
	slices.SortFunc(t.Packages, func(a, b Package) int { return strings.Compare(a.Path, b.Path) })
	for name, n := range m.methods {
		t.Types = append(t.Types, Type{name[0], name[1], n})
	}
	slices.SortFunc(t.Types, func(a, b Type) int {
		return cmp.Or(b.Methods-a.Methods, strings.Compare(a.Package, b.Package), strings.Compare(a.Name, b.Name))
	})
	return t
}

// Percentile is the length of the function that so many percent are no longer than; 100 is the longest.
func (t Tree) Percentile(percent int) int {
	n := len(t.Functions)
	if n == 0 {
		return 0
	}
	return t.Functions[max((n*percent+99)/100-1, 0)]
}

// Lines is the number of lines of all packages.
func (t Tree) Lines() int {
	n := 0
	for _, p := range t.Packages {
		n += p.Lines
	}
	return n
}

// String is the figures as a table for people.
func (t Tree) String() string {
	w := &strings.Builder{}
	fmt.Fprintf(w, "%-50s %6s %9s %8s %7s\n", "package", "lines", "exported", "imports", "fan-in")
	for _, p := range t.Packages {
		over := ""
		if p.Lines > MaxLines {
			over = "  over the limit"
		}
		fmt.Fprintf(w, "%-50s %6d %9d %8d %7d%s\n", p.Path, p.Lines, p.Exported, len(p.Imports), p.FanIn, over)
	}
	fmt.Fprintf(w, "%d packages, %d lines\n", len(t.Packages), t.Lines())
	fmt.Fprintf(w, "\n%d functions: p50 %d, p90 %d, longest %d lines\n", len(t.Functions), t.Percentile(50), t.Percentile(90), t.Percentile(100))
	fmt.Fprintf(w, "\nmost methods\n")
	for _, m := range t.Types[:min(len(t.Types), 10)] {
		over := ""
		if m.Methods > MaxMethods {
			over = "  over the limit"
		}
		fmt.Fprintf(w, "%-50s %6d%s\n", m.Package+"."+m.Name, m.Methods, over)
	}
	return w.String()
}
