package images

import (
	"cmp"
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
)

// trivyReport is the JSON report. Source: pkg/types of Trivy 0.74.
type trivyReport struct {
	SchemaVersion int    `json:"SchemaVersion"`
	ArtifactName  string `json:"ArtifactName"`
	Trivy         struct{ Version string }
	Metadata      struct {
		ImageID     string
		RepoTags    []string
		RepoDigests []string
		OS          *struct {
			Family, Name string
			EOSL         bool
		}
	}
	Results []trivyResult
}

type trivyResult struct {
	Target, Class, Type string
	Packages            []trivyPackage
	Vulnerabilities     []trivyVuln
	Misconfigurations   []trivyMisconf
}

type trivyPackage struct {
	ID           string
	Name         string
	Relationship string
	Locations    []struct{ StartLine, EndLine int }
}

type trivyVuln struct {
	VulnerabilityID  string
	VendorIDs        []string
	PkgID            string
	PkgName          string
	PkgPath          string
	InstalledVersion string
	FixedVersion     string
	Status           string
	SeveritySource   string
	PrimaryURL       string
	Title            string
	Description      string
	Severity         string
	CweIDs           []string
	CVSS             map[string]struct{ V3Score, V40Score float64 }
	References       []string
	PublishedDate    time.Time
}

type trivyMisconf struct {
	ID, Title, Description, Message, Resolution, Severity, PrimaryURL, Status string
	CauseMetadata                                                             struct {
		StartLine, EndLine int
		Code               struct {
			Lines []struct {
				Number     int
				Content    string
				FirstCause bool
			}
		}
	}
}

// read reads a scan, or what the command "version" says of the database. Expected
// are the files that a whole scan reports of.
func (t trivy) read(job scanner.Job, cmd isolate.Command, ran isolate.Ran, expected []string) (scanner.Report, error) {
	if err := output.Whole(ran, 0); err != nil {
		return scanner.Report{}, fmt.Errorf("%s: %w", t.name, err)
	}
	if slices.Contains(cmd.Args[:min(len(cmd.Args), 2)], "version") {
		return t.database(ran.Stdout)
	}
	var raw trivyReport
	if err := output.JSON(ran.Stdout, &raw); err != nil {
		return scanner.Report{}, fmt.Errorf("%s: %w", t.name, err)
	}
	if raw.SchemaVersion != 2 || raw.ArtifactName == "" {
		return scanner.Report{}, fmt.Errorf("%s: not a report of Trivy: its schema version is %d, want 2", t.name, raw.SchemaVersion)
	}
	report := scanner.Report{Coverage: verdict.Unknown(), Version: raw.Trivy.Version, Notes: notes(job)}
	seen := map[string]bool{}
	packages := 0
	for _, result := range raw.Results {
		if t.class == finding.ClassImage || has(job.Tree, filepath.ToSlash(result.Target)) { // not ".", a module of Terraform
			seen[filepath.ToSlash(result.Target)] = true
		}
		packages += len(result.Packages)
		report.Sightings = append(report.Sightings, t.sightings(raw, result)...)
	}
	t.cover(&report, raw, packages)
	if t.class == finding.ClassImage {
		return report, nil
	}
	report.Doubts = append(report.Doubts, unseen(expected, seen)...)
	if len(seen)+len(expected) == 0 {
		report.Notes = append(report.Notes, "none of the files has a form that Trivy knows")
		return report, nil
	}
	report.Coverage.Files, report.Coverage.FilesExpected = len(seen), len(expected)
	return report, nil
}

// cover says how many packages were seen, and what that leaves in doubt.
func (t trivy) cover(report *scanner.Report, raw trivyReport, packages int) {
	if t.class == finding.ClassConfig {
		return
	}
	report.Coverage.Packages = packages
	if t.class != finding.ClassImage {
		return
	}
	if packages == 0 {
		report.Doubts = append(report.Doubts, "no packages were found in "+reference(raw))
	}
	if os := raw.Metadata.OS; os != nil && os.EOSL {
		report.Sightings = append(report.Sightings, finding.Sighting{
			Tool: t.name, Rule: "end-of-life", Class: t.class, Title: "The image's distribution gets no more fixes",
			Message:  fmt.Sprintf("%s %s has no more advisories and fixes from its makers: what Trivy finds in it is not all", os.Family, os.Name),
			Rating:   finding.Rating{Word: "high"},
			Location: finding.Location{Image: reference(raw)},
		})
	}
}

// database reads the age of the database. Without one a scan is worth nothing.
func (t trivy) database(data []byte) (scanner.Report, error) {
	var raw struct {
		Version         string
		VulnerabilityDB *struct{ UpdatedAt time.Time }
	}
	if err := output.JSON(data, &raw); err != nil {
		return scanner.Report{}, fmt.Errorf("%s: version: %w", t.name, err)
	}
	if raw.VulnerabilityDB == nil || raw.VulnerabilityDB.UpdatedAt.IsZero() {
		return scanner.Report{}, fmt.Errorf("%s: %w", t.name, errors.New("it has no database of vulnerabilities"))
	}
	return scanner.Report{Coverage: verdict.Unknown(), Database: raw.VulnerabilityDB.UpdatedAt, Version: raw.Version}, nil
}

// sightings returns those of one file, or of one part of an image.
func (t trivy) sightings(raw trivyReport, result trivyResult) []finding.Sighting {
	var sightings []finding.Sighting
	by := make(map[string]trivyPackage, len(result.Packages))
	for _, p := range result.Packages {
		by[p.ID] = p
	}
	for _, v := range result.Vulnerabilities {
		s := t.vulnerability(v, result, by[v.PkgID])
		if result.Class == "os-pkgs" {
			s.Package.Ecosystem = distribution(raw)
		}
		if t.class == finding.ClassImage {
			s.Location = finding.Location{Image: reference(raw), Path: v.PkgPath}
		}
		sightings = append(sightings, s)
	}
	for _, m := range result.Misconfigurations {
		if m.Status == "FAIL" {
			sightings = append(sightings, t.misconfiguration(m, result))
		}
	}
	return sightings
}

func (t trivy) vulnerability(v trivyVuln, result trivyResult, p trivyPackage) finding.Sighting {
	ecosystem := ecosystemOf(result)
	fixed := v.Status
	if v.FixedVersion != "" {
		fixed = "fixed in " + v.FixedVersion
	}
	s := finding.Sighting{
		Tool: t.name, Rule: v.VulnerabilityID, Class: t.class, Help: v.PrimaryURL, CWE: v.CweIDs, Known: v.PublishedDate,
		Title:   v.Title,
		Message: fmt.Sprintf("%s %s: %s (%s)", v.PkgName, v.InstalledVersion, v.VulnerabilityID, fixed),
		IDs:     ids(v),
		Rating:  finding.Rating{Word: word(v.Severity), Score: score(v)},
		Package: finding.Package{
			Ecosystem: ecosystem, Name: v.PkgName, Version: advisory.Version(ecosystem, v.InstalledVersion),
			Fixed: advisory.Version(ecosystem, v.FixedVersion), Direct: p.Relationship == "direct",
		},
		Location: finding.Location{Path: filepath.ToSlash(result.Target)},
	}
	if s.Title == "" {
		s.Title = v.VulnerabilityID + " in " + v.PkgName
	}
	if len(p.Locations) > 0 {
		s.Location.Line, s.Location.End = p.Locations[0].StartLine, p.Locations[0].EndLine
	}
	return s
}

// ids are the identifiers: the tool's own, those of vendors that stand for the same
// problem, and the advisory of GitHub in its references. Vendors' bulletins, as of
// Debian, are about several, and other references may be of related problems.
func ids(v trivyVuln) []string {
	all := append([]string{v.VulnerabilityID}, advisory.IDs(v.VendorIDs...)...)
	for _, ref := range v.References {
		if strings.HasPrefix(ref, "https://github.com/advisories/GHSA-") && v.SeveritySource == "ghsa" {
			all = append(all, advisory.IDs(ref)...)
		}
	}
	var once []string
	for _, id := range all {
		if id != "" && !slices.Contains(once, id) {
			once = append(once, id)
		}
	}
	return once
}

// word is the severity's word; Trivy's UNKNOWN says nothing.
func word(severity string) string {
	if severity == "UNKNOWN" {
		return ""
	}
	return strings.ToLower(severity)
}

// score is the CVSS score of the source that gave the severity, and else NVD's.
func score(v trivyVuln) float64 {
	for _, source := range []string{v.SeveritySource, "nvd", "ghsa"} {
		if c := v.CVSS[source]; c.V40Score > 0 {
			return c.V40Score
		} else if c.V3Score > 0 {
			return c.V3Score
		}
	}
	return 0
}

// ecosystemOf translates Trivy's types to the ecosystems of the OSV schema.
func ecosystemOf(result trivyResult) string {
	switch result.Type {
	case "npm", "yarn", "pnpm", "bun", "node-pkg":
		return "npm"
	case "gomod", "gobinary":
		return "Go"
	case "pip", "pipenv", "poetry", "uv", "pylock", "python-pkg":
		return "PyPI"
	case "bundler", "gemspec":
		return "RubyGems"
	case "cargo", "rustbinary":
		return "crates.io"
	case "composer", "composer-vendor":
		return "Packagist"
	case "pom", "gradle", "jar", "sbt":
		return "Maven"
	case "nuget", "dotnet-core", "packages-props":
		return "NuGet"
	case "hex":
		return "Hex"
	case "pub":
		return "Pub"
	}
	return result.Type
}

// distribution is the ecosystem of an image's own packages: "Debian:12",
// "Alpine:v3.20".
func distribution(raw trivyReport) string {
	os := raw.Metadata.OS
	if os == nil || os.Family == "" {
		return ""
	}
	family, release := strings.ToUpper(os.Family[:1])+os.Family[1:], os.Name
	major, rest, _ := strings.Cut(release, ".")
	switch os.Family {
	case "debian":
		release = major
	case "alpine":
		minor, _, _ := strings.Cut(rest, ".")
		release = "v" + major + "." + minor
	}
	return family + ":" + release
}

func (t trivy) misconfiguration(m trivyMisconf, result trivyResult) finding.Sighting {
	title := cmp.Or(m.Title, m.Message, m.ID, "A misconfiguration without a name")
	s := finding.Sighting{
		Tool: t.name, Rule: m.ID, Class: finding.ClassConfig, Title: title, Help: m.PrimaryURL,
		Message:  strings.TrimSpace(cmp.Or(m.Message, title) + ". " + m.Resolution),
		Rating:   finding.Rating{Word: word(m.Severity)},
		Location: finding.Location{Path: filepath.ToSlash(result.Target), Line: m.CauseMetadata.StartLine, End: m.CauseMetadata.EndLine},
	}
	for _, line := range m.CauseMetadata.Code.Lines {
		if line.Number == s.Location.Line {
			s.Location.Context = strings.TrimSpace(line.Content)
		}
	}
	return s
}

// reference names an image by its digest, if it has one.
func reference(raw trivyReport) string {
	switch m := raw.Metadata; {
	case len(m.RepoDigests) > 0:
		return m.RepoDigests[0]
	case len(m.RepoTags) > 0:
		return m.RepoTags[0] + " (" + m.ImageID + ")"
	}
	return raw.ArtifactName
}

// unseen names expected files that the report does not have.
func unseen(expected []string, seen map[string]bool) []string {
	var missing []string
	for _, file := range expected {
		if !seen[file] {
			missing = append(missing, file)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return []string{"Trivy reported nothing of " + strings.Join(missing, ", ")}
}

// notes says which settings of the repository have no say.
func notes(job scanner.Job) []string {
	var notes []string
	for _, file := range job.Tree.Files {
		switch path.Base(file) {
		case ".trivyignore", ".trivyignore.yaml", "trivy.yaml", "trivy-secret.yaml":
			notes = append(notes, file+" is not used: exceptions belong into the file of waivers")
		}
	}
	return notes
}
