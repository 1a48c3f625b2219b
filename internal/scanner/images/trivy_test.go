package images

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/conform"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/realtool"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/trivydb"
)

// project has lock files of two ecosystems, configuration, and settings that must
// have no say.
var project = map[string]string{
	"web/package-lock.json": `{
  "name": "shop", "lockfileVersion": 3, "requires": true,
  "packages": {
    "": {"name": "shop", "dependencies": {"lodash": "4.17.15", "mkdirp": "0.5.1"}},
    "node_modules/lodash": {"version": "4.17.15"},
    "node_modules/minimist": {"version": "0.0.8"},
    "node_modules/mkdirp": {"version": "0.5.1", "dependencies": {"minimist": "0.0.8"}}
  }
}
`,
	"go.mod":            "module shop.example/api\n\ngo 1.26\n\nrequire golang.org/x/text v0.3.5\n",
	"package-lock.json": `{"name": "empty", "lockfileVersion": 3, "packages": {"": {"name": "empty"}}}`,
	"Dockerfile":        "FROM debian:12\nRUN apt-get update\nADD . /app\n",
	"k8s/pod.yaml":      "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n  - name: a\n    image: nginx\n    securityContext: {privileged: true}\n",
	"main.tf":           "#trivy:ignore:AVD-AWS-0089\nresource \"aws_s3_bucket\" \"b\" {\n  bucket = \"b\"\n}\n",
	".trivyignore":      "CVE-2021-23337\nCVE-2022-32149\nDS-0002\nDS002\n",
	"trivy.yaml":        "severity: [CRITICAL]\nscan:\n  skip-files: ['**/*']\n",
}

// offline returns a job whose databases were made an hour ago.
func offline(t testing.TB, files map[string]string, empty bool) scanner.Job {
	t.Helper()
	job := realtool.Job(t, files)
	job.Offline = true
	for _, one := range []trivy{trivyFS, trivyImage} {
		trivydb.Build(t, one.cache(job), job.Now.Add(-time.Hour), empty)
	}
	return job
}

func TestTrivyFSFindsAdvisoriesByTheRealTrivy(t *testing.T) {
	t.Parallel()
	job := offline(t, project, false)
	report, err := realtool.Scan(t, TrivyFS{}, needTrivy(t), job)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"CVE-2021-38561 GHSA-ppp9-7jff-5vj2 golang.org/x/text 0.3.5 fixed 0.3.7 high 7.5 go.mod",
		"CVE-2022-32149 GHSA-69ch-w2m2-3vjp golang.org/x/text 0.3.5 fixed 0.3.8 high 7.5 go.mod",
		"CVE-2020-8203 GHSA-p6mc-m468-83gw lodash 4.17.15 fixed 4.17.19 high 7.4 web/package-lock.json",
		"CVE-2021-23337 GHSA-35jh-r3h4-6jhm lodash 4.17.15 fixed 4.17.21 high 7.2 web/package-lock.json",
		"CVE-2021-44906 GHSA-xvch-5gv4-984h minimist 0.0.8 fixed 0.2.4, 1.2.6 critical 9.8 web/package-lock.json",
		"CVE-2020-7598 GHSA-vh95-rmgr-6w4m minimist 0.0.8 fixed 0.2.1, 1.2.3 medium 5.6 web/package-lock.json",
	}
	compare(t, report.Sightings, want)
	if s := report.Sightings[2]; s.Known.Year() != 2020 || s.Location.Line == 0 || s.Package.Ecosystem != "npm" {
		t.Errorf("%+v", s)
	}
	if report.Coverage.Files != 2 || report.Coverage.FilesExpected != 2 || report.Coverage.Packages < 4 || len(report.Doubts) > 0 {
		t.Errorf("coverage %+v, doubts %q", report.Coverage, report.Doubts)
	}
	if !report.Database.Equal(job.Now.Add(-time.Hour)) {
		t.Errorf("the database is of %v", report.Database)
	}
	if len(report.Notes) < 2 || !strings.Contains(report.Notes[0], ".trivyignore is not used") {
		t.Errorf("notes %q", report.Notes)
	}
}

func TestTrivyConfigFindsMistakesByTheRealTrivy(t *testing.T) {
	t.Parallel()
	job := realtool.Job(t, project)
	report, err := realtool.Scan(t, TrivyConfig{}, needTrivy(t), job)
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]string{}
	for _, s := range report.Sightings {
		rules[s.Location.Path+" "+s.Rule] = fmt.Sprintf("%s %d %s %s", s.Rating.Word, s.Location.Line, s.Location.Context, s.Suppressed)
	}
	for rule, want := range map[string]string{
		"Dockerfile DS-0002":    "high 0  ",
		"Dockerfile DS-0005":    "low 3 ADD . /app ",
		"k8s/pod.yaml KSV-0017": "high 6 - name: a ",
		"main.tf AWS-0089":      "", // hidden by a comment
	} {
		if rules[rule] != want {
			t.Errorf("%s = %q, want %q", rule, rules[rule], want)
		}
	}
	if report.Coverage.FilesExpected != 1 || report.Coverage.Files < 3 || len(report.Doubts) > 0 ||
		!slices.Contains(report.Notes, `main.tf hides results from Trivy by 1 comment(s) "trivy:ignore"`) {
		t.Errorf("coverage %+v, doubts %q, notes %q", report.Coverage, report.Doubts, report.Notes)
	}
}

func TestTrivyImageFindsAdvisoriesByTheRealTrivy(t *testing.T) {
	t.Parallel()
	job := offline(t, map[string]string{"image.tar": plantedImage()}, false)
	job.Images = []string{"image.tar"}
	report, err := realtool.Scan(t, TrivyImage{}, needTrivy(t), job)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, report.Sightings, []string{"CVE-2023-5363 openssl 3.0.9-1 fixed 3.0.11-1~deb12u2 high 7.5 "})
	if s := report.Sightings[0]; s.Package.Ecosystem != "Debian:12" || !strings.Contains(s.Location.Image, "planted.example/known:1") {
		t.Errorf("%+v", s)
	}
	if report.Coverage.Packages != 1 || report.Database.IsZero() {
		t.Errorf("%+v", report)
	}
}

func TestTrivyFindsItsPlantsAndNoticesAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	trivy := needTrivy(t)
	for _, one := range []scanner.Program{TrivyFS{}, TrivyConfig{}, TrivyImage{}} {
		for _, empty := range []bool{false, true} {
			job := realtool.Planted(t, one, offline(t, nil, empty))
			report, err := realtool.Scan(t, one, trivy, job)
			if err != nil {
				t.Errorf("%s: %v", one.About().Name, err)
			}
			want := !empty || one.About().Fresh == 0 // the checks of configuration are in the program
			if got := slices.ContainsFunc(report.Sightings, one.Plant().Found); got != want {
				t.Errorf("%s, database empty %v: the plant is found: %v", one.About().Name, empty, got)
			}
		}
	}
}

func TestTrivyWithoutADatabaseOrWithABrokenLockFile(t *testing.T) {
	t.Parallel()
	trivy := needTrivy(t)
	job := realtool.Job(t, project)
	job.Offline = true
	if _, err := realtool.Scan(t, TrivyFS{}, trivy, job); err == nil {
		t.Error("no database: no error")
	}
	files := map[string]string{"go.mod": project["go.mod"], "a/package-lock.json": `{"lockfileVersion": 3, "packages": {`}
	report, err := realtool.Scan(t, TrivyFS{}, trivy, offline(t, files, false))
	if err == nil && !strings.Contains(strings.Join(report.Doubts, " "), "a/package-lock.json") {
		t.Errorf("a broken lock file makes no doubt: %q", report.Doubts)
	}
	broken := offline(t, map[string]string{"image.tar": "not an image"}, false)
	broken.Images = []string{"image.tar"}
	if _, err := realtool.Scan(t, TrivyImage{}, trivy, broken); err == nil {
		t.Error("a broken image makes no error")
	}
	broken.Images = []string{"registry.example/shop:1"}
	if _, err := (TrivyImage{}).Commands(broken); err == nil {
		t.Error("an image of a registry in an offline scan makes no error")
	}
}

func TestTrivyReadsOnlyWholeReports(t *testing.T) {
	t.Parallel()
	job := realtool.Job(t, project)
	version := isolate.Command{Args: []string{"version", "--format", "json"}}
	for _, c := range []conform.Case{
		{Program: TrivyFS{}, Job: job, Report: testdata(t, "trivy-fs.json")},
		{Program: TrivyConfig{}, Job: job, Report: testdata(t, "trivy-config.json")},
		{Program: TrivyImage{}, Job: job, Report: testdata(t, "trivy-image.json")},
		{Program: TrivyFS{}, Job: job, Command: version, Report: []byte(`{"Version": "0.74.0", "VulnerabilityDB": {"Version": 2, "UpdatedAt": "2026-11-30T11:00:00Z"}}`)},
	} {
		c.Read(t)
		c.Refuses(t)
	}
	c := conform.Case{Program: TrivyFS{}, Job: job, Report: []byte(`{"SchemaVersion": 2, "ArtifactName": "/workspace", "ArtifactType": "filesystem"}`)}
	if report := c.Read(t); len(report.Doubts) != 1 || report.Coverage.Files != 0 || report.Coverage.FilesExpected != 2 {
		t.Errorf("a report of nothing: %+v", report)
	}
}

// The severity's source gives the score, and not whoever gave the greatest.
func TestTrivyTakesTheScoreOfTheSeveritysSource(t *testing.T) {
	t.Parallel()
	const report = `{"SchemaVersion": 2, "ArtifactName": "x", "Metadata": {"OS": {"Family": "debian", "Name": "9", "EOSL": true}, "RepoDigests": ["shop@sha256:1"]}, "Results": [
{"Target": "x (debian 9)", "Class": "os-pkgs", "Type": "debian", "Packages": [{"ID": "a", "Name": "a"}], "Vulnerabilities": [
{"VulnerabilityID": "CVE-2020-0001", "PkgID": "a", "PkgName": "a", "InstalledVersion": "1", "Status": "will_not_fix", "Severity": "LOW", "SeveritySource": "debian", "CVSS": {"debian": {"V3Score": 2.1}, "nvd": {"V3Score": 9.8}}},
{"VulnerabilityID": "CVE-2020-0002", "PkgID": "a", "PkgName": "a", "InstalledVersion": "1", "Severity": "HIGH", "SeveritySource": "ghsa", "CVSS": {"nvd": {"V3Score": 5.9}}},
{"VulnerabilityID": "CVE-2020-0003", "PkgID": "a", "PkgName": "a", "InstalledVersion": "1", "Severity": "UNKNOWN"}]}]}`
	c := conform.Case{Program: TrivyImage{}, Job: realtool.Job(t, nil), Report: []byte(report)}
	got := c.Read(t).Sightings
	compare(t, got, []string{
		"CVE-2020-0001 a 1 fixed  low 2.1 ", "CVE-2020-0002 a 1 fixed  high 5.9 ", "CVE-2020-0003 a 1 fixed   0.0 ", " fixed  high 0.0 ",
	})
	if got[3].Rule != "end-of-life" || got[0].Location.Image != "shop@sha256:1" || !strings.Contains(got[0].Message, "will_not_fix") {
		t.Errorf("%+v", got)
	}
}

// A check of the user's own may have no title, no message and no ID.
func TestTrivyNamesWhatHasNoTitle(t *testing.T) {
	t.Parallel()
	const report = `{"SchemaVersion": 2, "ArtifactName": "x", "Results": [{"Target": "Dockerfile", "Class": "config", "Misconfigurations": [
{"Status": "FAIL", "ID": "DS-1", "Message": "the user is root"}, {"Status": "FAIL", "ID": "DS-2"}, {"Status": "FAIL", "Resolution": "Add a user."}]}]}`
	c := conform.Case{Program: TrivyConfig{}, Job: realtool.Job(t, project), Report: []byte(report)}
	var got []string
	for _, s := range c.Read(t).Sightings {
		got = append(got, s.Title+"|"+s.Message)
	}
	want := []string{"the user is root|the user is root.", "DS-2|DS-2.", "A misconfiguration without a name|A misconfiguration without a name. Add a user."}
	if !slices.Equal(got, want) {
		t.Errorf("titles and messages are %q, want %q", got, want)
	}
}

func FuzzTrivy(f *testing.F) {
	conform.Case{Program: TrivyFS{}, Job: realtool.Job(f, project), Report: testdata(f, "trivy-fs.json")}.Fuzz(f)
}

func FuzzTrivyConfig(f *testing.F) {
	conform.Case{Program: TrivyConfig{}, Job: realtool.Job(f, project), Report: testdata(f, "trivy-config.json")}.Fuzz(f)
}

func BenchmarkTrivy100k(b *testing.B) {
	var text strings.Builder
	text.WriteString(`{"SchemaVersion": 2, "ArtifactName": "x", "Results": [{"Target": "go.mod", "Class": "lang-pkgs", "Type": "gomod", "Vulnerabilities": [`)
	for i := range 100_000 {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"VulnerabilityID": "CVE-2021-%d", "VendorIDs": ["GHSA-35jh-r3h4-6jhm"], "PkgID": "p%d", "PkgName": "p%d", "InstalledVersion": "1.0.0",
"FixedVersion": "1.0.1", "Status": "fixed", "SeveritySource": "ghsa", "PrimaryURL": "https://avd.aquasec.com/nvd/cve-2021-%d", "Title": "command injection", "Severity": "HIGH",
"Description": "A long text about how it comes that this version can be made to run commands.", "CweIDs": ["CWE-94"], "CVSS": {"ghsa": {"V3Score": 7.2}},
"References": ["https://github.com/advisories/GHSA-35jh-r3h4-6jhm"], "PublishedDate": "2021-02-15T13:15:12.56Z"}`, i, i, i, i)
	}
	text.WriteString("]}]}")
	c := conform.Case{Program: TrivyFS{}, Job: realtool.Job(b, nil), Report: []byte(text.String())}
	b.SetBytes(int64(len(c.Report)))
	b.ReportAllocs()
	for b.Loop() {
		if got := len(c.Read(b).Sightings); got != 100_000 {
			b.Fatalf("%d sightings", got)
		}
	}
}

// compare describes sightings by what tools and people know them by.
func compare(t *testing.T, sightings []finding.Sighting, want []string) {
	t.Helper()
	var got []string
	for _, s := range sightings {
		p := s.Package
		fields := append(slices.Clone(s.IDs), p.Name, p.Version, "fixed", p.Fixed, s.Rating.Word, strconv.FormatFloat(s.Rating.Score, 'f', 1, 64), s.Location.Path)
		if p.Name == "" {
			fields = append(slices.Clone(s.IDs), "", "fixed", p.Fixed, s.Rating.Word, "0.0", s.Location.Path)
		}
		got = append(got, strings.Join(fields, " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// testdata reads a recorded report, see testdata/SOURCE.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
