package previewlocal

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/action"
)

// Without an account: up, down, and nothing is left.
func TestShowsTheWholeLife(t *testing.T) {
	t.Chdir("../../..") // where the sample is
	var out bytes.Buffer
	env := action.Env{Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &out, Exit: func(int) {}}
	if code := Main(t.Context(), env, []string{"--goal", "up"}); code != 0 {
		t.Fatalf("exit status %d:\n%s", code, out.String())
	}
	for _, want := range []string{"nothing is configured", "🎭 Preview Environment", "**Ready** at `5a3c1e0`", "it answers OK as 5a3c1e0",
		"🧹 Preview Environment Cleaned Up", "status: removed", "verified: no deploy, stack, bucket, table, function, role, log group or API is left"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}

// The user's own site and API, a pull request's number and a commit.
func TestShowsAnotherSite(t *testing.T) {
	t.Chdir("../../..")
	mine, api := t.TempDir(), t.TempDir()
	write(t, mine, "index.html", "<h1>mine</h1>")
	write(t, api, "app.mjs", "export const handler = async () => ({ statusCode: 200, body: `mine at ${process.env.COMMIT_SHA}` })\n")
	for name, c := range map[string]struct {
		args, want []string
		code       int
	}{
		"a site":         {[]string{"--dir", mine}, []string{"**Ready** at `5a3c1e0`", "status: removed", "verified: no deploy is left\n"}, 0},
		"with a number":  {[]string{"--dir=" + mine, "--pr-number", "7"}, []string{"pr-7", "status: removed"}, 0},
		"with an API":    {[]string{"--dir", mine, "--api-code", api, "--api-handler", "app.handler", "--commit", strings.Repeat("b", 40)}, []string{"it answers OK as bbbbbbb", "status: removed"}, 0},
		"no such folder": {[]string{"--dir", mine + "/none"}, []string{"dir: stat " + mine + "/none: no such file"}, 2},
		"no functions":   {[]string{"--dir", mine, "--functions", mine + "/none"}, []string{"functions: open " + mine + "/none: no such file"}, 2},
		"a bad input":    {[]string{"--dir", mine, "--links=-1"}, []string{"links (flag --links)"}, 2},
		"no code":        {[]string{"--dir", mine, "--api-code", mine}, []string{"api-code: ", "no index.mjs"}, 2},
	} {
		var out bytes.Buffer
		env := action.Env{Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &out, Exit: func(int) {}}
		if code := Main(t.Context(), env, append([]string{"--goal", "up"}, c.args...)); code != c.code {
			t.Errorf("%s: exit status %d, want %d:\n%s", name, code, c.code, out.String())
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: it does not say %q:\n%s", name, want, out.String())
			}
		}
		if left, err := os.ReadDir(mine); err != nil || len(left) != 1 {
			t.Errorf("%s: the user's folder has %d files, %v, want the one it had", name, len(left), err)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOtherGoalsNeedAnAccount(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	env := action.Env{Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &out}
	if code := Main(t.Context(), env, []string{"--goal", "down"}); code != 2 || !strings.Contains(out.String(), "needs GITHUB_TOKEN") {
		t.Errorf("exit status %d: %s", code, out.String())
	}
}
