package toolboxtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

// What is installed runs in the sandbox, without a network, and says the version of
// the lock file.
func TestToolsRunInTheSandbox(t *testing.T) {
	t.Parallel()
	box, err := toolbox.Open(t.TempDir(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]toolbox.Entry{}
	for _, e := range box.Entries() {
		entries[e.Name] = e
	}
	sandbox, err := isolate.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	// The larger ones take minutes to build; the tests of their scanners run them.
	for name, tool := range Need(t, "gitleaks", "actionlint", "govulncheck", "eslint", "playwright") {
		got := sandbox.Run(t.Context(), isolate.Command{
			Program: tool.Program, Args: slices.Concat(tool.Args, entries[name].Print), Reads: tool.Reads,
		})
		out := string(got.Stdout) + string(got.Stderr)
		if got.Ending != isolate.Exited || !strings.Contains(out, tool.Version) {
			t.Errorf("%s: %s, %d, %s: %q, want version %s", name, got.Ending, got.Status, got.Why, out, tool.Version)
		}
	}
}
