package dependencies

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/advisory"
)

// npmReport is the output of npm audit --json, version 2 since npm 7. Source:
// toJSON in @npmcli/arborist/lib/audit-report.js and lib/vuln.js.
type npmReport struct {
	AuditReportVersion int                `json:"auditReportVersion"`
	Vulnerabilities    map[string]npmVuln `json:"vulnerabilities"`
	Metadata           *struct {
		Dependencies struct{ Total int } `json:"dependencies"`
	} `json:"metadata"`
	// Message and Error are there instead if npm could not audit.
	Message    string          `json:"message"`
	StatusCode int             `json:"statusCode"`
	Error      json.RawMessage `json:"error"`
}

type npmVuln struct {
	Name         string            `json:"name"`
	IsDirect     bool              `json:"isDirect"`
	Via          []json.RawMessage `json:"via"` // an advisory, or the name of a package that has one
	Nodes        []string          `json:"nodes"`
	FixAvailable json.RawMessage   `json:"fixAvailable"` // false, true or an object
}

type npmAdvisory struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	URL      string   `json:"url"`
	Severity string   `json:"severity"`
	CWE      []string `json:"cwe"`
	CVSS     struct {
		Score  float64 `json:"score"`
		Vector string  `json:"vectorString"`
	} `json:"cvss"`
	Range string `json:"range"`
}

// Read reads one audit.
func (NPMAudit) Read(job scanner.Job, cmd isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	var npm npmReport
	if err := readNPM(ran, &npm); err != nil {
		return scanner.Report{}, fmt.Errorf("npm audit: %w", err)
	}
	lock, err := npmLockOf(job, cmd)
	if err != nil {
		return scanner.Report{}, fmt.Errorf("npm audit: %w", err)
	}
	report := scanner.Report{Coverage: verdict.Unknown(), Notes: npmNotes(job, lock), Doubts: npmUnseen(job.Tree)}
	report.Coverage.Files, report.Coverage.FilesExpected = 1, 1
	report.Coverage.Packages, report.Coverage.PackagesExpected = npm.Metadata.Dependencies.Total, lock.size()
	if got, want := report.Coverage.Packages, report.Coverage.PackagesExpected; got < want {
		report.Doubts = append(report.Doubts, fmt.Sprintf("npm audited %d of the %d packages of %s", got, want, lock.path))
	}
	for _, name := range slices.Sorted(maps.Keys(npm.Vulnerabilities)) {
		sightings, err := npm.Vulnerabilities[name].sightings(lock, npm.Vulnerabilities)
		if err != nil {
			return scanner.Report{}, fmt.Errorf("npm audit: vulnerabilities of %s: %w", name, err)
		}
		report.Sightings = append(report.Sightings, sightings...)
	}
	return report, nil
}

// readNPM reads the JSON, and tells npm's own errors.
func readNPM(ran isolate.Ran, npm *npmReport) error {
	whole := output.Whole(ran, 0, 1) // 1: it found something, or could not audit
	if whole != nil && (ran.Ending != isolate.Exited || ran.Truncated || len(ran.Stdout) == 0) {
		return whole
	}
	if err := output.JSON(ran.Stdout, npm); err != nil {
		return errors.Join(whole, err)
	}
	if npm.Message != "" || len(npm.Error) > 0 {
		return fmt.Errorf("it could not audit: %s", npm.trouble())
	}
	if whole != nil {
		return whole
	}
	if npm.AuditReportVersion != 2 || npm.Metadata == nil || npm.Vulnerabilities == nil {
		return fmt.Errorf("the report has version %d and is not whole, want version 2 of npm 7 and later", npm.AuditReportVersion)
	}
	return nil
}

// trouble is the text of an error of npm.
func (r npmReport) trouble() string {
	var e struct{ Code, Summary, Detail string }
	if json.Unmarshal(r.Error, &e) != nil {
		return strings.TrimSpace(r.Message + " " + string(r.Error))
	}
	return strings.Join(strings.Fields(r.Message+" "+e.Code+" "+e.Summary), " ")
}

// sightings returns one for each advisory of the package itself and each version
// of it in the lock file. A name in via is a dependency with its own entry, which
// must be there: else an advisory is missing.
func (v npmVuln) sightings(lock npmLock, all map[string]npmVuln) ([]finding.Sighting, error) {
	var sightings []finding.Sighting
	for _, via := range v.Via {
		var name string
		if json.Unmarshal(via, &name) == nil {
			if _, ok := all[name]; !ok {
				return nil, fmt.Errorf("they come from %s, which the report does not have", name)
			}
			continue
		}
		var a npmAdvisory
		if err := json.Unmarshal(via, &a); err != nil {
			return nil, err
		}
		if a.Title == "" || a.URL == "" || v.Name == "" {
			return nil, errors.New("an advisory has no title, no URL or no package")
		}
		for _, version := range lock.versions(v.Nodes) {
			sightings = append(sightings, v.sighting(a, version, lock))
		}
	}
	return sightings, nil
}

// sighting makes one of an advisory.
func (v npmVuln) sighting(a npmAdvisory, version string, lock npmLock) finding.Sighting {
	ids := advisory.IDs(a.URL)
	s := finding.Sighting{
		Tool: "npm-audit", Rule: a.URL, Class: finding.ClassDependency, Title: a.Title, Help: a.URL, CWE: a.CWE, IDs: ids,
		Message:  fmt.Sprintf("%s %s: %s (versions %s; %s)", v.Name, version, a.Title, a.Range, v.fix()),
		Rating:   finding.Rating{Word: a.Severity, Score: a.CVSS.Score},
		Location: finding.Location{Path: lock.path, Line: lock.line(v.Nodes)},
		Package:  finding.Package{Ecosystem: "npm", Name: v.Name, Version: version, Fixed: fixedOf(a.Range), Direct: v.IsDirect},
	}
	if len(ids) > 0 {
		s.Rule = ids[0]
	}
	if s.Rating.Score == 0 {
		s.Rating.Score = advisory.Score(a.CVSS.Vector)
	}
	return s
}

// fix says in words what npm says of a fix.
func (v npmVuln) fix() string {
	var update struct {
		Name, Version string
		IsSemVerMajor bool
	}
	switch {
	case string(v.FixAvailable) == "true":
		return "npm audit fix repairs it"
	case json.Unmarshal(v.FixAvailable, &update) == nil && update.Name != "":
		if update.IsSemVerMajor {
			return fmt.Sprintf("repaired by %s %s, a breaking change", update.Name, update.Version)
		}
		return fmt.Sprintf("repaired by %s %s", update.Name, update.Version)
	}
	return "npm knows no fix"
}

// fixedOf is the first version after a range of the form "<1.2.3" or
// ">=1.0.0 <1.2.3", and "" for any other.
func fixedOf(versions string) string {
	fields := strings.Fields(versions)
	if len(fields) == 0 || strings.Contains(versions, "||") {
		return ""
	}
	last, ok := strings.CutPrefix(fields[len(fields)-1], "<")
	if !ok || strings.HasPrefix(last, "=") {
		return ""
	}
	return last
}

// npmNotes says which settings of the repository were not used.
func npmNotes(job scanner.Job, lock npmLock) []string {
	var notes []string
	for _, file := range job.Tree.Files {
		if filepath.Base(file) == ".npmrc" && !Vendored(file) {
			notes = append(notes, file+" is not used: registries and scripts of the repository have no say in its audit")
		}
	}
	if lock.both {
		notes = append(notes, lock.path+" was audited, and not the package-lock.json beside it, as npm does")
	}
	return notes
}
