package previewlocal

import (
	"bytes"
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

func TestOtherGoalsNeedAnAccount(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	env := action.Env{Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &out}
	if code := Main(t.Context(), env, []string{"--goal", "down"}); code != 2 || !strings.Contains(out.String(), "needs GITHUB_TOKEN") {
		t.Errorf("exit status %d: %s", code, out.String())
	}
}
