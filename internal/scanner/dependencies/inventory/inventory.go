// Package inventory lists all packages that the lock files of a repository name,
// and points at those that look wrong whatever advisories say: versions that are
// known to be malicious, names one letter away from a popular one, sources without
// a registry or a hash.
//
// It needs no tool, no network and no database. A file that it cannot read whole is
// a doubt: what is in it is not known.
package inventory

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/dependencies"
)

// The artifacts.
const (
	PackagesFile   = "package-inventory.json"  // all packages
	SuspiciousFile = "suspicious-packages.txt" // one line for each package and rule
)

// A Listed package is one entry of the inventory.
type Listed struct {
	Ecosystem string `json:"ecosystem"` // of the OSV schema
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"` // "" if the file does not pin it
	File      string `json:"file"`
	// Source is where it is fetched from, if the file says so, without user, password
	// and query.
	Source        string `json:"source,omitempty"`
	Integrity     bool   `json:"integrity"` // a hash of it is recorded
	InstallScript bool   `json:"installScript,omitempty"`

	line    int
	bundled bool // part of another package, whose hash is for both
}

// Inventory is the scanner.
type Inventory struct{}

// About describes it.
func (Inventory) About() scanner.About {
	return scanner.About{
		Name: "inventory", Class: finding.ClassDependency, Does: "all packages, and the suspicious among them", Time: time.Minute,
	}
}

// A reader returns the packages of one file.
type reader func(w *workspace, file string, data []byte) ([]Listed, error)

// readerOf returns what reads a file, by its name; nil for nothing.
func readerOf(file string) reader {
	switch base := path.Base(file); base {
	case "package-lock.json", "npm-shrinkwrap.json":
		return npmPackages
	case "yarn.lock":
		return yarnPackages
	case "pnpm-lock.yaml":
		return pnpmPackages
	case "go.mod":
		return goPackages
	default:
		if ok, _ := path.Match("requirements*.txt", base); ok {
			return pipPackages
		}
		return nil
	}
}

// files returns the lock files that it reads, those that it does not, and the
// package.json files that have no lock file in their folder or above.
func files(tree scanner.Tree) (known, unknown, unlocked []string) {
	locked := map[string]bool{}
	for _, file := range tree.Files {
		switch {
		case dependencies.Vendored(file):
		case readerOf(file) != nil:
			known = append(known, file)
		case dependencies.IsLock(file):
			unknown = append(unknown, file)
		}
		if dependencies.IsNPMLock(file) {
			locked[path.Dir(file)] = true
		}
	}
	for _, file := range tree.Files {
		if path.Base(file) == "package.json" && !dependencies.Vendored(file) && !above(locked, path.Dir(file)) {
			unlocked = append(unlocked, file)
		}
	}
	return known, unknown, unlocked
}

// above reports whether a folder or one above it is in a set.
func above(set map[string]bool, dir string) bool {
	for !set[dir] {
		if dir == "." || dir == "/" {
			return false
		}
		dir = path.Dir(dir)
	}
	return true
}

// Applies reports whether there are packages to list, or a package.json without a
// lock file to point at.
func (Inventory) Applies(job scanner.Job) (bool, string) {
	known, _, unlocked := files(job.Tree)
	switch {
	case len(known) > 0:
		return true, fmt.Sprintf("%d lock file(s)", len(known))
	case len(unlocked) > 0:
		return true, fmt.Sprintf("%d package.json without a lock file", len(unlocked))
	}
	return false, "no lock file that the inventory reads"
}

// Plant is a lock file with the release of event-stream that stole from wallets in
// 2018.
func (Inventory) Plant() scanner.Plant {
	return scanner.Plant{
		Files: map[string]string{
			"package.json": `{"name": "planted", "version": "1.0.0", "dependencies": {"event-stream": "3.3.6"}}`,
			"package-lock.json": `{"name": "planted", "version": "1.0.0", "lockfileVersion": 3, "packages": {
  "": {"name": "planted", "version": "1.0.0", "dependencies": {"event-stream": "3.3.6"}},
  "node_modules/event-stream": {"version": "3.3.6",
    "resolved": "https://registry.npmjs.org/event-stream/-/event-stream-3.3.6.tgz"}}}`,
		},
		Found: func(s finding.Sighting) bool {
			return s.Rule == ruleMalicious && s.Package.Name == "event-stream" && s.Package.Version == "3.3.6"
		},
	}
}

// Scan reads all lock files.
func (Inventory) Scan(ctx context.Context, job scanner.Job) (scanner.Report, error) {
	w, err := open(job)
	if err != nil {
		return scanner.Report{}, fmt.Errorf("list packages: %w", err)
	}
	defer func() { _ = w.root.Close() }()
	known, unknown, unlocked := files(job.Tree)
	report := scanner.Report{Coverage: verdict.Unknown()}
	report.Coverage.Files, report.Coverage.FilesExpected = 0, len(known)
	all := []Listed{}
	for _, file := range known {
		if err := ctx.Err(); err != nil {
			return scanner.Report{}, fmt.Errorf("list packages: %w", err)
		}
		packages, err := w.packages(file)
		if err != nil {
			report.Doubts = append(report.Doubts, err.Error())
			continue
		}
		report.Coverage.Files++
		all = append(all, packages...)
		report.Sightings = append(report.Sightings, suspicious(file, packages)...)
	}
	report.Coverage.Packages = len(all)
	report.Sightings = append(report.Sightings, w.unlocked(unlocked)...)
	report.Doubts = append(report.Doubts, w.doubts...)
	for _, file := range unknown {
		report.Notes = append(report.Notes, file+" is not in the inventory: its form is not read")
	}
	report.Artifacts, err = artifacts(all)
	return report, err
}

// packages reads one lock file. The order does not depend on the file's.
func (w *workspace) packages(file string) ([]Listed, error) {
	data, err := w.read(file)
	if err != nil {
		return nil, err
	}
	packages, err := readerOf(file)(w, file, data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	for i := range packages {
		p := &packages[i]
		p.File = cmp.Or(p.File, file)
		p.settle()
	}
	slices.SortFunc(packages, Listed.compare)
	return slices.CompactFunc(packages, func(a, b Listed) bool { return a.compare(b) == 0 }), nil
}

// settle moves an address that stands for a version to where it belongs, and takes
// out of it what could be a credential.
func (p *Listed) settle() {
	if p.Source == "" && address(p.Version) {
		p.Source, p.Version = p.Version, ""
	}
	p.Source = clean(p.Source)
	if address(p.Version) { // beside a source
		p.Version = ""
	}
	if address(p.Name) {
		p.Name = clean(p.Name)
	}
}

func (p Listed) compare(o Listed) int {
	return cmp.Or(cmp.Compare(p.File, o.File), cmp.Compare(p.Name, o.Name), cmp.Compare(p.Version, o.Version), cmp.Compare(p.Source, o.Source),
		cmp.Compare(flag(p.Integrity), flag(o.Integrity)), cmp.Compare(flag(p.InstallScript), flag(o.InstallScript)), cmp.Compare(flag(p.bundled), flag(o.bundled)))
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unlocked finds each package.json that asks for packages and has no lock file:
// each build may get other versions, and no scanner knows them.
func (w *workspace) unlocked(files []string) []finding.Sighting {
	var sightings []finding.Sighting
	for _, file := range files {
		data, err := w.read(file)
		var asks struct{ Dependencies, DevDependencies, OptionalDependencies map[string]any }
		if err == nil {
			err = json.Unmarshal(data, &asks)
		}
		if err != nil {
			w.doubts = append(w.doubts, fmt.Sprintf("read %s: %v", file, strings.TrimPrefix(err.Error(), "read "+file+": ")))
			continue
		}
		if n := len(asks.Dependencies) + len(asks.DevDependencies) + len(asks.OptionalDependencies); n > 0 {
			sightings = append(sightings, suspicion(ruleUnlocked, file, fmt.Sprintf(
				"%s asks for %d package(s) and has no lock file: which versions are installed is not known", file, n)))
		}
	}
	return sightings
}

// artifacts writes the inventory and the list of suspicious packages, one line for
// each package and rule: severity, rule, ecosystem, name, version, file.
func artifacts(all []Listed) (map[string][]byte, error) {
	inventory, err := json.MarshalIndent(map[string]any{"packages": all}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", PackagesFile, err)
	}
	var lines []string
	for _, p := range all {
		for _, s := range p.suspicions() {
			lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\n",
				rules[s.rule].word, s.rule, p.Ecosystem, plain(p.Name), plain(p.Version), plain(p.File)))
		}
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	return map[string][]byte{
		PackagesFile:   append(inventory, '\n'),
		SuspiciousFile: []byte(strings.Join(lines, "")),
	}, nil
}
