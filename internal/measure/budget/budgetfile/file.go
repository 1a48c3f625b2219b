// Package budgetfile reads the files in which people write limits: Lighthouse's
// budget.json, lighthouse-ci's lighthouserc, and performance-budgets.yaml, which is the
// gate's own. It is strict: what it does not know it refuses by name, and it reports
// all that is wrong with a file at once.
package budgetfile

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/measure/budget"
)

// A File is what one file says.
type File struct {
	Budgets []budget.Budget
	// Whole says that these are all limits of Lighthouse: the default ones do not hold
	// beside them. It is so for a lighthouserc.
	Whole   bool
	Collect Collect
}

// Collect is what a lighthouserc says about measuring.
type Collect struct {
	URLs   []string // absolute, or paths
	Runs   int      // 0 if it does not say
	Preset string   // "desktop", or "" for Lighthouse's own, which is mobile
}

// Options are what a file cannot say.
type Options struct {
	// Meters are the names that a meter can have; none for any.
	Meters []string
	// Read reads a file that another one names, by its path relative to the workspace.
	// Without it naming a file is refused.
	Read func(path string) ([]byte, error)
}

// maxFile bounds a file: people review it.
const maxFile = 1 << 20

// Parse reads a file of limits. Its kind follows from its name and from its outermost
// value: a JSON list is a budget.json, a file whose name has "lighthouserc" in it is one,
// and YAML with a version is the gate's own. The error has a line for each problem,
// with the file and the line in it, and is bad input.
func Parse(name string, raw []byte, options Options) (File, error) {
	p := &parser{problems: problems{file: name}, options: options}
	p.parse(raw)
	if len(p.wrong) > 0 {
		return File{}, &exit.Error{Status: exit.BadInput, Err: errors.Join(p.wrong...)}
	}
	return p.result, nil
}

// Join returns the limits that hold: the default ones and those of the files. What is
// limited twice [budget.Check] knows.
func Join(defaults []budget.Budget, files ...File) []budget.Budget {
	whole := slices.ContainsFunc(files, func(f File) bool { return f.Whole })
	all := slices.DeleteFunc(slices.Clone(defaults), func(b budget.Budget) bool { return whole && b.Meter == budget.Lighthouse })
	for _, f := range files {
		all = append(all, f.Budgets...)
	}
	return all
}

// A parser collects what a file says, and what is wrong with it.
type parser struct {
	problems
	options Options
	result  File
}

// problems are what is wrong with a file.
type problems struct {
	file  string
	wrong []error
}

// maxWrong bounds the errors: a file of another kind has thousands.
const maxWrong = 100

func (p *problems) refuse(line int, format string, args ...any) {
	if len(p.wrong) < maxWrong {
		p.wrong = append(p.wrong, fmt.Errorf("%s:%d: %s", p.file, max(line, 1), fmt.Sprintf(format, args...)))
	}
}

func (p *problems) at(line int) string { return fmt.Sprintf("%s:%d", p.file, line) }

func (p *parser) parse(raw []byte) {
	base := strings.ToLower(path.Base(strings.ReplaceAll(p.file, `\`, "/")))
	rc := strings.Contains(base, "lighthouserc")
	switch {
	case slices.Contains([]string{".js", ".cjs", ".mjs", ".ts"}, path.Ext(base)):
		p.refuse(1, "a program is not run to read limits: write them to lighthouserc.json, for instance with: node -p 'JSON.stringify(require(\"./%s\"), null, 2)' > lighthouserc.json", path.Base(p.file))
		return
	case !slices.Contains([]string{".json", ".yml", ".yaml", ""}, path.Ext(base)) && base != ".lighthouserc":
		p.refuse(1, "the file's name ends in %q: want .json, .yml or .yaml", path.Ext(base))
		return
	case len(raw) > maxFile:
		p.refuse(1, "the file has %d bytes: want at most %d", len(raw), maxFile)
		return
	}
	isJSON := path.Ext(base) != ".yml" && path.Ext(base) != ".yaml"
	root := p.tree(raw, isJSON)
	switch {
	case root == nil:
	case rc:
		p.lighthouserc(root)
	case isJSON && root.kind == list:
		p.budgets(root, budget.Median)
	case root.kind == object && root.has("ci"):
		p.refuse(root.line, "this is a lighthouserc: call the file lighthouserc.json or lighthouserc.yml")
	case isJSON:
		p.refuse(root.line, "want a list of budgets, as Lighthouse reads them from a budget.json")
	default:
		p.own(root)
	}
}
