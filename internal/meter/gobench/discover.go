package gobench

import (
	"bytes"
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	maxPackages = 200
	maxSource   = 4 << 20 // bytes of one file
	maxWalked   = 500_000
)

// declared finds benchmarks in a file. A file is not parsed: one that is broken fails
// to build, and is seen then.
var declared = regexp.MustCompile(`(?m)^func (Benchmark[\p{L}\p{N}_]*)\(`)

// discover returns the folders below the workspace that have a benchmark whose name
// matches, of the packages that the setting names. It is what go test would find,
// without running it.
func discover(workspace, packages, pattern string) ([]string, error) {
	matches, err := firstElement(pattern)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	found := map[string]bool{}
	for _, p := range packageLines(packages) {
		dir, deep, err := folder(p)
		if err != nil {
			return nil, err
		}
		if err := walk(root, dir, deep, matches, found); err != nil {
			return nil, fmt.Errorf("input go-packages: %s: %w", p, err)
		}
	}
	var dirs []string
	for dir := range found {
		dirs = append(dirs, dir)
	}
	if len(dirs) > maxPackages {
		return nil, fmt.Errorf("%d packages have benchmarks that match, at most %d are measured: choose fewer by go-packages", len(dirs), maxPackages)
	}
	slices.Sort(dirs)
	return dirs, nil
}

// firstElement matches the names of top-level benchmarks: of each alternative what is
// before its first slash, as go test splits a pattern.
func firstElement(pattern string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, fmt.Errorf("input go-bench: %w", err)
	}
	var firsts []string
	for _, alternative := range splitOutside(pattern, '|') {
		firsts = append(firsts, splitOutside(alternative, '/')[0])
	}
	r, err := regexp.Compile(strings.Join(firsts, "|"))
	if err != nil {
		return nil, fmt.Errorf("input go-bench: %w", err)
	}
	return r, nil
}

// splitOutside splits a pattern at a character that is outside of brackets.
func splitOutside(pattern string, at byte) []string {
	var all []string
	depth, from := 0, 0
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case c == '[' || c == '(':
			depth++
		case c == ']' || c == ')':
			depth--
		case c == at && depth == 0:
			all = append(all, pattern[from:i])
			from = i + 1
		}
	}
	return append(all, pattern[from:])
}

func packageLines(setting string) []string {
	lines := strings.Fields(setting)
	if len(lines) == 0 {
		return []string{"./..."}
	}
	return lines
}

// folder reads a pattern of packages: a folder, or one with all below it.
func folder(pattern string) (dir string, deep bool, err error) {
	dir, deep = strings.CutSuffix(pattern, "...")
	dir = path.Clean(strings.TrimSuffix(dir, "/"))
	if !filepath.IsLocal(filepath.FromSlash(dir)) || strings.Contains(dir, "...") || pattern != "." && !strings.HasPrefix(pattern, "./") {
		return "", false, fmt.Errorf("input go-packages: %q, want a folder such as ./parse, or ./internal/... for all below it", pattern)
	}
	return dir, deep, nil
}

// walk looks at the folders that go test would: no vendored, hidden, test data, and
// none of other modules.
func walk(root *os.Root, dir string, deep bool, matches *regexp.Regexp, found map[string]bool) error {
	walked := 0
	return fs.WalkDir(root.FS(), dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if walked++; walked > maxWalked {
			return errors.New("there are too many files")
		}
		if entry.IsDir() {
			base := entry.Name()
			if name == dir {
				return nil
			}
			if !deep || base == "vendor" || base == "testdata" || base == "node_modules" || base[0] == '.' || base[0] == '_' {
				return fs.SkipDir
			}
			if _, err := root.Stat(path.Join(name, "go.mod")); err == nil {
				return fs.SkipDir
			}
			return nil
		}
		if found[path.Dir(name)] || !entry.Type().IsRegular() || !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		has, err := benchmarks(root, name, matches)
		if has {
			found[path.Dir(name)] = true
		}
		return err
	})
}

// benchmarks reports whether a file that belongs to this platform declares a benchmark
// that matches.
func benchmarks(root *os.Root, name string, matches *regexp.Regexp) (bool, error) {
	info, err := root.Stat(name)
	if err != nil || info.Size() > maxSource {
		return false, err
	}
	text, err := root.ReadFile(name)
	if err != nil {
		return false, err
	}
	if ok, err := build.Default.MatchFile(filepath.Join(root.Name(), filepath.FromSlash(path.Dir(name))), path.Base(name)); err != nil || !ok {
		return false, nil // what is broken fails to build with others
	}
	for _, m := range declared.FindAllSubmatch(bytes.ReplaceAll(text, []byte("\r"), nil), -1) {
		if matches.Match(m[1]) {
			return true, nil
		}
	}
	return false, nil
}
