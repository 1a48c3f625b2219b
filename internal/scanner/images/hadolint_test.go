package images

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/conform"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/realtool"
)

func hadolintCase(t testing.TB) conform.Case {
	t.Helper()
	return conform.Case{Program: Hadolint{}, Job: scanner.Job{Workspace: "/workspace"}, Report: testdata(t, "hadolint.json")}
}

func TestHadolintReadsResults(t *testing.T) {
	t.Parallel()
	c := hadolintCase(t)
	var got []string
	for _, s := range c.Read(t).Sightings {
		got = append(got, fmt.Sprintf("%s:%d %s %s", s.Location.Path, s.Location.Line, s.Rule, s.Rating.Word))
	}
	want := []string{
		"Dockerfile:1 DL3006 warning", "Dockerfile:2 DL3003 warning", "api/Dockerfile:3 DL3008 warning", "api/Dockerfile:3 DL3015 info",
		"api/Dockerfile:5 SC2086 info", "api/Dockerfile:6 DL3020 error", "api/Dockerfile:7 DL3059 style",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !slices.ContainsFunc(c.Read(t).Sightings, Hadolint{}.Plant().Found) {
		t.Error("the plant is not found")
	}
	c.Refuses(t)
	c.Report = []byte("[]")
	if got := c.Read(t); len(got.Sightings) != 0 || len(got.Doubts) != 0 {
		t.Errorf("a report without results: %+v", got)
	}
}

func TestHadolintDoubtsWhatItCouldNotParse(t *testing.T) {
	t.Parallel()
	c := hadolintCase(t)
	c.Report = []byte(`[{"code":"DL1000","column":5,"file":"/workspace/Dockerfile","level":"error","line":3,"message":"unexpected 'X'"}]`)
	got := c.Read(t)
	if len(got.Sightings) != 0 || len(got.Doubts) != 1 || !strings.Contains(got.Doubts[0], "Dockerfile:3 could not be parsed") {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{`[{"code":"DL3006"}]`, `[{"file":"a","line":1}]`, `[{"code":"DL3006","file":"a","line":0}]`} {
		if _, err := (Hadolint{}).Read(c.Job, isolate.Command{}, isolate.Ran{Ending: isolate.Exited, Stdout: []byte(text)}); err == nil {
			t.Errorf("%s is taken for a report", text)
		}
	}
}

func TestHadolintChecksAllDockerfiles(t *testing.T) {
	t.Parallel()
	job := realtool.Job(t, map[string]string{
		"Dockerfile": "", "api/Dockerfile.prod": "", "web.dockerfile": "", "Containerfile": "", "Dockerfile.dockerignore": "", "node_modules/x/Dockerfile": "", "dockerfile.md/x": "",
	})
	commands, err := Hadolint{}.Commands(job)
	if err != nil || len(commands) != 1 {
		t.Fatal(commands, err)
	}
	got := commands[0].Args[slices.Index(commands[0].Args, "--")+1:]
	for i := range got {
		got[i] = inside(job.Workspace, got[i])
	}
	if want := []string{"Containerfile", "Dockerfile", "api/Dockerfile.prod", "web.dockerfile"}; !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

func FuzzHadolint(f *testing.F) { hadolintCase(f).Fuzz(f) }

func BenchmarkHadolint100k(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, `,{"code":"DL3008","column":1,"file":"/workspace/Dockerfile","level":"warning","line":%d,"message":"Pin versions in apt get install."}`, i+1)
	}
	c := hadolintCase(b)
	c.Report = []byte("[" + text.String()[1:] + "]")
	b.SetBytes(int64(len(c.Report)))
	b.ReportAllocs()
	for b.Loop() {
		if got := len(c.Read(b).Sightings); got != 100_000 {
			b.Fatalf("%d sightings", got)
		}
	}
}
