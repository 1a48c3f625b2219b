package imagetest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
)

// scans runs the image on a repository of another user, as the runner's is, before and
// after a credential is in it. A tool that the image has not is named, those that it has
// are verified, found their planted problems, and could not read what is not theirs.
func scans(t *testing.T, image *Image) {
	r, _ := image.Run(actiontest.NewStep(t, nil), nil, "--help")
	if r.Code != 0 || !strings.Contains(r.Log, "--tools-lock") {
		t.Errorf("--help: exit status %d; log:\n%s", r.Code, r.Log)
	}
	repo := scannertest.New(t)
	repo.Write("README.md", "# A shop\n")
	repo.Write(".github/workflows/ci.yml", "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make test\n")
	repo.Commit("first")
	r, report := scan(t, image, repo.Dir, repo.Git("rev-parse", "HEAD"))
	if r.Code != 3 || r.Outputs["status"] != "inconclusive" || !strings.Contains(r.Outputs["unhealthy"], "trufflehog: missing") {
		t.Errorf("a clean repository: exit status %d, outputs %v, want inconclusive without trufflehog; log:\n%s", r.Code, r.Outputs, r.Log)
	}
	for _, row := range []string{
		`(?m)^\| gitleaks \|.*\| healthy \| 0 \| 1 of 1 commit \| found \|.*\| environment, .*read-only, files, .*\|`,
		`(?m)^\| actionlint \|.*\| healthy \| 0 \| 1 of 1 file \| found \|.*\| environment, .*read-only, files, .*\|`,
		`(?m)^\| trufflehog \|.*\| \*\*missing\*\*`,
	} {
		if !regexp.MustCompile(row).MatchString(report) {
			t.Errorf("no row is like %s:\n%s", row, report)
		}
	}
	secret := scannertest.NewCredentials(scannertest.Seed).GitHub
	repo.Write("config.py", "GITHUB_TOKEN = \""+secret+"\"\n")
	repo.Commit("config")
	r, report = scan(t, image, repo.Dir, repo.Git("rev-parse", "HEAD"))
	if r.Code != 3 || r.Outputs["status"] != "refused" || !strings.Contains(report, "config.py") {
		t.Errorf("with a credential: exit status %d, outputs %v, want refused; log:\n%s\n%s", r.Code, r.Outputs, r.Log, report)
	}
	if strings.Contains(r.Log+r.Summary+report, secret) {
		t.Error("the credential is in the log, the summary or the report")
	}
}

// scan runs the image on a copy of a repository at a commit, and returns the report too.
func scan(t *testing.T, image *Image, repository, commit string) (actiontest.Result, string) {
	t.Helper()
	s := actiontest.NewStep(t, map[string]string{"level": "quick"})
	s.Setenv("GITHUB_EVENT_NAME", "workflow_dispatch")
	s.Setenv("GITHUB_SHA", commit)
	if err := os.WriteFile(s.Environ()["GITHUB_EVENT_PATH"], []byte(`{"repository":{"full_name":"candlefish/website"}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(s.Workspace, os.DirFS(repository)); err != nil {
		t.Fatal(err)
	}
	const runner = 1001
	err := filepath.WalkDir(s.Workspace, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, runner, runner)
	})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := image.Run(s, nil)
	report, err := os.ReadFile(filepath.Join(s.Workspace, "security-reports/security-report.md"))
	if err != nil {
		t.Errorf("%v; exit status %d; log:\n%s", err, r.Code, r.Log)
	}
	return r, string(report)
}
