package dependencies

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// npmLock is a lock file of npm. Source: the page package-lock.json of npm's
// documentation, lockfileVersion 1 to 3.
type npmLock struct {
	path  string
	both  bool           // there is a package-lock.json beside this npm-shrinkwrap.json
	lines map[string]int // of the first key of each name

	Packages map[string]npmNode `json:"packages"` // by folder; version 1 has a tree instead
}

type npmNode struct {
	Name             string `json:"name"` // if it is not the folder's
	Version          string `json:"version"`
	Resolved         string `json:"resolved"`
	Integrity        string `json:"integrity"`
	Link             bool   `json:"link"`
	InBundle         bool   `json:"inBundle"`
	HasInstallScript bool   `json:"hasInstallScript"`
}

// readNPMLock reads a lock file of the workspace.
func readNPMLock(workspace, file string) (npmLock, error) {
	data, err := read(workspace, file)
	if err != nil {
		return npmLock{}, fmt.Errorf("read %s: %w", file, err)
	}
	lock := npmLock{path: file, lines: keyLines(data)}
	if err := output.JSON(data, &lock); err != nil {
		return npmLock{}, fmt.Errorf("read %s: %w", file, err)
	}
	if lock.Packages == nil {
		if lock.Packages, err = flatten(data); err != nil {
			return npmLock{}, fmt.Errorf("read %s: %w", file, err)
		}
	}
	return lock, nil
}

// v1Node is a node of lockfileVersion 1.
type v1Node struct {
	Version      string            `json:"version"`
	Resolved     string            `json:"resolved"`
	Integrity    string            `json:"integrity"`
	Bundled      bool              `json:"bundled"`
	Dependencies map[string]v1Node `json:"dependencies"`
}

// flatten turns the tree of lockfileVersion 1 into the folders of version 3.
func flatten(data []byte) (map[string]npmNode, error) {
	var root v1Node
	if err := output.JSON(data, &root); err != nil {
		return nil, err
	}
	flat := map[string]npmNode{"": {Version: root.Version}}
	var walk func(string, map[string]v1Node)
	walk = func(above string, nodes map[string]v1Node) {
		for name, n := range nodes {
			folder := path.Join(above, "node_modules", name)
			flat[folder] = npmNode{Version: n.Version, Resolved: n.Resolved, Integrity: n.Integrity, InBundle: n.Bundled}
			walk(folder, n.Dependencies)
		}
	}
	walk("", root.Dependencies)
	return flat, nil
}

// npmLockOf finds the lock file that a command audited.
func npmLockOf(job scanner.Job, cmd isolate.Command) (npmLock, error) {
	locks := npmLockFiles(job.Tree)
	for i, file := range locks {
		dir := filepath.Join(job.Scratch, fmt.Sprintf("lock-%d", i+1), filepath.FromSlash(path.Dir(file)))
		if dir != cmd.Dir {
			continue
		}
		lock, err := readNPMLock(job.Workspace, file)
		lock.both = path.Base(file) == npmLocks[0] && has(job.Tree, path.Join(path.Dir(file), npmLocks[1]))
		return lock, err
	}
	return npmLock{}, fmt.Errorf("no lock file belongs to %s", cmd.Dir)
}

// size is the number of packages, without the project itself.
func (l npmLock) size() int {
	if _, ok := l.Packages[""]; ok {
		return len(l.Packages) - 1
	}
	return len(l.Packages)
}

// versions returns the versions of folders, each once, and "" if none is known.
func (l npmLock) versions(folders []string) []string {
	seen := map[string]bool{}
	for _, folder := range folders {
		seen[l.Packages[folder].Version] = true
	}
	if len(seen) == 0 {
		return []string{""}
	}
	return slices.Sorted(maps.Keys(seen))
}

// line is the line of the first folder that the lock file has; version 1 has names.
func (l npmLock) line(folders []string) int {
	for _, folder := range folders {
		if line := cmp.Or(l.lines[folder], l.lines[nameOf(folder)]); line > 0 {
			return line
		}
	}
	return 0
}

// keyLines returns the first line, from 1, of each key that begins a line of JSON.
func keyLines(data []byte) map[string]int {
	lines, n := map[string]int{}, 0
	for line := range bytes.Lines(data) {
		n++
		key, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte(`"`))
		if !ok {
			continue
		}
		name, _, ok := bytes.Cut(key, []byte(`":`))
		if _, known := lines[string(name)]; ok && !known {
			lines[string(name)] = n
		}
	}
	return lines
}

// nameOf is the name of the package in a folder.
func nameOf(folder string) string {
	if at := strings.LastIndex(folder, "node_modules/"); at >= 0 {
		return folder[at+len("node_modules/"):]
	}
	return folder
}
