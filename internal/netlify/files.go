package netlify

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

// A file is one to publish.
type file struct {
	path string // in the site, with slashes
	size int64
	sum  string // SHA-1, in hex
	// body is the content of a generated file; nil for one of the folder.
	body []byte
}

// The names that become the generated netlify.toml.
const (
	redirectsName = "_redirects"
	headersName   = "_headers"
	configName    = "netlify.toml"
)

// skipped says whether a name, of a file or a folder, is left out with all below it.
func skipped(name string, root bool) bool {
	switch {
	case name == ".well-known":
		return false
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "__MACOSX"), name == redirectsName, name == headersName:
		return true
	}
	return root && name == "node_modules"
}

// isRoot says whether a folder is the project's own, and not what a build made of it.
func isRoot(dir, config string) bool {
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

// A walker collects the files of a folder, and all that is wrong with its names.
type walker struct {
	folder    *os.Root
	fs        fs.FS
	root      bool
	files     []file
	misnamed  []string
	misguided []string // links
}

// list returns the files below a folder, by path.
func list(folder *os.Root, root bool) ([]file, error) {
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
	slices.SortFunc(w.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return w.files, nil
}

// walk goes through one folder. Its parents are there to find links that lead in
// circles.
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
	if !utf8.ValidString(name) { // which JSON could not say
		w.misnamed = append(w.misnamed, fmt.Sprintf("%q", name))
		return nil
	}
	info, err := w.folder.Stat(filepath.FromSlash(name))
	if err != nil {
		if e.Type()&fs.ModeSymlink != 0 {
			w.misguided = append(w.misguided, fmt.Sprintf("%q (%s)", name, whither(err)))
			return nil
		}
		return err
	}
	if !info.IsDir() && strings.ContainsAny(name, "#?") {
		w.misnamed = append(w.misnamed, fmt.Sprintf("%q", name))
		return nil
	}
	switch {
	case info.IsDir():
		if slices.ContainsFunc(parents, func(p fs.FileInfo) bool { return os.SameFile(p, info) }) {
			w.misguided = append(w.misguided, fmt.Sprintf("%q (leads to a folder that it is in)", name))
			return nil
		}
		return w.walk(name, append(slices.Clip(parents), info))
	case info.Mode().IsRegular() && name != configName:
		w.files = append(w.files, file{path: name, size: info.Size()})
	}
	return nil // sockets and the like are not for publishing
}

func whither(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "leads to nothing"
	}
	return "leads out of the folder, or is absolute"
}

func (w *walker) problems() error {
	var errs []error
	if len(w.misnamed) > 0 {
		errs = append(errs, fmt.Errorf("names with # or ?, or not in UTF-8, can't be published: %s", some(w.misnamed)))
	}
	if len(w.misguided) > 0 {
		errs = append(errs, fmt.Errorf("links that can't be followed: %s", some(w.misguided)))
	}
	return errors.Join(errs...)
}

// most is how many names an error holds.
const most = 50

func some(names []string) string {
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
