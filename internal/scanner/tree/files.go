package tree

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/scanner"
)

// Tree lists the files of the workspace: those that git tracks, and those that it
// would track. Symbolic links are left out, as are files behind one: what they
// point to is listed itself, or is not of the workspace. So are tracked files that
// are not on the disk.
func (r *Repository) Tree(ctx context.Context) (scanner.Tree, error) {
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		return scanner.Tree{}, err
	}
	defer func() { _ = root.Close() }()
	if !r.IsGit() {
		return walk(root)
	}
	tracked, err := r.run(ctx, "ls-files", "-z", "--stage")
	if err != nil {
		return scanner.Tree{}, err
	}
	others, err := r.run(ctx, "ls-files", "-z", "--others", "--exclude-standard")
	if err != nil {
		return scanner.Tree{}, err
	}
	ignored, err := r.run(ctx, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
	if err != nil {
		return scanner.Tree{}, err
	}
	t := scanner.Tree{Ignored: split(ignored)}
	var names []string
	for _, entry := range split(tracked) {
		mode, name, _ := strings.Cut(entry, "\t")
		if strings.HasPrefix(mode, "160000 ") {
			t.Submodules = append(t.Submodules, name)
		} else {
			names = append(names, name)
		}
	}
	for _, name := range append(names, split(others)...) {
		// An untracked repository inside is listed as a folder.
		if folder, ok := strings.CutSuffix(name, "/"); ok {
			t.Submodules = append(t.Submodules, folder)
		} else if regular(root, name) {
			t.Files = append(t.Files, name)
		}
	}
	return sorted(t), nil
}

func sorted(t scanner.Tree) scanner.Tree {
	for _, list := range []*[]string{&t.Files, &t.Ignored, &t.Submodules} {
		slices.Sort(*list)
		*list = slices.Compact(*list) // a file in conflict is in the index three times
	}
	return t
}

func split(out []byte) []string {
	if len(out) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// regular reports whether the name is a file and no part of its path a link.
func regular(root *os.Root, name string) bool {
	for at := filepath.Dir(filepath.FromSlash(name)); at != "."; at = filepath.Dir(at) {
		if info, err := root.Lstat(at); err != nil || !info.IsDir() {
			return false
		}
	}
	info, err := root.Lstat(filepath.FromSlash(name))
	return err == nil && info.Mode().IsRegular()
}

// walk lists a workspace without git. Installed packages are nobody's source.
func walk(root *os.Root) (scanner.Tree, error) {
	var t scanner.Tree
	err := fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "node_modules":
			t.Ignored = append(t.Ignored, path+"/")
			return fs.SkipDir
		case d.Type().IsRegular():
			t.Files = append(t.Files, path)
		}
		return nil
	})
	return sorted(t), err
}
