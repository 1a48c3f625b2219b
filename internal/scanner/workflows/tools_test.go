package workflows

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/conform"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest/realtool"
	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

func TestActionlintItself(t *testing.T) {
	t.Parallel()
	tool := toolboxtest.Need(t, "actionlint")["actionlint"]
	workspace := map[string]string{".github/actionlint.yaml": "paths:\n  \"**/*.yml\":\n    ignore: [\".*\"]\n"}
	for _, name := range []string{"broken.yml", "dangerous.yml", "ok.yml"} {
		workspace[".github/workflows/"+name] = read(t, name)
	}
	r, err := realtool.Scan(t, Actionlint{}, tool, realtool.Job(t, workspace))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(actionlintWant, lines(r.Sightings)); d != "" {
		t.Errorf("sightings (-want +got):\n%s", d)
	}
	if r.Coverage.Files != 2 || r.Coverage.FilesExpected != 3 {
		t.Errorf("coverage %+v", r.Coverage)
	}

	job := realtool.Planted(t, Actionlint{}, realtool.Job(t, nil))
	r, err = realtool.Scan(t, Actionlint{}, tool, job)
	if err != nil || !slices.ContainsFunc(r.Sightings, Actionlint{}.Plant().Found) || r.Coverage.Files != 1 {
		t.Errorf("the plant was not found: %v, %+v", err, r)
	}
}

func TestAdaptersTakeNothingButWholeReports(t *testing.T) {
	t.Parallel()
	job := scanner.Job{Workspace: "/workspace"}
	for _, c := range []conform.Case{
		{Program: Actionlint{}, Job: job, Command: isolate.Command{Args: []string{"--", "a.yml"}}, Report: []byte(read(t, "actionlint.json")), Status: 1},
		{Program: Zizmor{}, Job: job, Report: []byte(read(t, "zizmor.json"))},
	} {
		c.Read(t)
		c.Refuses(t)
	}
}
