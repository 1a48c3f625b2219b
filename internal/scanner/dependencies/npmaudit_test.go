package dependencies

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/conform"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/npmregistry"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/realtool"
)

// npmProject has a direct vulnerable package, and one below another.
var npmProject = map[string]string{
	"web/package.json": `{"name": "shop", "version": "1.0.0", "dependencies": {"lodash": "4.17.15", "mkdirp": "0.5.1"}}`,
	"web/package-lock.json": `{
  "name": "shop",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {
    "": {"name": "shop", "version": "1.0.0", "dependencies": {"lodash": "4.17.15", "mkdirp": "0.5.1"}},
    "node_modules/lodash": {"version": "4.17.15"},
    "node_modules/minimist": {"version": "0.0.8"},
    "node_modules/mkdirp": {"version": "0.5.1", "dependencies": {"minimist": "0.0.8"}}
  }
}
`,
	// npm must not ask where the repository says.
	"web/.npmrc": "registry=http://127.0.0.1:1/\naudit=false\noffline=true\n",
	".npmrc":     "registry=http://127.0.0.1:1/\n",
}

func npmJob(t *testing.T, files map[string]string) (scanner.Job, *npmregistry.Server) {
	t.Helper()
	job, registry := realtool.Job(t, files), npmregistry.New(t)
	job.Settings[NPMRegistry] = registry.URL
	return job, registry
}

func TestNPMAuditFindsAdvisoriesByTheRealNPM(t *testing.T) {
	t.Parallel()
	npm := need(t, "npm")
	job, registry := npmJob(t, npmProject)
	report, err := realtool.Scan(t, NPMAudit{}, npm, job)
	if err != nil {
		t.Fatal(err)
	}
	// Five advisories of two packages. mkdirp has none of its own.
	want := map[string]string{
		"GHSA-35jh-r3h4-6jhm": "lodash high 7.2", "GHSA-29mw-wpgm-hmr9": "lodash moderate 5.3", "GHSA-p6mc-m468-83gw": "lodash high 7.4",
		"GHSA-vh95-rmgr-6w4m": "minimist moderate 5.6", "GHSA-xvch-5gv4-984h": "minimist critical 9.8",
	}
	for _, s := range report.Sightings {
		if got := describe(s); got != want[s.Rule] {
			t.Errorf("%s: got %q, want %q", s.Rule, got, want[s.Rule])
		}
		delete(want, s.Rule)
		if s.Location.Path != "web/package-lock.json" || s.Location.Line == 0 {
			t.Errorf("%s: location %+v", s.Rule, s.Location)
		}
		if direct := s.Package.Name == "lodash"; s.Package.Direct != direct {
			t.Errorf("%s: direct = %v, want %v", s.Package.Name, s.Package.Direct, direct)
		}
	}
	if len(want) > 0 || len(report.Sightings) != 5 {
		t.Errorf("%d sightings, not found: %v", len(report.Sightings), want)
	}
	if report.Coverage.Packages != 3 || report.Coverage.PackagesExpected != 3 || len(report.Doubts) > 0 {
		t.Errorf("coverage %+v, doubts %q", report.Coverage, report.Doubts)
	}
	if got := registry.Asked("minimist"); !slices.Equal(got, []string{"0.0.8"}) {
		t.Errorf("npm asked about minimist %v", got)
	}
	if len(report.Notes) != 2 || !strings.Contains(report.Notes[1], "web/.npmrc is not used") {
		t.Errorf("notes %q", report.Notes)
	}
}

func TestNPMAuditFindsItsPlantAndNoticesASilentRegistry(t *testing.T) {
	t.Parallel()
	npm := need(t, "npm")
	job, registry := npmJob(t, nil)
	planted := realtool.Planted(t, NPMAudit{}, job)
	report, err := realtool.Scan(t, NPMAudit{}, npm, planted)
	if err != nil || !slices.ContainsFunc(report.Sightings, NPMAudit{}.Plant().Found) {
		t.Fatalf("the plant is not found: %v, %v", report.Sightings, err)
	}
	registry.Silence()
	report, err = realtool.Scan(t, NPMAudit{}, npm, realtool.Planted(t, NPMAudit{}, job))
	if err != nil || slices.ContainsFunc(report.Sightings, NPMAudit{}.Plant().Found) {
		t.Fatalf("a silent registry: %v, %v", report.Sightings, err)
	}
}

func TestNPMAuditReadsALockFileOfVersion1AndWorkspaces(t *testing.T) {
	t.Parallel()
	npm := need(t, "npm")
	job, _ := npmJob(t, map[string]string{
		"old/package.json":      `{"name": "old", "version": "1.0.0", "dependencies": {"mkdirp": "0.5.1"}}`,
		"old/package-lock.json": `{"name": "old", "version": "1.0.0", "lockfileVersion": 1, "requires": true, "dependencies": {"minimist": {"version": "0.0.8"}, "mkdirp": {"version": "0.5.1", "requires": {"minimist": "0.0.8"}}}}`,
	})
	report, err := realtool.Scan(t, NPMAudit{}, npm, job)
	if err != nil || len(report.Sightings) != 2 || report.Sightings[0].Package.Version != "0.0.8" || report.Coverage.PackagesExpected != 2 {
		t.Errorf("version 1: %+v, %v", report, err)
	}
	job, _ = npmJob(t, map[string]string{
		"package.json":            `{"name": "root", "version": "1.0.0", "workspaces": ["packages/*"]}`,
		"packages/a/package.json": `{"name": "a", "version": "1.0.0", "dependencies": {"minimist": "0.0.8"}}`,
		"package-lock.json": `{"name": "root", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
"": {"name": "root", "version": "1.0.0", "workspaces": ["packages/*"]},
"node_modules/a": {"resolved": "packages/a", "link": true},
"node_modules/minimist": {"version": "0.0.8"},
"packages/a": {"version": "1.0.0", "dependencies": {"minimist": "0.0.8"}}}}`,
	})
	report, err = realtool.Scan(t, NPMAudit{}, npm, job)
	if err != nil || len(report.Sightings) != 2 || report.Coverage.Packages < report.Coverage.PackagesExpected {
		t.Errorf("workspaces: %+v, %v", report, err)
	}
}

func TestNPMAuditTellsWhyItCouldNotAudit(t *testing.T) {
	t.Parallel()
	npm := need(t, "npm")
	job, _ := npmJob(t, npmProject)
	job.Settings[NPMRegistry] += "nothing-here/" // answers 405, as npm's registry does where the endpoint is closed
	_, err := realtool.Scan(t, NPMAudit{}, npm, job)
	if err == nil || !strings.Contains(err.Error(), "405 Method Not Allowed") {
		t.Errorf("a refused request: %v", err)
	}
	broken, _ := npmJob(t, map[string]string{"package.json": `{"name": "x"}`, "package-lock.json": `{"lockfileVersion": 3, "packages": {`})
	if _, err := realtool.Scan(t, NPMAudit{}, npm, broken); err == nil {
		t.Error("a broken lock file makes no error")
	}
	job.Offline = true
	if _, err := (NPMAudit{}).Commands(job); err == nil {
		t.Error("an offline audit makes no error")
	}
}

func TestNPMAuditSaysWhatItDoesNotRead(t *testing.T) {
	t.Parallel()
	yarn := scanner.Job{Tree: scanner.Tree{Files: []string{"a/package.json", "a/yarn.lock"}}}
	if applies, why := (NPMAudit{}).Applies(yarn); applies || !strings.Contains(why, "npm does not read a/yarn.lock") {
		t.Errorf("yarn: %v %q", applies, why)
	}
	both := scanner.Tree{Files: []string{"a/yarn.lock", "b/package-lock.json", "c/package-lock.json", "c/yarn.lock"}}
	if got := npmUnseen(both); len(got) != 1 || !strings.HasPrefix(got[0], "a/yarn.lock was not audited") {
		t.Errorf("unseen = %q", got)
	}
	shrink := scanner.Tree{Files: []string{"node_modules/x/package-lock.json", "npm-shrinkwrap.json", "package-lock.json"}}
	if got := npmLockFiles(shrink); !slices.Equal(got, []string{"npm-shrinkwrap.json"}) {
		t.Errorf("lock files = %q", got)
	}
}

// npmCase is the report of the real npm of npmProject, see testdata/SOURCE.
func npmCase(t testing.TB) conform.Case {
	t.Helper()
	job := realtool.Job(t, npmProject)
	commands, err := NPMAudit{}.Commands(job)
	if err != nil || len(commands) != 1 {
		t.Fatalf("commands = %v, %v", commands, err)
	}
	return conform.Case{Program: NPMAudit{}, Job: job, Command: commands[0], Report: testdata(t, "npm-audit.json"), Status: 1}
}

func TestNPMAuditTakesOnlyWholeReports(t *testing.T) {
	t.Parallel()
	c := npmCase(t)
	if got := c.Read(t); len(got.Sightings) != 5 {
		t.Errorf("%d sightings, want 5", len(got.Sightings))
	}
	c.Refuses(t)
	for name, text := range map[string]string{
		"version 1":          `{"auditReportVersion": 1, "vulnerabilities": {}, "metadata": {"dependencies": {"total": 3}}}`,
		"npm 6":              `{"actions": [], "advisories": {}, "muted": [], "metadata": {}, "runId": "x"}`,
		"no metadata":        `{"auditReportVersion": 2, "vulnerabilities": {}}`,
		"no vulnerabilities": `{"auditReportVersion": 2, "metadata": {"dependencies": {"total": 3}}}`,
		"ENOLOCK":            `{"error": {"code": "ENOLOCK", "summary": "This command requires an existing lockfile."}}`,
		"a lost source":      `{"auditReportVersion": 2, "vulnerabilities": {"a": {"name": "a", "via": ["b"]}}, "metadata": {"dependencies": {"total": 3}}}`,
	} {
		_, err := c.Program.Read(c.Job, c.Command, isolate.Ran{Ending: isolate.Exited, Status: 1, Stdout: []byte(text)})
		if err == nil || name == "ENOLOCK" && !strings.Contains(err.Error(), "ENOLOCK This command requires") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzNPMAudit(f *testing.F) { npmCase(f).Fuzz(f) }

func BenchmarkNPMAudit100k(b *testing.B) {
	c := npmCase(b)
	var text strings.Builder
	text.WriteString(`{"auditReportVersion": 2, "vulnerabilities": {`)
	for i := range 100_000 {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `"p%d": {"name": "p%d", "severity": "high", "isDirect": false, "via": [{"source": %d, "name": "p%d", "dependency": "p%d",
"title": "Command Injection", "url": "https://github.com/advisories/GHSA-35jh-r3h4-6jhm", "severity": "high", "cwe": ["CWE-77"],
"cvss": {"score": 7.2, "vectorString": "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"}, "range": "<4.17.21"}], "effects": [],
"range": "<=4.17.20", "nodes": ["node_modules/p%d"], "fixAvailable": true}`, i, i, i, i, i, i)
	}
	text.WriteString(`}, "metadata": {"dependencies": {"total": 100000}}}`)
	c.Report = []byte(text.String())
	benchmark(b, c)
}

func describe(s finding.Sighting) string {
	return strings.Join([]string{s.Package.Name, s.Rating.Word, number(s.Rating.Score)}, " ")
}
