// Package folder makes temporary folders that a killed process does not leave for ever.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Make makes a folder in dir, "" for that of temporary files, whose name begins
// with prefix, and returns it with what removes it. It removes those of the same name
// that processes left which were killed: the reports of tools in them can have
// secrets in clear. A folder whose process lives is left alone.
func Make(dir, prefix string) (folder string, remove func(), err error) {
	if dir == "" {
		dir = os.TempDir()
	}
	left, err := filepath.Glob(filepath.Join(dir, prefix+"*"))
	if err != nil {
		return "", nil, fmt.Errorf("look for folders of ended runs: %w", err)
	}
	for _, old := range left {
		removeDead(old)
	}
	if folder, err = os.MkdirTemp(dir, prefix); err != nil {
		return "", nil, fmt.Errorf("make a folder for the run: %w", err)
	}
	unlock, err := hold(folder)
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("lock the folder of the run: %w", err), os.RemoveAll(folder))
	}
	return folder, func() {
		_ = Remove(folder) // the next run tries again
		unlock()
	}, nil
}

// lockName is the file that the process of a folder has locked.
const lockName = ".lock"

// Remove removes a folder in which a program may have made folders that cannot
// be written.
func Remove(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove a temporary folder: %w", err)
	}
	return nil
}
