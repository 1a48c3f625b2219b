package workflows

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/scanner"
)

func TestRulesFindDangerousWorkflows(t *testing.T) {
	t.Parallel()
	const steps = "\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - "
	checkout := "uses: actions/checkout@1111111111111111111111111111111111111111"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"code of a pull request with secrets":     {"on: pull_request_target" + steps + checkout + "\n        with:\n          ref: ${{ github.event.pull_request.head.sha }}\n", []string{"8 pull-request-code critical"}},
		"by its number":                           {"on: [push, pull_request_target]" + steps + checkout + "\n        with: {ref: 'refs/pull/${{ github.event.number }}/merge'}\n", []string{"7 pull-request-code critical"}},
		"by its repository":                       {"on: pull_request_target" + steps + checkout + "\n        with: {repository: '${{ github.event.pull_request.head.repo.full_name }}'}\n", []string{"7 pull-request-code critical"}},
		"of a run":                                {"on: {workflow_run: {workflows: [ci]}}" + steps + checkout + "\n        with: {ref: '${{ github.event.workflow_run.head_sha }}'}\n", []string{"7 pull-request-code critical"}},
		"code of the base":                        {"on: pull_request_target" + steps + checkout + "\n        with: {ref: '${{ github.event.pull_request.base.sha }}'}\n", nil},
		"without secrets":                         {"on: pull_request" + steps + checkout + "\n        with: {ref: '${{ github.event.pull_request.head.sha }}'}\n", nil},
		"an action by a tag":                      {"on: push" + steps + "uses: someone/action@v1\n", []string{"6 unpinned-action medium"}},
		"an action by a branch":                   {"on: push" + steps + "uses: someone/action/sub@main\n", []string{"6 unpinned-action medium"}},
		"an action of GitHub":                     {"on: push" + steps + "uses: actions/setup-go@v5\n", []string{"6 unpinned-github-action low"}},
		"an action of this repository":            {"on: push" + steps + "uses: ./action\n", nil},
		"an image by a tag":                       {"on: push" + steps + "uses: docker://alpine:3\n", []string{"6 unpinned-action medium"}},
		"an image by its digest":                  {"on: push" + steps + "uses: docker://alpine@sha256:1111111111111111111111111111111111111111111111111111111111111111\n", nil},
		"write-all":                               {"on: push\npermissions: write-all" + steps + "run: make\n", []string{"2 write-all medium"}},
		"write-all of a job":                      {"on: push\njobs:\n  a:\n    runs-on: x\n    permissions: write-all\n    steps:\n      - run: make\n", []string{"5 write-all medium"}},
		"read-all":                                {"on: push\npermissions: read-all" + steps + "run: make\n", nil},
		"all secrets for another repository":      {"on: push\njobs:\n  a:\n    uses: someone/w/.github/workflows/a.yml@v1\n    secrets: inherit\n", []string{"4 inherited-secrets medium", "4 unpinned-action medium"}},
		"all secrets within the repository":       {"on: push\njobs:\n  a:\n    uses: ./.github/workflows/a.yml\n    secrets: inherit\n", nil},
		"pull requests on a machine of one's own": {"on: pull_request\njobs:\n  a:\n    runs-on: [self-hosted, linux]\n    steps:\n      - run: make\n", []string{"4 self-hosted-pull-request medium"}},
		"pushes on a machine of one's own":        {"on: push\njobs:\n  a:\n    runs-on: self-hosted\n    steps:\n      - run: make\n", nil},
	} {
		found, err := check("a.yml", []byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, s := range found {
			got = append(got, fmt.Sprintf("%d %s %s", s.Location.Line, s.Rule, s.Rating.Word))
		}
		slices.Sort(got)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestRulesScanFindsThePlantAndDoubtsBrokenFiles(t *testing.T) {
	t.Parallel()
	job := repository(t, "dangerous.yml", "broken.yml", "ok.yml")
	job.Tree.Files = append(job.Tree.Files, ".github/workflows/gone.yml", ".github/workflows/link.yml")
	outside := filepath.Join(t.TempDir(), "a.yml")
	if err := os.WriteFile(outside, []byte("on: push\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(job.Workspace, ".github/workflows/link.yml")); err != nil {
		t.Fatal(err)
	}
	r, err := Rules{}.Scan(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"dangerous.yml:14 unpinned-github-action low | - uses: actions/checkout@v4",
		"dangerous.yml:16 pull-request-code critical | ref: ${{ github.event.pull_request.head.sha }}",
		"dangerous.yml:17 unpinned-action medium | - uses: someone/action@v1",
		"dangerous.yml:4 write-all medium | permissions: write-all",
	}
	if d := cmp.Diff(want, lines(r.Sightings)); d != "" {
		t.Errorf("sightings (-want +got):\n%s", d)
	}
	if r.Coverage.Files != 2 || r.Coverage.FilesExpected != 5 || len(r.Doubts) != 1 {
		t.Errorf("coverage %+v, doubts %q", r.Coverage, r.Doubts)
	}
}

func TestRulesHaveASeverity(t *testing.T) {
	t.Parallel()
	for id, r := range ruleTable {
		if _, ok := finding.ParseSeverity(r.severity); !ok || r.cwe == "" || r.title == "" {
			t.Errorf("%s: %+v", id, r)
		}
	}
}

func TestRulesFindTheirPlant(t *testing.T) {
	t.Parallel()
	plant := Rules{}.Plant()
	job := scanner.Job{Workspace: t.TempDir()}
	for name, text := range plant.Files {
		path := filepath.Join(job.Workspace, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		job.Tree.Files = append(job.Tree.Files, name)
	}
	r, err := Rules{}.Scan(t.Context(), job)
	if err != nil || !slices.ContainsFunc(r.Sightings, plant.Found) {
		t.Errorf("the plant was not found: %v, %+v", err, r)
	}
}

func FuzzRules(f *testing.F) {
	f.Add([]byte(planted))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := check("a.yml", text)
		if err != nil && found != nil {
			t.Errorf("an error and findings: %v, %+v", err, found)
		}
	})
}
