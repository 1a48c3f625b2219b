package scope

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/security/inputs"
)

// gitIn runs git in a folder and returns its first line.
func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// repository makes one with three commits on main, and returns its folder and commits.
func repository(t *testing.T) (dir string, commits []string) {
	t.Helper()
	dir = t.TempDir()
	gitIn(t, dir, "init", "-q")
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		gitIn(t, dir, "add", "-A")
		gitIn(t, dir, "commit", "-qm", name)
		commits = append(commits, gitIn(t, dir, "rev-parse", "HEAD"))
	}
	return dir, commits
}

func TestWorkspaceOfARange(t *testing.T) {
	t.Parallel()
	dir, commits := repository(t)
	for name, test := range map[string]struct {
		o       inputs.Occasion
		commits int
		missing string
	}{
		"all":              {inputs.Occasion{Head: "HEAD"}, 3, ""},
		"from a commit":    {inputs.Occasion{Head: "HEAD", Base: commits[0]}, 2, ""},
		"from a name":      {inputs.Occasion{Head: "main", Base: "main~1"}, 1, ""},
		"nothing new":      {inputs.Occasion{Head: "HEAD", Base: "HEAD"}, 0, ""},
		"a lost base":      {inputs.Occasion{Head: "HEAD", Base: strings.Repeat("a", 40)}, 0, "fetch it"},
		"a base by a push": {inputs.Occasion{Head: "HEAD", Base: strings.Repeat("a", 40), Event: "push"}, 3, ""},
		"an unknown head":  {inputs.Occasion{Head: strings.Repeat("a", 40)}, 0, "fetch it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := openWorkspace(t.Context(), dir, t.TempDir(), test.o)
			if err != nil {
				t.Fatal(err)
			}
			if len(w.Files.Files) != 3 || w.Span.Commits != test.commits || !strings.Contains(w.Span.Missing, test.missing) || test.missing == "" && w.Span.Missing != "" {
				t.Errorf("files %v, range %+v", w.Files.Files, w.Span)
			}
		})
	}
}

// The files must be those of the commit.
func TestWorkspaceOfAnotherCommitIsRefused(t *testing.T) {
	t.Parallel()
	dir, commits := repository(t)
	gitIn(t, dir, "checkout", "-q", commits[0])
	_, err := openWorkspace(t.Context(), dir, t.TempDir(), inputs.Occasion{Head: commits[2]})
	if status, _ := exit.Of(err); status != exit.BadInput || !strings.Contains(err.Error(), "another commit") {
		t.Errorf("error %v", err)
	}
}

func TestWorkspacesWithoutHistory(t *testing.T) {
	t.Parallel()
	w, err := openWorkspace(t.Context(), t.TempDir(), t.TempDir(), inputs.Occasion{Head: "HEAD"})
	if err != nil || !strings.Contains(w.Span.Missing, "no git repository") {
		t.Errorf("%+v, %v", w, err)
	}
	empty := t.TempDir()
	gitIn(t, empty, "init", "-q")
	w, err = openWorkspace(t.Context(), empty, t.TempDir(), inputs.Occasion{Head: "HEAD"})
	if err != nil || !strings.Contains(w.Span.Missing, "no commit yet") {
		t.Errorf("%+v, %v", w, err)
	}
	if _, err := openWorkspace(t.Context(), filepath.Join(empty, "gone"), t.TempDir(), inputs.Occasion{}); err == nil {
		t.Error("a missing folder is a workspace")
	}
}

// A machine without git is no mistake in the inputs.
func TestWorkspaceWithoutGit(t *testing.T) {
	dir, _ := repository(t)
	t.Setenv("PATH", t.TempDir())
	_, err := openWorkspace(t.Context(), dir, t.TempDir(), inputs.Occasion{Head: "HEAD"})
	if status, hint := exit.Of(err); status != exit.CouldNotRun || !strings.Contains(hint, "install git") {
		t.Errorf("error %v, hint %q", err, hint)
	}
}
