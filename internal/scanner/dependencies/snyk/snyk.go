// Package snyk is the adapter of Snyk, for packages with known vulnerabilities.
package snyk

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/advisory"
	"github.com/candlefish/deploy-action/internal/scanner/dependencies"
)

// Snyk asks the service of Snyk about the packages of lock files. It is the only
// scanner that gets a token, and gets no other.
type Snyk struct{}

// snykLocks are the files of which Snyk reports under their own name.
var snykLocks = []string{"package-lock.json", "yarn.lock", "go.mod", "Gemfile.lock", "composer.lock", "pom.xml"}

// About describes it.
func (Snyk) About() scanner.About {
	return scanner.About{
		Name: "snyk", Class: finding.ClassDependency, Does: "advisories of packages, by Snyk",
		Tool: "snyk", Network: true, Time: 10 * time.Minute, Secret: "SNYK_TOKEN",
	}
}

// snykFiles returns the files of which Snyk must report.
func snykFiles(job scanner.Job) []string {
	return dependencies.LockFiles(job, snykLocks...)
}

// Applies reports whether there are lock files.
func (Snyk) Applies(job scanner.Job) (bool, string) {
	files := snykFiles(job)
	if len(files) == 0 {
		return false, "no lock file that Snyk reads"
	}
	return true, fmt.Sprintf("%d lock file(s)", len(files))
}

// Plant is a lock file with a version of lodash that has advisories since 2020.
func (Snyk) Plant() scanner.Plant { return dependencies.NPMAudit{}.Plant() }

// Commands tests all projects at once. One that cannot be tested fails all, and a
// .snyk file or a policy of the service hides nothing.
func (Snyk) Commands(job scanner.Job) ([]isolate.Command, error) {
	if job.Offline {
		return nil, errors.New("snyk asks its service, and this scan is offline")
	}
	return []isolate.Command{{
		Args:    []string{"test", "--json", "--all-projects", "--detection-depth=8", "--fail-fast", "--ignore-policy", "--dev"},
		Env:     []string{"SNYK_TOKEN=" + job.Secret, "SNYK_DISABLE_ANALYTICS=1"},
		Network: true,
	}}, nil
}

// snykResult is what snyk test --json prints for a project; for several it prints a
// list. Source: src/lib/snyk-test/legacy.ts and
// src/lib/formatters/test/format-test-results.ts of Snyk's CLI.
type snykResult struct {
	OK              *bool       `json:"ok"`
	Error           string      `json:"error"`
	Path            string      `json:"path"`
	Vulnerabilities *[]snykVuln `json:"vulnerabilities"`
	Dependencies    int         `json:"dependencyCount"`
	Manager         string      `json:"packageManager"`
	Target          string      `json:"displayTargetFile"`
}

type snykVuln struct {
	ID          string              `json:"id"`
	Type        string              `json:"type"` // "license" for what is no vulnerability
	Title       string              `json:"title"`
	Severity    string              `json:"severity"`
	Score       float64             `json:"cvssScore"`
	Vector      string              `json:"CVSSv3"`
	Identifiers map[string][]string `json:"identifiers"`
	PackageName string              `json:"packageName"`
	Name        string              `json:"name"`
	Version     string              `json:"version"`
	From        []string            `json:"from"` // the way from the project to the package
	FixedIn     []string            `json:"fixedIn"`
	Published   time.Time           `json:"publicationTime"`
	Disclosed   time.Time           `json:"disclosureTime"`
}

// Read reads a test. Exit status 1 says that it found something, 2 that it failed, 3
// that there was nothing to test.
func (Snyk) Read(job scanner.Job, _ isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	if ran.Ending == isolate.Exited && !slices.Contains([]int{0, 1}, ran.Status) {
		var failed snykResult
		if output.JSON(ran.Stdout, &failed) == nil && failed.Error != "" {
			return scanner.Report{}, fmt.Errorf("snyk: exit status %d: %s", ran.Status, output.Cut(failed.Error, 300))
		}
	}
	if err := output.Whole(ran, 0, 1); err != nil {
		return scanner.Report{}, fmt.Errorf("snyk: %w", err)
	}
	results, err := snykResults(ran.Stdout)
	if err != nil {
		return scanner.Report{}, fmt.Errorf("snyk: %w", err)
	}
	report := scanner.Report{Coverage: verdict.Unknown()}
	seen, packages, licences := map[string]bool{}, 0, 0
	for _, result := range results {
		file := snykFile(job, result)
		seen[file] = true
		packages += result.Dependencies
		sightings, others := result.sightings(file)
		report.Sightings = append(report.Sightings, sightings...)
		licences += others
	}
	expected := snykFiles(job)
	report.Coverage.Files, report.Coverage.FilesExpected, report.Coverage.Packages = len(seen), len(expected), packages
	for _, file := range expected {
		if !seen[file] {
			report.Doubts = append(report.Doubts, "Snyk did not test "+file)
		}
	}
	if licences > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("%d results about licences are not security findings", licences))
	}
	return report, nil
}

// snykResults reads one result or a list of them. Each must be one: with ok and a
// list of vulnerabilities, and without an error.
func snykResults(data []byte) ([]snykResult, error) {
	var results []snykResult
	if strings.HasPrefix(strings.TrimSpace(string(data[:min(len(data), 64)])), "{") {
		results = make([]snykResult, 1)
		if err := output.JSON(data, &results[0]); err != nil {
			return nil, err
		}
	} else if err := output.JSON(data, &results); err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, errors.New("it tested no project")
	}
	for i, result := range results {
		if result.Error != "" {
			return nil, fmt.Errorf("project %s: %s", result.Path, output.Cut(result.Error, 300))
		}
		if result.OK == nil || result.Vulnerabilities == nil {
			return nil, fmt.Errorf("result %d is not whole: it has no ok or no vulnerabilities", i+1)
		}
	}
	return results, nil
}

// snykFile is the file of a project, relative to the workspace.
func snykFile(job scanner.Job, r snykResult) string {
	if rel, err := filepath.Rel(job.Workspace, filepath.Join(r.Path, r.Target)); err == nil && filepath.IsLocal(rel) && !strings.Contains(r.Target, "/") {
		return filepath.ToSlash(rel)
	}
	return path.Clean(filepath.ToSlash(r.Target))
}

// sightings returns one for each vulnerability of a package, which Snyk lists once
// for each way to it, and how many results are about licences.
func (r snykResult) sightings(file string) (sightings []finding.Sighting, licences int) {
	type key struct{ id, name, version string }
	at := map[key]int{}
	for _, v := range *r.Vulnerabilities {
		if v.Type == "license" {
			licences++
			continue
		}
		name := v.PackageName
		if name == "" {
			name = v.Name
		}
		direct := len(v.From) == 2
		k := key{v.ID, name, v.Version}
		if i, known := at[k]; known {
			sightings[i].Package.Direct = sightings[i].Package.Direct || direct
			continue
		}
		at[k] = len(sightings)
		sightings = append(sightings, v.sighting(name, file, snykEcosystem(r.Manager), direct))
	}
	return sightings, licences
}

func (v snykVuln) sighting(name, file, ecosystem string, direct bool) finding.Sighting {
	s := finding.Sighting{
		Tool: "snyk", Rule: v.ID, Class: finding.ClassDependency, Title: v.Title, Help: "https://security.snyk.io/vuln/" + v.ID,
		CWE: v.Identifiers["CWE"], Known: v.Published, IDs: []string{v.ID},
		Message:  fmt.Sprintf("%s %s: %s (by %s)", name, v.Version, v.Title, strings.Join(v.From, " > ")),
		Rating:   finding.Rating{Word: v.Severity, Score: v.Score},
		Location: finding.Location{Path: file},
		Package:  finding.Package{Ecosystem: ecosystem, Name: name, Version: advisory.Version(ecosystem, v.Version), Fixed: strings.Join(v.FixedIn, ", "), Direct: direct},
	}
	if s.Title == "" {
		s.Title = v.ID
	}
	if s.Rating.Score == 0 {
		s.Rating.Score = advisory.Score(v.Vector)
	}
	if s.Known.IsZero() {
		s.Known = v.Disclosed
	}
	for _, kind := range []string{"CVE", "GHSA"} {
		s.IDs = append(s.IDs, v.Identifiers[kind]...)
	}
	return s
}

// snykEcosystem translates Snyk's package managers to the ecosystems of the OSV schema.
func snykEcosystem(manager string) string {
	switch manager {
	case "npm", "yarn", "pnpm":
		return "npm"
	case "gomodules", "golangdep", "govendor":
		return "Go"
	case "pip", "poetry":
		return "PyPI"
	case "rubygems":
		return "RubyGems"
	case "maven", "gradle", "sbt":
		return "Maven"
	case "nuget", "paket":
		return "NuGet"
	case "composer":
		return "Packagist"
	case "hex":
		return "Hex"
	}
	return manager
}
