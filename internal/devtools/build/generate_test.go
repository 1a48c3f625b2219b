package build

import (
	"os"
	"path/filepath"
	"testing"
)

// A file that is generated as a whole needs not be there before.
func TestGenerate(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, s := range sections() {
		if s.name == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("../../..", s.file))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(root, s.file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Generate(root); err != nil {
		t.Fatal(err)
	}
	schema := filepath.Join(root, schemaFile)
	if text, err := os.ReadFile(schema); err != nil || string(text) != schemaJSON() {
		t.Errorf("%s: %v\n%s", schemaFile, err, text)
	}
	if stale, err := Stale(root); err != nil || len(stale) > 0 {
		t.Errorf("stale: %q, %v", stale, err)
	}
	if err := os.WriteFile(schema, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if stale, err := Stale(root); err != nil || len(stale) != 1 {
		t.Errorf("stale after a change: %q, %v", stale, err)
	}
	if err := os.Remove(filepath.Join(root, "action.yml")); err != nil {
		t.Fatal(err)
	}
	if _, err := Stale(root); err == nil {
		t.Error("a file whose sections are generated may be missing")
	}
}
