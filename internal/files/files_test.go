package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadTakesRegularFilesOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, device := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", device); err != nil {
		t.Fatal(err)
	}
	if raw, err := Read(file); string(raw) != "x" || err != nil {
		t.Errorf("%q, %v", raw, err)
	}
	for _, path := range []string{device, dir} {
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Read(filepath.Join(dir, "gone")); !os.IsNotExist(err) {
		t.Errorf("a missing file: %v", err)
	}
}
