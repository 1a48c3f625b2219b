package netlifytest

import (
	"os"
	"path/filepath"
	"strings"
)

// TempDirT is the part of testing.TB that Folder needs.
type TempDirT interface {
	Helper()
	TempDir() string
	Fatal(args ...any)
}

// Folder writes files into a folder of the test, by path, and returns it. A content
// that begins with -> makes a symlink to the rest.
func Folder(t TempDirT, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "->"); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
