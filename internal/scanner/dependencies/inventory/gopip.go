package inventory

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/candlefish/deploy-action/internal/scanner/advisory"
)

// goPackages reads a go.mod, and the hashes of go.sum beside it. A module that is
// replaced by a folder is the repository's own. Source: the page "Go Modules
// Reference" of go.dev.
func goPackages(w *workspace, file string, data []byte) ([]Listed, error) {
	hashed, err := w.hashes(file)
	if err != nil {
		return nil, err
	}
	required, replaced := []Listed{}, map[string][]string{}
	module := false
	err = directives(data, func(n int, verb string, args []string) error {
		switch verb {
		case "module":
			module = true
		case "require":
			if len(args) != 2 || !strings.HasPrefix(args[1], "v") {
				return fmt.Errorf("line %d is no requirement", n)
			}
			required = append(required, Listed{Ecosystem: "Go", Name: strings.Trim(args[0], `"`), Version: args[1], line: n})
		case "replace":
			old, to, ok := strings.Cut(strings.Join(args, " "), " => ")
			if !ok {
				return fmt.Errorf("line %d is no replacement", n)
			}
			replaced[old] = strings.Fields(to)
		}
		return nil
	})
	if err == nil && !module {
		err = errors.New("it has no module line")
	}
	if err != nil {
		return nil, err
	}
	return replace(required, replaced, hashed), nil
}

// directives calls each with the line, the verb and the arguments of what a go.mod
// says, those in blocks one by one.
func directives(data []byte, each func(n int, verb string, args []string) error) error {
	block, n := "", 0
	for line := range strings.Lines(string(data)) {
		n++
		line, _, _ = strings.Cut(line, "//")
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case block == "" && len(fields) == 2 && fields[1] == "(":
			block = fields[0]
		case block != "" && fields[0] == ")":
			block = ""
		case block != "":
			if err := each(n, block, fields); err != nil {
				return err
			}
		default:
			if err := each(n, fields[0], fields[1:]); err != nil {
				return err
			}
		}
	}
	if block != "" {
		return errors.New("it ends within a block")
	}
	return nil
}

// replace applies the replacements of a go.mod, and looks the hashes up.
func replace(required []Listed, replaced map[string][]string, hashed map[string]bool) []Listed {
	var packages []Listed
	for _, p := range required {
		to, ok := replaced[p.Name+" "+p.Version]
		if !ok {
			to = replaced[p.Name]
		}
		switch len(to) {
		case 1: // a folder
			continue
		case 2:
			p.Name, p.Version = to[0], to[1]
		}
		p.Integrity = hashed[p.Name+" "+p.Version]
		p.Version = advisory.Version("Go", p.Version)
		packages = append(packages, p)
	}
	return packages
}

// hashes reads go.sum beside a go.mod, and the go.work.sum of each folder above: a
// workspace has the others there.
func (w *workspace) hashes(file string) (map[string]bool, error) {
	hashed := map[string]bool{}
	names := []string{"go.sum"}
	for up := "go.work.sum"; len(names) <= strings.Count(file, "/")+1; up = "../" + up {
		names = append(names, up)
	}
	for _, name := range names {
		data, err := w.beside(file, name)
		if err != nil {
			return nil, err
		}
		n := 0
		for line := range strings.Lines(string(data)) {
			n++
			fields := strings.Fields(line)
			if len(fields) == 0 {
				continue
			}
			if len(fields) != 3 || !strings.Contains(fields[2], ":") {
				return nil, fmt.Errorf("line %d of %s is no hash of a module", n, path.Join(path.Dir(file), name))
			}
			hashed[fields[0]+" "+strings.TrimSuffix(fields[1], "/go.mod")] = true
		}
	}
	return hashed, nil
}

// pipPackages reads a requirements file and those that it includes. Source: the page
// "Requirements File Format" of pip's documentation.
func pipPackages(w *workspace, file string, data []byte) ([]Listed, error) {
	return w.requirements(file, data, map[string]bool{file: true})
}

func (w *workspace) requirements(file string, data []byte, seen map[string]bool) ([]Listed, error) {
	var packages []Listed
	n, begin, joined := 0, 0, ""
	for line := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		n++
		if joined == "" {
			begin = n
		}
		text := strings.TrimRight(line, "\r\n")
		if strings.HasSuffix(text, `\`) {
			joined += strings.TrimSuffix(text, `\`) + " "
			continue
		}
		text, joined = strings.TrimSpace(comment.ReplaceAllString(joined+text, "")), ""
		included, ok := include(text)
		switch {
		case ok && address(included): // not shown: it can have a password
			return nil, fmt.Errorf("line %d includes a file from elsewhere, which is not read", begin)
		case ok:
			more, err := w.included(path.Join(path.Dir(file), included), seen)
			if err != nil {
				return nil, err
			}
			packages = append(packages, more...)
		case text == "" || strings.HasPrefix(text, "-") && !editable.MatchString(text):
		default:
			p, err := pipPackage(editable.ReplaceAllString(text, ""))
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", begin, err)
			}
			if p.File, p.line = file, begin; p.Name != "" {
				packages = append(packages, p)
			}
		}
	}
	if joined != "" {
		return nil, errors.New("its last line is not whole")
	}
	return packages, nil
}

var (
	comment  = regexp.MustCompile(`(^|\s)#.*$`)
	editable = regexp.MustCompile(`^(?:-e|--editable)[ =]\s*`)
	name     = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*`)
	pinned   = regexp.MustCompile(`^\(?\s*===?\s*([^\s,;*)]+)\s*\)?\s*(?:$|[;\s])`)
	egg      = regexp.MustCompile(`[#&]egg=([A-Za-z0-9._-]+)`)
)

// include returns the file that a line includes.
func include(line string) (string, bool) {
	for _, option := range []string{"--requirement", "-r"} {
		if rest, ok := strings.CutPrefix(line, option); ok {
			return strings.TrimLeft(rest, " =\t"), true
		}
	}
	return "", false
}

// included reads a file once; one that has a name of its own in the inventory is
// read there.
func (w *workspace) included(file string, seen map[string]bool) ([]Listed, error) {
	if seen[file] || readerOf(file) != nil {
		return nil, nil
	}
	seen[file] = true
	data, err := w.read(file)
	if err != nil {
		return nil, err
	}
	packages, err := w.requirements(file, data, seen)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return packages, nil
}

// errNoRequirement does not show the line: it can have a password.
var errNoRequirement = errors.New("it is no requirement")

// pipPackage reads one requirement: a name with versions, name @ address, an address,
// or a folder, which has no name.
func pipPackage(line string) (Listed, error) {
	p := Listed{Ecosystem: "PyPI", Integrity: strings.Contains(line, "--hash=") || strings.Contains(line, "--hash ")}
	if line == "" || line[0] == '.' || line[0] == '/' || strings.HasPrefix(line, "file:") {
		return Listed{}, nil
	}
	found := name.FindStringSubmatch(line)
	if found == nil {
		return p, errNoRequirement
	}
	rest := line[len(found[0]):]
	if strings.HasPrefix(rest, "://") || strings.HasPrefix(rest, "+") {
		p.Source, _, _ = strings.Cut(line, " ")
		if m := egg.FindStringSubmatch(p.Source); m != nil {
			p.Name = m[1]
		} else {
			p.Name = path.Base(clean(p.Source))
		}
		p.Integrity = p.Integrity || strings.Contains(p.Source, "#sha256=")
		return p, nil
	}
	p.Name = strings.ToLower(found[1])
	if at, ok := strings.CutPrefix(rest, "@"); ok {
		p.Source, _, _ = strings.Cut(strings.TrimSpace(at), " ")
		p.Integrity = p.Integrity || strings.Contains(p.Source, "#sha256=")
	} else if m := pinned.FindStringSubmatch(rest); m != nil {
		p.Version = m[1]
	} else if rest != "" && !strings.ContainsRune("<>=!~;(-", rune(rest[0])) {
		return p, errNoRequirement
	}
	return p, nil
}
