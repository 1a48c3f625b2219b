package dependencies

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
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

// callers are modules that call a vulnerable function, import its package without
// a call, and require its module alone.
func callers() map[string]string {
	files := map[string]string{"testdata/mod/go.mod": "module t\n", "testdata/mod/a.go": "package a\n", "empty/go.mod": "module e\n"}
	for name, main := range map[string]string{
		"called":   "import \"golang.org/x/text/language\"\n\nfunc main() { run() }\n\nfunc run() { language.ParseAcceptLanguage(\"en\") }\n",
		"imported": "import _ \"golang.org/x/text/language\"\n\nfunc main() {}\n",
		"required": "import _ \"golang.org/x/text/width\"\n\nfunc main() {}\n",
	} {
		for file, text := range (Govulncheck{}).Plant().Files {
			files[name+"/"+file] = text
		}
		files[name+"/main.go"] = "package main\n\n" + main
		files[name+"/vendor/modules.txt"] += "golang.org/x/text/width\n"
		files[name+"/vendor/golang.org/x/text/width/width.go"] = "package width\n"
	}
	return files
}

// goJob returns an offline job with a database that changed an hour ago.
func goJob(t testing.TB, files map[string]string, empty bool) scanner.Job {
	t.Helper()
	job := realtool.Job(t, files)
	job.Settings[GoVulnDB] = vulndb.Go(t, t.TempDir(), job.Now.Add(-time.Hour), empty)
	job.Settings[GoModCache] = t.TempDir()
	job.Offline = true
	return job
}

func TestGovulncheckKnowsWhatIsCalledByTheRealTool(t *testing.T) {
	t.Parallel()
	job := goJob(t, callers(), false)
	report, err := realtool.Scan(t, Govulncheck{}, need(t, "govulncheck"), job)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range report.Sightings {
		if s.Package.Name == "golang.org/x/text" && slices.Contains(s.IDs, "CVE-2022-32149") {
			got[s.Location.Path] = fmt.Sprintf("%s %s %s %s line %d direct %v: %s", s.Rule, s.Reach, s.Package.Version, s.Package.Fixed, s.Location.Line, s.Package.Direct, s.Message)
		}
	}
	want := map[string]string{
		"called/go.mod":   "GO-2022-1059 called 0.3.5 0.3.8 line 5 direct true: golang.org/x/text v0.3.5: language.ParseAcceptLanguage is called: known.main (main.go:5) -> known.run -> language.ParseAcceptLanguage",
		"imported/go.mod": "GO-2022-1059 imported 0.3.5 0.3.8 line 5 direct true: golang.org/x/text v0.3.5: package golang.org/x/text/language is imported, no call of its vulnerable functions was found",
		"required/go.mod": "GO-2022-1059 required 0.3.5 0.3.8 line 5 direct true: golang.org/x/text v0.3.5 is required, its vulnerable packages are not imported",
	}
	for file := range want {
		if got[file] != want[file] {
			t.Errorf("%s\ngot  %s\nwant %s", file, got[file], want[file])
		}
	}
	seen := map[string]bool{}
	for _, s := range report.Sightings {
		key := s.Location.Path + s.Rule + s.Package.Name
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
	}
	if !report.Database.Equal(job.Now.Add(-time.Hour)) || report.Coverage.Files != 1 || len(report.Doubts) > 0 {
		t.Errorf("%v %+v %q", report.Database, report.Coverage, report.Doubts)
	}
	if !slices.Contains(report.Notes, "modules in folders of test data were not analysed: testdata/mod") {
		t.Errorf("notes %q", report.Notes)
	}
}

func TestGovulncheckFindsItsPlantAndNoticesAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	tool := need(t, "govulncheck")
	for _, empty := range []bool{false, true} {
		job := realtool.Planted(t, Govulncheck{}, goJob(t, nil, empty))
		report, err := realtool.Scan(t, Govulncheck{}, tool, job)
		if got := slices.ContainsFunc(report.Sightings, Govulncheck{}.Plant().Found); err != nil || got == empty {
			t.Errorf("database empty %v: the plant is found: %v, %v", empty, got, err)
		}
	}
}

func TestGovulncheckTellsWhatItCouldNotLoad(t *testing.T) {
	t.Parallel()
	tool := need(t, "govulncheck")
	for name, change := range map[string]func(map[string]string){
		"does not compile": func(f map[string]string) { f["main.go"] = "package main\n\nfunc" },
		"a missing module": func(f map[string]string) {
			delete(f, "vendor/modules.txt")
			delete(f, "vendor/golang.org/x/text/language/parse.go")
		},
		"a newer toolchain": func(f map[string]string) { f["go.mod"] = strings.Replace(f["go.mod"], "go 1.21", "go 1.99", 1) },
		"no packages":       func(f map[string]string) { f["main.go"] = "//go:build never\n\npackage main\n" },
	} {
		files := maps.Clone((Govulncheck{}).Plant().Files)
		change(files)
		report, err := realtool.Scan(t, Govulncheck{}, tool, goJob(t, files, false))
		if err == nil || name == "does not compile" && !strings.Contains(err.Error(), "main.go:3:5: expected") {
			t.Errorf("%s: %v, %d sightings", name, err, len(report.Sightings))
		}
	}
	job := realtool.Job(t, callers())
	job.Offline = true
	if _, err := (Govulncheck{}).Commands(job); err == nil {
		t.Error("an offline analysis without a database makes no error")
	}
}

func TestGovulncheckFetchesNoToolchain(t *testing.T) {
	t.Parallel()
	job := realtool.Job(t, map[string]string{"go.mod": "module m\n\nrequire github.com/BurntSushi/toml v1.6.0 // indirect\n", "main.go": "package main\n"})
	job.Settings[GoRoot], job.Settings[GoModCache] = "/usr/local/go", "/home/u/go/pkg/mod"
	commands, err := Govulncheck{}.Commands(job)
	if err != nil || len(commands) != 1 {
		t.Fatalf("%d commands, %v", len(commands), err)
	}
	env := strings.Join(commands[0].Env, "\n")
	for _, want := range []string{"GOTOOLCHAIN=local", "GOENV=off", "GOPROXY=file:///home/u/go/pkg/mod/cache/download,", "GOMODCACHE=" + job.Cache} {
		if !strings.Contains(env, want) {
			t.Errorf("the environment has no %s:\n%s", want, env)
		}
	}
}

// What the user has is not fetched again.
func TestGovulncheckReadsTheUsersModules(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	job := realtool.Job(t, map[string]string{"go.mod": "module m\n\nrequire github.com/BurntSushi/toml v1.6.0 // indirect\n", "main.go": "package main\n"})
	if cached(job, ".", cache) {
		t.Error("an empty module cache has all")
	}
	if err := os.MkdirAll(filepath.Join(cache, "github.com", "!burnt!sushi", "toml@v1.6.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	job.Settings[GoModCache] = cache
	commands, err := Govulncheck{}.Commands(job)
	if err != nil || !slices.Contains(commands[0].Env, "GOMODCACHE="+cache) || !slices.Contains(commands[0].Env, "GOPROXY=off") {
		t.Errorf("%v, %v", commands, err)
	}
}

// A replaced module is fetched in its replacement's version, or not at all.
func TestGovulncheckKnowsReplacedModules(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	job := realtool.Job(t, map[string]string{"main.go": "package main\n", "go.mod": "module m\n\nrequire (\n\ta.example/folder v1.0.0\n\ta.example/fork v1.2.0\n)\n\n" +
		"replace a.example/folder v1.0.0 => ./folder\n\nreplace (\n\ta.example/fork => b.example/fork v1.3.0 // a fork\n)\n"})
	if err := os.MkdirAll(filepath.Join(cache, "a.example", "fork@v1.2.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	if cached(job, ".", cache) {
		t.Error("the fork is not in the cache")
	}
	if err := os.MkdirAll(filepath.Join(cache, "b.example", "fork@v1.3.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	if !cached(job, ".", cache) {
		t.Error("all that is needed is in the cache")
	}
}

// A module that the user leaves out is named in the report, and must be there.
func TestGovulncheckLeavesModulesOut(t *testing.T) {
	t.Parallel()
	job := realtool.Job(t, map[string]string{"go.mod": "module m\n", "main.go": "package main\n", "lab/go.mod": "module l\n", "lab/main.go": "package main\n"})
	job.Settings[GoRoot], job.Settings[GoSkip] = "/usr/local/go", "lab"
	for range 2 {
		commands, err := Govulncheck{}.Commands(job)
		if err != nil || len(commands) != 1 || commands[0].Dir != job.Workspace {
			t.Fatalf("%v, %v", commands, err)
		}
	}
	c := isolate.Command{Dir: job.Workspace}
	report, err := Govulncheck{}.Read(job, c, isolate.Ran{Ending: isolate.Exited, Stdout: testdata(t, "govulncheck.json")})
	if err != nil || !slices.ContainsFunc(report.Notes, func(n string) bool { return strings.HasSuffix(n, "names them: lab") }) {
		t.Errorf("%v, notes %q", err, report.Notes)
	}
	for _, wrong := range []string{"la", "lab,other", "../lab"} {
		job.Settings[GoSkip] = wrong
		if _, err := (Govulncheck{}).Commands(job); err == nil || !strings.Contains(err.Error(), "has no go.mod") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func govulnCase(t testing.TB) conform.Case {
	t.Helper()
	job := realtool.Job(t, (Govulncheck{}).Plant().Files)
	return conform.Case{Program: Govulncheck{}, Job: job, Command: isolate.Command{Dir: job.Workspace}, Report: testdata(t, "govulncheck.json"), Streams: true}
}

func TestGovulncheckTakesOnlyWholeStreams(t *testing.T) {
	t.Parallel()
	c := govulnCase(t)
	got := c.Read(t)
	if len(got.Sightings) != 4 || got.Version != "v1.9.0" || got.Coverage.Packages != 3 {
		t.Errorf("%d sightings, %+v", len(got.Sightings), got.Coverage)
	}
	if s := got.Sightings[1]; s.Reach != finding.ReachCalled {
		t.Errorf("%+v", s)
	}
	c.Refuses(t)
	const config = `{"config": {"protocol_version": "v1.0.0", "scan_level": "symbol", "scan_mode": "source"}}`
	const sbom = `{"SBOM": {"modules": [{"path": "a"}], "roots": ["a"]}}`
	for name, text := range map[string]string{
		"no packages":        config,
		"no roots":           config + `{"SBOM": {"modules": [{"path": "a"}]}}`,
		"two configurations": config + sbom + config,
		"protocol 2":         `{"config": {"protocol_version": "v2.0.0"}}` + sbom,
		"unknown message":    config + sbom + `{"other": {}}`,
		"unknown advisory":   config + sbom + `{"finding": {"osv": "GO-1", "trace": [{"module": "a"}]}}`,
		"no trace":           config + sbom + `{"osv": {"id": "GO-1"}}{"finding": {"osv": "GO-1"}}`,
	} {
		if _, err := c.Program.Read(c.Job, c.Command, isolate.Ran{Ending: isolate.Exited, Stdout: []byte(text)}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	c.Report = []byte(`{"config": {"protocol_version": "v1.0.0", "scan_level": "module", "scan_mode": "source"}}` + sbom)
	if got := c.Read(t); len(got.Doubts) != 1 {
		t.Errorf("a scan of modules: doubts %q", got.Doubts)
	}
}

func FuzzGovulncheck(f *testing.F) { govulnCase(f).Fuzz(f) }

func BenchmarkGovulncheck100k(b *testing.B) {
	var text strings.Builder
	text.WriteString(`{"config": {"protocol_version": "v1.0.0", "scan_level": "symbol", "scan_mode": "source"}}{"SBOM": {"modules": [{"path": "a"}], "roots": ["a"]}}`)
	for i := range 100_000 {
		fmt.Fprintf(&text, `{"osv": {"id": "GO-2022-%d", "aliases": ["CVE-2022-%d"], "summary": "Denial of service", "affected": [{"package": {"name": "m", "ecosystem": "Go"}}]}}
{"finding": {"osv": "GO-2022-%d", "fixed_version": "v1.0.1", "trace": [{"module": "m", "version": "v1.0.0"}]}}
{"finding": {"osv": "GO-2022-%d", "fixed_version": "v1.0.1", "trace": [{"module": "m", "version": "v1.0.0", "package": "m/p", "function": "F"}, {"module": "a", "package": "a", "function": "main", "position": {"filename": "main.go", "line": 5}}]}}`, i, i, i, i)
	}
	c := govulnCase(b)
	c.Report = []byte(text.String())
	benchmark(b, c)
}
