// Package dependencies has the scanners of packages that a project uses: known
// vulnerabilities by npm audit, OSV-Scanner and govulncheck. Below it are Snyk and an
// inventory of our own.
//
// The adapters count advisories, not packages, and name each by all identifiers
// that the tool gives, so that the same one from two tools becomes one finding.
package dependencies

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/scanner"
)

// named returns the files of the tree with one of the names, without those in
// vendored folders, which the lock file above them stands for.
func named(tree scanner.Tree, names ...string) []string {
	var found []string
	for _, file := range tree.Files {
		if slices.Contains(names, path.Base(file)) && !Vendored(file) {
			found = append(found, file)
		}
	}
	return found
}

// LockFiles returns the files of the tree with one of the names that name packages,
// without those of vendored code.
func LockFiles(job scanner.Job, names ...string) []string {
	return slices.DeleteFunc(named(job.Tree, names...), func(file string) bool { return withoutPackages(job.Workspace, file) })
}

// Vendored reports whether a file is in a copy of somebody else's code.
func Vendored(file string) bool {
	return slices.ContainsFunc(strings.Split(path.Dir(file), "/"), func(folder string) bool {
		return folder == "node_modules" || folder == "vendor"
	})
}

// IsLock reports whether a file is, by its name, one that names packages.
func IsLock(file string) bool {
	return slices.Contains(osvLocks, path.Base(file)) || IsNPMLock(file)
}

// IsNPMLock reports whether a file is, by its name, a lock file of npm packages.
func IsNPMLock(file string) bool {
	return slices.Contains(npmLocks, path.Base(file)) || slices.Contains(foreignLocks, path.Base(file))
}

// has reports whether the tree has a file. Its files are sorted.
func has(tree scanner.Tree, file string) bool {
	_, ok := slices.BinarySearch(tree.Files, file)
	return ok
}

// count is a number and a noun: "2 package-lock.json".
func count(n int, noun string) string { return fmt.Sprintf("%d %s", n, noun) }

// read reads a file of the workspace; it never follows a path out of it.
func read(workspace, file string) ([]byte, error) {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	return root.ReadFile(filepath.FromSlash(file))
}

// copyInto copies a file of the workspace to the same path below a folder.
func copyInto(folder, workspace, file string) error {
	data, err := read(workspace, file)
	if err != nil {
		return fmt.Errorf("copy %s: %w", file, err)
	}
	to := filepath.Join(folder, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("copy %s: %w", file, err)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		return fmt.Errorf("copy %s: %w", file, err)
	}
	return nil
}
