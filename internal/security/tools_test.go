package security

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// A repository does not bring the scanner that judges it, by a link neither.
func TestToolsOfTheScannedFolderAreDenied(t *testing.T) {
	t.Parallel()
	scanned, other := t.TempDir(), t.TempDir()
	program := filepath.Join(scanned, "bin", "hadolint")
	content := []byte("#!/bin/sh\necho 1.0.0\n")
	sum := sha256.Sum256(content)
	if err := os.Mkdir(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, content, 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	link := filepath.Join(other, "linked")
	if err := os.Symlink(filepath.Dir(program), link); err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{program, filepath.Join(link, "hadolint")} {
		lock := filepath.Join(t.TempDir(), fmt.Sprintf("lock-%d.yaml", i))
		text := fmt.Sprintf("version: 1\ntools:\n  hadolint:\n    path: %s\n    version: 1.0.0\n    sha256: %s\n", path, hex.EncodeToString(sum[:]))
		if err := os.WriteFile(lock, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		find := func(scanned string) error {
			finder, err := openToolbox(lock, scanned, os.Environ())
			if err != nil {
				t.Fatal(err)
			}
			_, err = finder.Find(t.Context(), "hadolint")
			return err
		}
		var absent absentTool
		if err := find(scanned); !errors.As(err, &absent) || absent.Health() != verdict.Denied {
			t.Errorf("%s: error %v", path, err)
		}
		if err := find(other); err != nil && filepath.Dir(path) != link {
			t.Errorf("%s, another folder is scanned: error %v", path, err)
		}
	}
}

// A tool that is not installed is left out for a reason that is true: others saw what
// it would have seen, or the user called it optional.
func TestUnneededTools(t *testing.T) {
	t.Parallel()
	r := verdict.Result{
		Tools: []verdict.Tool{{Name: "zizmor", Health: verdict.Missing}, {Name: "semgrep", Health: verdict.Missing}, {Name: "gitleaks", Health: verdict.Missing, Hint: "install it"}},
		Needs: []verdict.Answered{
			{Need: verdict.Need{What: "workflows", Tools: []string{"actionlint", "zizmor"}}, Met: true},
			{Need: verdict.Need{What: "secrets", Tools: []string{"gitleaks"}}},
		},
	}
	want := []verdict.Tool{
		{Name: "zizmor", Health: verdict.LeftOut, Why: "it is not installed, and others saw what it looks for"},
		{Name: "semgrep", Health: verdict.LeftOut, Why: "it is not installed, and the input optional-tools names it"},
		{Name: "gitleaks", Health: verdict.Missing, Hint: "install it"},
	}
	if diff := cmp.Diff(want, unneeded(r, []string{"semgrep"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
