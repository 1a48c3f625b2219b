package dependencies

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/conform"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/realtool"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/vulndb"
)

// goMod requires a vulnerable module, and a version of Go without known problems.
const goMod = `module shop.example/api

go 1.99

require (
	golang.org/x/text v0.3.5
	golang.org/x/net v0.0.1 // indirect
)
`

// osvProject has lock files of two ecosystems, one without packages, and an
// osv-scanner.toml that must have no say.
func osvProject() map[string]string {
	files := maps.Clone(npmProject)
	files["api/go.mod"] = goMod
	files["api/osv-scanner.toml"] = "[[IgnoredVulns]]\nid = \"GO-2021-0113\"\n"
	files["package-lock.json"] = `{"lockfileVersion": 3, "packages": {"": {"name": "empty"}}}`
	return files
}

// osvJob returns a job with a local database of today.
func osvJob(t testing.TB, files map[string]string, empty bool) scanner.Job {
	t.Helper()
	job, db := realtool.Job(t, files), t.TempDir()
	vulndb.OSV(t, db, empty)
	job.Settings[OSVDB], job.Now = db, time.Now()
	return job
}

func TestOSVScannerFindsAdvisoriesByTheRealTool(t *testing.T) {
	t.Parallel()
	report, err := realtool.Scan(t, OSVScanner{}, need(t, "osv-scanner"), osvJob(t, osvProject(), false))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range report.Sightings {
		if s.Package.Name != "golang.org/x/net" {
			got = append(got, fmt.Sprintf("%s %s %s:%d fixed %s", strings.Join(s.IDs, " "), describe(s), s.Location.Path, s.Location.Line, s.Package.Fixed))
		}
	}
	want := []string{
		"GO-2021-0113 CVE-2021-38561 GHSA-ppp9-7jff-5vj2 golang.org/x/text  0.0 api/go.mod:6 fixed 0.3.7",
		"GO-2022-1059 CVE-2022-32149 GHSA-69ch-w2m2-3vjp golang.org/x/text  0.0 api/go.mod:6 fixed 0.3.8",
		"GO-2026-5970 CVE-2026-56852 golang.org/x/text  0.0 api/go.mod:6 fixed 0.39.0",
		"GO-2026-6629 CVE-2026-56851 golang.org/x/text  0.0 api/go.mod:6 fixed 0.41.0",
		"GHSA-35jh-r3h4-6jhm CVE-2021-23337 lodash high 7.2 web/package-lock.json:8 fixed 4.17.21",
		"GHSA-p6mc-m468-83gw CVE-2020-8203 lodash high 7.4 web/package-lock.json:8 fixed 4.17.19",
		"GHSA-vh95-rmgr-6w4m CVE-2020-7598 minimist moderate 5.6 web/package-lock.json:9 fixed 0.2.1, 1.2.3",
		"GHSA-xvch-5gv4-984h CVE-2021-44906 minimist critical 9.8 web/package-lock.json:9 fixed 0.2.4, 1.2.6",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c := report.Coverage; c.Files != 2 || c.FilesExpected != 2 || c.Packages < 5 || len(report.Doubts) > 0 {
		t.Errorf("coverage %+v, doubts %q", report.Coverage, report.Doubts)
	}
	if len(report.Notes) != 2 || !strings.Contains(report.Notes[0], "api/osv-scanner.toml is not used") || !strings.Contains(report.Notes[1], "left to govulncheck") {
		t.Errorf("notes %q", report.Notes)
	}
}

func TestOSVScannerFindsItsPlantAndNoticesAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	tool := need(t, "osv-scanner")
	for _, empty := range []bool{false, true} {
		job := realtool.Planted(t, OSVScanner{}, osvJob(t, nil, empty))
		report, err := realtool.Scan(t, OSVScanner{}, tool, job)
		if got := slices.ContainsFunc(report.Sightings, OSVScanner{}.Plant().Found); err != nil || got == empty {
			t.Errorf("database empty %v: the plant is found: %v, %v", empty, got, err)
		}
	}
}

// An ecosystem without a database has no vulnerabilities in the report of the tool.
func TestOSVScannerDoubtsAMissingOrOldDatabase(t *testing.T) {
	t.Parallel()
	tool := need(t, "osv-scanner")
	job := osvJob(t, map[string]string{"requirements.txt": "requests==2.0.0\n", "api/go.mod": goMod}, false)
	report, err := realtool.Scan(t, OSVScanner{}, tool, job)
	if err != nil || len(report.Doubts) != 1 || !strings.HasPrefix(report.Doubts[0], "no database for PyPI ecosystem") {
		t.Errorf("no database: %q, %v", report.Doubts, err)
	}
	job.Now = job.Now.AddDate(0, 2, 0)
	if got := osvOld(job); len(got) != 2 {
		t.Errorf("two months later: %q", got)
	}
}

func TestOSVScannerTellsWhatItCouldNotRead(t *testing.T) {
	t.Parallel()
	tool := need(t, "osv-scanner")
	broken := osvJob(t, map[string]string{"api/go.mod": goMod, "package-lock.json": `{"lockfileVersion": 3, "packages": {`}, false)
	if _, err := realtool.Scan(t, OSVScanner{}, tool, broken); err == nil || !strings.Contains(err.Error(), "127") {
		t.Errorf("a broken lock file: %v", err)
	}
	offline := realtool.Job(t, osvProject())
	offline.Offline = true
	if _, err := (OSVScanner{}).Commands(offline); err == nil {
		t.Error("an offline scan without a database makes no error")
	}
}

func osvCase(t testing.TB) conform.Case {
	t.Helper()
	job := realtool.Job(t, map[string]string{"api/go.mod": goMod, "web/package-lock.json": npmProject["web/package-lock.json"]})
	text := strings.ReplaceAll(string(testdata(t, "osv-scanner.json")), "/workspace", job.Workspace)
	return conform.Case{Program: OSVScanner{}, Job: job, Report: []byte(text), Status: 1}
}

func TestOSVScannerTakesOnlyWholeReports(t *testing.T) {
	t.Parallel()
	c := osvCase(t)
	if got := c.Read(t); len(got.Sightings) != 8 || len(got.Doubts) != 0 {
		t.Errorf("%d sightings, doubts %q", len(got.Sightings), got.Doubts)
	}
	c.Refuses(t)
	c.Report, c.Status = []byte(`{"results": []}`), 0
	if got := c.Read(t); got.Coverage.Files != 0 || len(got.Doubts) != 2 {
		t.Errorf("a report of nothing: %+v", got)
	}
	for _, text := range []string{
		`{"results": [{"source": {"path": "go.mod"}, "packages": [{"package": {"name": "a"}, "vulnerabilities": [{"id": "GO-1"}]}]}]}`,
		`{"results": [{"source": {"path": "go.mod"}, "packages": [{"package": {"name": "a"}, "groups": [{"ids": ["GO-1"]}]}]}]}`,
		`{"results": [{"source": {"path": "go.mod"}, "packages": [{"package": {"name": "a"}, "groups": [{"ids": []}]}]}]}`,
	} {
		if _, err := (OSVScanner{}).Read(c.Job, isolate.Command{}, isolate.Ran{Ending: isolate.Exited, Stdout: []byte(text)}); err == nil {
			t.Errorf("%s is taken for a report", text)
		}
	}
}

// Two databases have the same vulnerability: one sighting with all names.
func TestOSVScannerMakesOneOfAliases(t *testing.T) {
	t.Parallel()
	c := osvCase(t)
	c.Report = []byte(`{"results": [{"source": {"path": "requirements.txt"}, "packages": [{"package": {"name": "a", "version": "1", "ecosystem": "PyPI"},
"groups": [{"ids": ["GHSA-35jh-r3h4-6jhm", "PYSEC-2021-1"], "aliases": ["CVE-2021-1", "GHSA-35jh-r3h4-6jhm", "PYSEC-2021-1"], "max_severity": "9.3"}],
"vulnerabilities": [{"id": "PYSEC-2021-1", "published": "2021-01-01T00:00:00Z"},
{"id": "GHSA-35jh-r3h4-6jhm", "published": "2021-02-01T00:00:00Z", "severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}], "database_specific": {"severity": "MODERATE"}}]}]}]}`)
	got := c.Read(t).Sightings
	if len(got) != 1 || !slices.Equal(got[0].IDs, []string{"GHSA-35jh-r3h4-6jhm", "PYSEC-2021-1", "CVE-2021-1"}) ||
		got[0].Rating != (finding.Rating{Word: "moderate", Score: 9.3}) || got[0].Known.Month() != time.January {
		t.Errorf("%+v", got)
	}
}

// A module that only the go.sum has is reported in the go.mod, as by other scanners.
func TestOSVScannerReportsAGoSumInItsGoMod(t *testing.T) {
	t.Parallel()
	c := osvCase(t)
	c.Report = []byte(`{"results": [{"source": {"path": "` + c.Job.Workspace + `/api/go.sum"}, "packages": [{"package": {"name": "golang.org/x/text", "version": "0.3.3", "ecosystem": "Go"},
"groups": [{"ids": ["GO-2022-1059"]}], "vulnerabilities": [{"id": "GO-2022-1059", "published": "2022-01-01T00:00:00Z"}]}]}]}`)
	got := c.Read(t).Sightings
	if len(got) != 1 || got[0].Location.Path != "api/go.mod" {
		t.Errorf("%+v", got)
	}
}

func FuzzOSVScanner(f *testing.F) { osvCase(f).Fuzz(f) }

func BenchmarkOSVScanner100k(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, `,{"package": {"name": "p%d", "version": "1.0.0", "ecosystem": "npm"}, "groups": [{"ids": ["GHSA-%d"], "aliases": ["CVE-2021-%d", "GHSA-%d"], "max_severity": "7.2"}],
"vulnerabilities": [{"id": "GHSA-%d", "aliases": ["CVE-2021-%d"], "summary": "Command Injection", "details": "A long text about how it comes that this version can be made to run commands.",
"published": "2021-05-06T16:05:51Z", "modified": "2024-04-17T18:39:43Z", "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"}],
"affected": [{"package": {"ecosystem": "npm", "name": "p%d"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.0.1"}]}]}], "database_specific": {"cwe_ids": ["CWE-77"], "severity": "HIGH"}}]}`, i, i, i, i, i, i, i)
	}
	c := osvCase(b)
	c.Report = []byte(`{"results": [{"source": {"path": "x"}, "packages": [` + text.String()[1:] + `]}]}`)
	benchmark(b, c)
}
