package site

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/netlify/rules"
)

// skipped reports whether a file or a folder of this name is not published.
func skipped(name string, root bool) bool {
	switch {
	case name == ".well-known":
		return false
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "__MACOSX"), name == rules.RedirectsName, name == rules.HeadersName:
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

// A walker collects the files of a folder, and the names of what is not published.
type walker struct {
	fs       fs.FS
	root     bool // of the project
	files    []File
	left     leftOut
	badNames []string
}

// leftOut names what of a folder is not published.
type leftOut struct {
	links  []string // which are not followed
	hidden []string // files and folders that are left out by their names
}

func (l leftOut) warnings() (all []string) {
	if len(l.links) > 0 {
		all = append(all, "symlinks are not published: "+Some(l.links))
	}
	if len(l.hidden) > 0 {
		all = append(all, "left out by their names: "+Some(l.hidden))
	}
	return all
}

// list returns the files below a folder, sorted by path, and what is left out.
func list(folder *os.Root, root bool) ([]File, leftOut, error) {
	w := &walker{fs: folder.FS(), root: root}
	if err := w.walk("."); err != nil {
		return nil, leftOut{}, err
	}
	if len(w.badNames) > 0 {
		return nil, leftOut{}, fmt.Errorf("names with # or ?, or not in UTF-8, cannot be published: %s", Some(w.badNames))
	}
	slices.SortFunc(w.files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return w.files, w.left, nil
}

func (w *walker) walk(dir string) error {
	entries, err := fs.ReadDir(w.fs, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); skipped(name, w.root) {
			if name != rules.RedirectsName && name != rules.HeadersName { // which are read
				w.left.hidden = append(w.left.hidden, fmt.Sprintf("%q", path.Join(dir, name)))
			}
			continue
		}
		if err := w.entry(path.Join(dir, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(name string, e fs.DirEntry) error {
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		w.left.links = append(w.left.links, fmt.Sprintf("%q", name))
	case !utf8.ValidString(name): // JSON could not hold it
		w.badNames = append(w.badNames, fmt.Sprintf("%q", name))
	case e.IsDir():
		return w.walk(name)
	case strings.ContainsAny(name, "#?"):
		w.badNames = append(w.badNames, fmt.Sprintf("%q", name))
	case e.Type().IsRegular() && name != rules.ConfigName:
		info, err := e.Info()
		if err != nil {
			return err
		}
		w.files = append(w.files, File{Path: name, Size: info.Size()})
	}
	return nil // sockets and the like are not published
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
