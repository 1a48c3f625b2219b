package toolbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, own string, environ ...string) *Box {
	t.Helper()
	b, err := Open(t.TempDir(), own, environ)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// put writes a program and returns its path.
func put(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestToolsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	b := open(t, "")
	for name, want := range map[string]struct {
		err  error
		hint string
	}{
		"gitleaks": {ErrMissing, "go tool mage tools:install -names=gitleaks"},
		"eslint":   {ErrMissing, "go tool mage tools:install -names=eslint"},
		"semgrep":  {ErrMissing, "--tools-lock=security-tools.yaml"},
		"npm":      {ErrMissing, "install npm"},
		"unheard":  {ErrUnknown, ""},
	} {
		_, err := b.Find(t.Context(), name)
		var wrong *ToolError
		if !errors.Is(err, want.err) || !errors.As(err, &wrong) || !strings.Contains(wrong.Hint, want.hint) {
			t.Errorf("%s: %v, want %v with the hint %q", name, err, want.err, want.hint)
		}
	}
}
