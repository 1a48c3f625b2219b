// Package files reads files that others may have written, and writes reports.
package files

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Max is the size up to which Read reads a file, in bytes.
const Max = 256 << 20

// Read reads a file that may come from a repository: what is no regular file, such as
// a link to a device, would never end, and is refused.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: it is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, Max+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(raw) > Max {
		return nil, fmt.Errorf("read %s: it has more than %d MiB", path, Max>>20)
	}
	return raw, nil
}

// Exists reports whether there is something of a name.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Write writes a report and makes its folder.
func Write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the reports: %w", err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("write the reports: %w", err)
	}
	return nil
}

// Ignored makes a folder for reports that git ignores, so that they stay out of the
// next scan and of commits. One that is there stays as it is.
func Ignored(dir string) error {
	if Exists(dir) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o600)
}
