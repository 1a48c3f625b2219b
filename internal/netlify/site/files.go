package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// The files that become the generated netlify.toml.
const (
	redirectsName = "_redirects"
	headersName   = "_headers"
	configName    = "netlify.toml"
)

// skipped reports whether a file or a folder of this name is not published.
func skipped(name string, root bool) bool {
	switch {
	case name == ".well-known":
		return false
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "__MACOSX"), name == redirectsName, name == headersName:
		return true
	}
	return root && name == "node_modules"
}

// isProjectRoot reports whether a folder is the project's own, not the output of a
// build.
func isProjectRoot(dir, config string) bool {
	if config != "" {
		if a, err := filepath.Abs(filepath.Dir(config)); err == nil {
			if b, err := filepath.Abs(dir); err == nil && a == b {
				return true
			}
		}
	}
	for _, name := range []string{".git", "package.json"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// A walker collects the files of a folder, and the names that cannot be published.
type walker struct {
	folder   *os.Root
	fs       fs.FS
	root     bool // of the project
	files    []File
	badNames []string
	badLinks []string
}

// list returns the files below a folder, sorted by path.
func list(folder *os.Root, root bool) ([]File, error) {
	w := &walker{folder: folder, fs: folder.FS(), root: root}
	top, err := folder.Stat(".")
	if err != nil {
		return nil, err
	}
	if err := w.walk(".", []fs.FileInfo{top}); err != nil {
		return nil, err
	}
	if err := w.problems(); err != nil {
		return nil, err
	}
	slices.SortFunc(w.files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return w.files, nil
}

// walk lists one folder. Its parents tell links that lead in a circle.
func (w *walker) walk(dir string, parents []fs.FileInfo) error {
	entries, err := fs.ReadDir(w.fs, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if skipped(e.Name(), w.root) {
			continue
		}
		if err := w.entry(path.Join(dir, e.Name()), e, parents); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(name string, e fs.DirEntry, parents []fs.FileInfo) error {
	if !utf8.ValidString(name) { // JSON could not hold it
		w.badNames = append(w.badNames, fmt.Sprintf("%q", name))
		return nil
	}
	info, err := w.folder.Stat(filepath.FromSlash(name))
	if err != nil {
		if e.Type()&fs.ModeSymlink != 0 {
			w.badLinks = append(w.badLinks, fmt.Sprintf("%q (%s)", name, linkProblem(err)))
			return nil
		}
		return err
	}
	if !info.IsDir() && strings.ContainsAny(name, "#?") {
		w.badNames = append(w.badNames, fmt.Sprintf("%q", name))
		return nil
	}
	switch {
	case info.IsDir():
		if slices.ContainsFunc(parents, func(p fs.FileInfo) bool { return os.SameFile(p, info) }) {
			w.badLinks = append(w.badLinks, fmt.Sprintf("%q (leads to a folder that it is in)", name))
			return nil
		}
		return w.walk(name, append(slices.Clip(parents), info))
	case info.Mode().IsRegular() && name != configName:
		w.files = append(w.files, File{Path: name, Size: info.Size()})
	}
	return nil // sockets and the like are not published
}

// linkProblem says why a link cannot be followed.
func linkProblem(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "leads to nothing"
	}
	return "leads out of the folder, or is absolute"
}

func (w *walker) problems() error {
	var errs []error
	if len(w.badNames) > 0 {
		errs = append(errs, fmt.Errorf("names with # or ?, or not in UTF-8, cannot be published: %s", Some(w.badNames)))
	}
	if len(w.badLinks) > 0 {
		errs = append(errs, fmt.Errorf("links that cannot be followed: %s", Some(w.badLinks)))
	}
	return errors.Join(errs...)
}

// maxNames is how many names an error lists.
const maxNames = 50

// Some joins names for an error: at most 50, and how many more there are.
func Some(names []string) string {
	if more := len(names) - maxNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), more)
	}
	return strings.Join(names, ", ")
}
