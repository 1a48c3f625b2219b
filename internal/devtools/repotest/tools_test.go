package repotest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/toolbox"
)

// hasTools reports whether a block is a lock file of tools.
func (b block) hasTools() bool {
	return b.lang == "yaml" && strings.Contains(b.text, "\ntools:\n") && strings.Contains(b.text, "sha256:")
}

// Every lock file of tools that the documents show can be read.
func TestShownToolLockFiles(t *testing.T) {
	t.Parallel()
	shown := 0
	for _, b := range blocks(t) {
		if !b.hasTools() {
			continue
		}
		shown++
		file := filepath.Join(t.TempDir(), "security-tools.yaml")
		if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := toolbox.Open(t.TempDir(), file, nil); err != nil {
			t.Errorf("%s shows\n%s\n%v", b.file, b.text, err)
		}
	}
	if shown == 0 {
		t.Error("the documents show no lock file of tools")
	}
}

// The table of tools and the deny-list in the document are those of the lock file.
func TestToolsOfTheDocumentAreThoseOfTheLockFile(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "docs/security-tools.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	box, err := toolbox.Open(t.TempDir(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range box.Entries() {
		switch {
		case e.Version == "" && !strings.Contains(text, e.Name):
			t.Errorf("it does not name %s", e.Name)
		case e.Version != "" && !strings.Contains(text, fmt.Sprintf("\n| %s | %s", e.Name, e.Version)):
			t.Errorf("it does not have %s %s", e.Name, e.Version)
		}
	}
	_, denied, _ := strings.Cut(text, "## Deny-list")
	for _, d := range box.Denied() {
		line := "\n| " + strings.Replace(d.Tool, "npm:", "npm: ", 1) + " | "
		_, rest, found := strings.Cut(denied, line)
		versions, _, _ := strings.Cut(rest, " |")
		if !found || !strings.Contains(versions, d.Version) {
			t.Errorf("its deny-list does not have %s %s", d.Tool, d.Version)
		}
	}
}
