package snyk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/conform"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/realtool"
)

func snykCase(t testing.TB) conform.Case {
	t.Helper()
	job := realtool.Job(t, map[string]string{"api/go.mod": "module m\n", "web/package-lock.json": `{"packages": {"": {}, "node_modules/lodash": {"version": "4.17.15"}}}`})
	data, err := os.ReadFile(filepath.Join("testdata", "snyk.json"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), "/workspace", job.Workspace)
	return conform.Case{Program: Snyk{}, Job: job, Report: []byte(text), Status: 1}
}

func TestSnykReadsVulnerabilitiesOnce(t *testing.T) {
	t.Parallel()
	c := snykCase(t)
	report := c.Read(t)
	var got []string
	for _, s := range report.Sightings {
		got = append(got, fmt.Sprintf("%s %s fixed %s direct %v %s %d", strings.Join(s.IDs, " "), fmt.Sprintf("%s %s %.1f", s.Package.Name, s.Rating.Word, s.Rating.Score), s.Package.Fixed, s.Package.Direct, s.Location.Path, s.Known.Year()))
	}
	want := []string{
		"SNYK-JS-LODASH-1040724 CVE-2021-23337 GHSA-35jh-r3h4-6jhm lodash high 7.2 fixed 4.17.21 direct true web/package-lock.json 2021",
		"SNYK-JS-MINIMIST-2429795 CVE-2021-44906 GHSA-xvch-5gv4-984h minimist critical 9.8 fixed 0.2.4, 1.2.6 direct false web/package-lock.json 2022",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c := report.Coverage; c.Files != 2 || c.FilesExpected != 2 || c.Packages != 5 || len(report.Doubts) > 0 || len(report.Notes) != 1 {
		t.Errorf("%+v %q %q", c, report.Doubts, report.Notes)
	}
	if !slices.ContainsFunc(report.Sightings, Snyk{}.Plant().Found) {
		t.Error("the plant is not found")
	}
	c.Refuses(t)
}

func TestSnykDoubtsAndErrors(t *testing.T) {
	t.Parallel()
	c := snykCase(t)
	one := `{"ok": true, "vulnerabilities": [], "dependencyCount": 3, "packageManager": "npm", "displayTargetFile": "package-lock.json", "path": "` + c.Job.Workspace + `/web"}`
	c.Report, c.Status = []byte(one), 0
	if got := c.Read(t); len(got.Doubts) != 1 || got.Doubts[0] != "Snyk did not test api/go.mod" {
		t.Errorf("one project of two: %q", got.Doubts)
	}
	for name, ran := range map[string]isolate.Ran{
		"Authentication error": {Status: 2, Stdout: []byte(`{"ok": false, "error": "Authentication error (SNYK-0005)", "path": "/workspace"}`)},
		"no project":           {Status: 3, Stdout: []byte(`{"ok": false, "error": "no project: Could not detect supported target files", "path": "/workspace"}`)},
		"one failed":           {Status: 1, Stdout: []byte(`[` + one + `, {"ok": false, "error": "one failed", "path": "x"}]`)},
		"it tested no project": {Status: 0, Stdout: []byte(`[]`)},
		"not whole":            {Status: 0, Stdout: []byte(`{"ok": true}`)},
	} {
		ran.Ending = isolate.Exited
		if _, err := c.Program.Read(c.Job, c.Command, ran); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSnykGetsItsTokenAlone(t *testing.T) {
	t.Parallel()
	job := realtool.Job(t, nil)
	job.Secret = "planted-token"
	commands, err := Snyk{}.Commands(job)
	if err != nil || len(commands) != 1 {
		t.Fatal(commands, err)
	}
	if got := strings.Join(commands[0].Args, " "); strings.Contains(got, job.Secret) || !strings.Contains(got, "--ignore-policy") {
		t.Errorf("arguments %q", got)
	}
	if commands[0].Env[0] != "SNYK_TOKEN=planted-token" {
		t.Errorf("environment %q", commands[0].Env)
	}
}

func FuzzSnyk(f *testing.F) { snykCase(f).Fuzz(f) }

func BenchmarkSnyk100k(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, `,{"id": "SNYK-JS-P-%d", "title": "Command Injection", "CVSSv3": "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H", "fixedIn": ["4.17.21"], "severity": "high",
"description": "A long text about how it comes that this version can be made to run commands.", "cvssScore": 7.2, "packageName": "p%d", "packageManager": "npm",
"identifiers": {"CVE": ["CVE-2021-%d"], "CWE": ["CWE-94"], "GHSA": []}, "publicationTime": "2021-02-15T11:50:50Z", "from": ["shop@1.0.0", "p%d@1"], "name": "p%d", "version": "1"}`, i, i, i, i, i)
	}
	c := snykCase(b)
	c.Report = []byte(`{"ok": false, "path": "", "displayTargetFile": "x", "vulnerabilities": [` + text.String()[1:] + `]}`)
	b.ReportAllocs()
	for b.Loop() {
		if got := len(c.Read(b).Sightings); got != 100_000 {
			b.Fatalf("%d sightings", got)
		}
	}
}
