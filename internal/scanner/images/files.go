package images

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/scanner"
)

// files returns the files of the tree that are wanted.
func files(tree scanner.Tree, want func(string) bool) []string {
	var found []string
	for _, file := range tree.Files {
		if want(file) {
			found = append(found, file)
		}
	}
	return found
}

// has reports whether the tree has a file. Its files are sorted.
func has(tree scanner.Tree, file string) bool {
	_, ok := slices.BinarySearch(tree.Files, file)
	return ok
}

// below reports whether a file is in or below a folder with one of the names.
func below(file string, folders ...string) bool {
	return slices.ContainsFunc(strings.Split(path.Dir(file), "/"), func(folder string) bool {
		return slices.Contains(folders, folder)
	})
}

// dockerfile reports whether a file is one by its name, as Trivy and Hadolint see
// it: Dockerfile, Dockerfile.web, web.Dockerfile, Containerfile.
func dockerfile(file string) bool {
	base := strings.ToLower(path.Base(file))
	for _, name := range []string{"dockerfile", "containerfile"} {
		if base == name || strings.HasPrefix(base, name+".") && !strings.HasSuffix(base, ".dockerignore") || strings.HasSuffix(base, "."+name) {
			return true
		}
	}
	return false
}

// withoutPackages reports whether a lock file names no package, so that Trivy
// leaves it out of its report: an npm lock of the project alone, or an empty file.
func withoutPackages(workspace, file string) bool {
	data, err := content(workspace, file)
	if err != nil {
		return false
	}
	if path.Base(file) != "package-lock.json" {
		return strings.TrimSpace(string(data)) == ""
	}
	var lock struct{ Packages, Dependencies map[string]json.RawMessage }
	if json.Unmarshal(data, &lock) != nil {
		return false
	}
	delete(lock.Packages, "")
	return len(lock.Packages)+len(lock.Dependencies) == 0
}

// content reads a file of the workspace; it never follows a path out of it.
func content(workspace, file string) ([]byte, error) {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	return root.ReadFile(filepath.FromSlash(file))
}

// ignoring names files with comments that hide results from Trivy, which has no
// setting to report them all the same.
func ignoring(workspace string, files []string) []string {
	var notes []string
	for _, file := range files {
		data, err := content(workspace, file)
		if n := bytes.Count(data, []byte("trivy:ignore:")) + bytes.Count(data, []byte("tfsec:ignore:")); err == nil && n > 0 {
			notes = append(notes, fmt.Sprintf("%s hides results from Trivy by %d comment(s) \"trivy:ignore\"", file, n))
		}
	}
	return notes
}
