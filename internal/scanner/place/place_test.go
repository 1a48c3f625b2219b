package place

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/candlefish/deploy-action/internal/finding"
)

func TestPathIsBelowTheWorkspace(t *testing.T) {
	t.Parallel()
	for reported, want := range map[string]string{
		"/repo/src/a.js":        "src/a.js",
		"file:///repo/src/a.js": "src/a.js",
		"./src//a.js":           "src/a.js",
		"src/a.js":              "src/a.js",
		"/etc/passwd":           "",
		"../b.js":               "",
		"src/../../b.js":        "",
		"/repo":                 "",
		"":                      "",
		"..a/b":                 "..a/b",
	} {
		if got := Path("/repo", reported); got != want {
			t.Errorf("Path(%q) = %q, want %q", reported, got, want)
		}
	}
}

func TestLinesAreReadBelowTheWorkspaceOnly(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, "not ours\n")
	root := t.TempDir()
	write(t, filepath.Join(root, "a.js"), "one\r\n\t two \nthree")
	if err := os.Symlink(outside, filepath.Join(root, "link.js")); err != nil {
		t.Fatal(err)
	}
	at := func(path string, line int) finding.Sighting {
		return finding.Sighting{Class: finding.ClassCode, Location: finding.Location{Path: path, Line: line}}
	}
	secret := at("a.js", 1)
	secret.Class = finding.ClassSecret
	known := at("a.js", 1)
	known.Location.Context = "kept"
	got := []finding.Sighting{at("a.js", 1), at("a.js", 2), at("a.js", 3), at("a.js", 4), at("link.js", 1), at("gone.js", 1), secret, known}
	Lines(root, got)
	for i, want := range []string{"one", "two", "three", "", "", "", "", "kept"} {
		if got[i].Location.Context != want {
			t.Errorf("sighting %d: context %q, want %q", i, got[i].Location.Context, want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
