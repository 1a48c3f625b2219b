package dependencies

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/advisory"
	"github.com/candlefish/deploy-action/internal/scanner/dependencies/gomod"
)

// osvReport is the JSON report. Source: the page "Output" of OSV-Scanner's
// documentation, and pkg/models/results.go of version 2.
type osvReport struct {
	Results *[]struct {
		Source struct {
			Path string `json:"path"`
			Type string `json:"type"`
		} `json:"source"`
		Packages []osvPackage `json:"packages"`
	} `json:"results"`
}

type osvPackage struct {
	Package struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		Ecosystem string `json:"ecosystem"`
	} `json:"package"`
	Groups []struct { // the same vulnerability under several names
		IDs      []string `json:"ids"`
		Aliases  []string `json:"aliases"`
		Severity string   `json:"max_severity"` // a score
	} `json:"groups"`
	Vulnerabilities []osvAdvisory `json:"vulnerabilities"`
}

// Read reads the scan: exit status 1 says that it found something, 127 and above
// that it could not scan.
func (OSVScanner) Read(job scanner.Job, _ isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	if err := output.Whole(ran, 0, 1); err != nil {
		return scanner.Report{}, fmt.Errorf("osv-scanner: %w", err)
	}
	var raw osvReport
	if err := output.JSON(ran.Stdout, &raw); err != nil {
		return scanner.Report{}, fmt.Errorf("osv-scanner: %w", err)
	}
	if raw.Results == nil {
		return scanner.Report{}, errors.New("osv-scanner: not a report: it has no results")
	}
	report := scanner.Report{Coverage: verdict.Unknown(), Notes: osvNotes(job)}
	report.Doubts = slices.Concat(osvUnloaded(ran.Stderr), osvOld(job))
	seen, packages, ofGo := map[string]bool{}, 0, false
	for _, source := range *raw.Results {
		file := filepath.ToSlash(source.Source.Path)
		if rel, err := filepath.Rel(job.Workspace, source.Source.Path); err == nil && filepath.IsLocal(rel) {
			file = filepath.ToSlash(rel)
		}
		seen[file] = true
		packages += len(source.Packages)
		file = manifest(file)
		lines := packageLines(job.Workspace, file)
		for _, p := range source.Packages {
			if p.Package.Name == goLibrary {
				ofGo = true
				continue
			}
			sightings, err := p.sightings(file, lines)
			if err != nil {
				return scanner.Report{}, fmt.Errorf("osv-scanner: %w", err)
			}
			report.Sightings = append(report.Sightings, sightings...)
		}
	}
	if ofGo {
		report.Notes = append(report.Notes, "advisories of Go's standard library are left to govulncheck: a go.mod has the lowest version of Go, not that which builds")
	}
	expected := osvLockFiles(job)
	report.Coverage.Files, report.Coverage.FilesExpected, report.Coverage.Packages = len(seen), len(expected), packages
	for _, file := range expected {
		if !seen[file] {
			report.Doubts = append(report.Doubts, "OSV-Scanner reported no package of "+file)
		}
	}
	return report, nil
}

// manifest is the file that a lock file's findings are of. OSV-Scanner reads the go.sum
// beside a go.mod before Go 1.17 as a lock file of its own; the other scanners report
// its modules in the go.mod.
func manifest(file string) string {
	if path.Base(file) == "go.sum" {
		return path.Join(path.Dir(file), "go.mod")
	}
	return file
}

// goLibrary is the standard library of Go as a package. OSV-Scanner takes the go line of
// a go.mod for its version, so that each module of a repository has all advisories
// since, whatever toolchain builds it.
const goLibrary = "stdlib"

// sightings makes one of each group of aliases.
func (p osvPackage) sightings(file string, lines map[string]int) ([]finding.Sighting, error) {
	by := make(map[string]*osvAdvisory, len(p.Vulnerabilities))
	for i := range p.Vulnerabilities {
		by[p.Vulnerabilities[i].ID] = &p.Vulnerabilities[i]
	}
	if len(by) > 0 && len(p.Groups) == 0 {
		return nil, fmt.Errorf("%s has vulnerabilities in no group", p.Package.Name)
	}
	var sightings []finding.Sighting
	for _, group := range p.Groups {
		s := finding.Sighting{
			Tool: "osv-scanner", Class: finding.ClassDependency,
			Location: finding.Location{Path: file, Line: lines[p.Package.Name]},
			Package:  finding.Package{Ecosystem: p.Package.Ecosystem, Name: p.Package.Name, Version: advisory.Version(p.Package.Ecosystem, p.Package.Version)},
		}
		for _, id := range group.IDs {
			known, ok := by[id]
			if !ok {
				return nil, fmt.Errorf("%s has %s in a group, which the report does not describe", p.Package.Name, id)
			}
			s = known.add(s)
		}
		for _, id := range group.Aliases {
			if !slices.Contains(s.IDs, id) {
				s.IDs = append(s.IDs, id)
			}
		}
		if s.Rule == "" {
			return nil, fmt.Errorf("%s has an empty group of vulnerabilities", p.Package.Name)
		}
		if score, err := strconv.ParseFloat(group.Severity, 64); err == nil {
			s.Rating.Score = score
		}
		sightings = append(sightings, s)
	}
	return sightings, nil
}

// add completes a sighting with what an advisory says. The first gives the names.
func (a *osvAdvisory) add(s finding.Sighting) finding.Sighting {
	word, score := a.rating()
	if s.Rule == "" {
		s.Rule, s.Title, s.Help, s.Known, s.CWE = a.ID, a.title(), "https://osv.dev/vulnerability/"+a.ID, a.Published, a.Specific.CWE
		s.Package.Fixed = a.fixed(s.Package.Name)
		s.Message = fmt.Sprintf("%s %s: %s", s.Package.Name, s.Package.Version, s.Title)
	}
	if s.Rating.Word == "" {
		s.Rating.Word = word
	}
	s.Rating.Score = max(s.Rating.Score, score)
	if !a.Published.IsZero() && (s.Known.IsZero() || a.Published.Before(s.Known)) {
		s.Known = a.Published
	}
	for _, id := range a.ids() {
		if !slices.Contains(s.IDs, id) {
			s.IDs = append(s.IDs, id)
		}
	}
	return s
}

// osvUnloaded finds ecosystems for which there was no database. OSV-Scanner then
// reports their packages without vulnerabilities.
func osvUnloaded(stderr []byte) []string {
	var doubts []string
	for line := range strings.Lines(string(stderr)) {
		if _, what, ok := strings.Cut(line, "could not load db for "); ok {
			doubts = append(doubts, "no database for "+strings.TrimSpace(what))
		}
	}
	return doubts
}

// osvOld says which copies of the database are old, by the time of their files.
func osvOld(job scanner.Job) []string {
	db := job.Settings[OSVDB]
	if db == "" {
		return nil
	}
	copies, err := filepath.Glob(filepath.Join(db, "osv-scanner", "*", "all.zip"))
	if err != nil {
		return []string{err.Error()}
	}
	var doubts []string
	for _, file := range copies {
		info, err := os.Stat(file)
		if err != nil {
			doubts = append(doubts, err.Error())
		} else if age := job.Now.Sub(info.ModTime()); age > osvStale {
			doubts = append(doubts, fmt.Sprintf("the database of %s is %d days old", filepath.Base(filepath.Dir(file)), int(age.Hours()/24)))
		}
	}
	return doubts
}

// packageLines returns the lines of packages in a lock file of npm or a go.mod.
func packageLines(workspace, file string) map[string]int {
	data, err := read(workspace, file)
	if err != nil {
		return nil
	}
	lines := map[string]int{}
	switch {
	case path.Base(file) == "go.mod":
		for name, r := range gomod.Requires(data) {
			lines[name] = r.Line
		}
	case slices.Contains(npmLocks, path.Base(file)):
		for key, line := range keyLines(data) {
			if name := nameOf(key); lines[name] == 0 || line < lines[name] {
				lines[name] = line
			}
		}
	}
	return lines
}

// osvNotes says which settings of the repository have no say.
func osvNotes(job scanner.Job) []string {
	var notes []string
	for _, file := range named(job.Tree, "osv-scanner.toml") {
		notes = append(notes, file+" is not used: exceptions belong into the file of waivers")
	}
	return notes
}
