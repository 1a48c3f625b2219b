package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/isolate/output"
)

// npmLock is a lock file of npm. Source: the page package-lock.json of npm's
// documentation, lockfileVersion 1 to 3.
type npmLock struct {
	Version      int                 `json:"lockfileVersion"`
	Packages     *map[string]npmNode `json:"packages"`     // by folder, from version 2
	Dependencies map[string]npmTree  `json:"dependencies"` // of version 1
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

type npmTree struct {
	Version      string             `json:"version"`
	Resolved     string             `json:"resolved"`
	Integrity    string             `json:"integrity"`
	Bundled      bool               `json:"bundled"`
	Dependencies map[string]npmTree `json:"dependencies"`
}

// npmPackages reads a package-lock.json or npm-shrinkwrap.json. Folders of the
// repository itself are no packages of others.
func npmPackages(_ *workspace, _ string, data []byte) ([]Listed, error) {
	var lock npmLock
	if err := output.JSON(data, &lock); err != nil {
		return nil, errors.New("it is not one whole JSON document")
	}
	switch {
	case lock.Version < 1 || lock.Version > 3:
		return nil, fmt.Errorf("its lockfileVersion is %d, and 1 to 3 are known", lock.Version)
	case lock.Version == 1:
		packages, err := ofTree(lock.Dependencies, nil)
		return located(packages, data), err
	case lock.Packages == nil:
		return nil, errors.New("it has no packages")
	}
	var packages []Listed
	for folder, n := range *lock.Packages {
		at := strings.LastIndex(folder, "node_modules/")
		if at < 0 || n.Link {
			continue
		}
		p := Listed{Name: folder[at+len("node_modules/"):], Version: n.Version, Source: n.Resolved, Integrity: n.Integrity != "", InstallScript: n.HasInstallScript, bundled: n.InBundle}
		if n.Name != "" {
			p.Name = n.Name
		}
		if p.Version == "" && p.Source == "" {
			return nil, fmt.Errorf("%s has no version", plain(output.Cut(folder, 200)))
		}
		packages = append(packages, p)
	}
	return located(packages, data), nil
}

// ofTree adds the packages of lockfileVersion 1.
func ofTree(nodes map[string]npmTree, packages []Listed) ([]Listed, error) {
	for name, n := range nodes {
		if n.Version == "" {
			return nil, fmt.Errorf("%s has no version", plain(output.Cut(name, 200)))
		}
		p := Listed{Name: name, Version: n.Version, Source: n.Resolved, Integrity: n.Integrity != "", bundled: n.Bundled}
		if alias, ok := strings.CutPrefix(n.Version, "npm:"); ok { // another package under this name
			p.Name, p.Version = split(alias)
		}
		if !strings.HasPrefix(n.Version, "file:") {
			packages = append(packages, p)
		}
		var err error
		if packages, err = ofTree(n.Dependencies, packages); err != nil {
			return nil, err
		}
	}
	return packages, nil
}

// located sets the ecosystem, and the line of the first key with the name.
func located(packages []Listed, data []byte) []Listed {
	lines, n := map[string]int{}, 0
	for line := range bytes.Lines(data) {
		n++
		key, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte(`"`))
		key, _, found := bytes.Cut(key, []byte(`":`))
		if !ok || !found {
			continue
		}
		if at := bytes.LastIndex(key, []byte("node_modules/")); at >= 0 {
			key = key[at+len("node_modules/"):]
		}
		if _, known := lines[string(key)]; !known {
			lines[string(key)] = n
		}
	}
	for i := range packages {
		packages[i].Ecosystem, packages[i].line = "npm", lines[packages[i].Name]
	}
	return packages
}

// split divides name@version; the name may begin with @.
func split(spec string) (name, version string) {
	if at := strings.Index(spec[min(1, len(spec)):], "@"); at >= 0 {
		return spec[:at+1], spec[at+2:]
	}
	return spec, ""
}
