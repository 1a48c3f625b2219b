package baseline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/measure/history"
)

// A folder has the file in a folder of this machine. Files of the same name one folder
// deeper are those of several artifacts, as actions/download-artifact lays them out:
// all are read as one.
type folder struct{ dir, name string }

func (f folder) path() string  { return filepath.Join(f.dir, f.name) }
func (f folder) where() string { return f.path() }
func (f folder) reset() string { return "rm " + quote(f.path()) }

func (f folder) read(context.Context) ([]byte, string, error) {
	own, err := readFile(f.path())
	if err != nil {
		return nil, "", err
	}
	deeper, err := f.deeper()
	if err != nil || len(deeper) == 0 {
		return own, hash(own), err
	}
	merged, err := merge(own, f.path(), deeper)
	return merged, hash(own), err
}

// hidden is a file beside ours that artifacts leave out.
func (f folder) hidden(suffix string) string { return filepath.Join(f.dir, "."+f.name+suffix) }

// deeper returns the files of artifacts, in order.
func (f folder) deeper() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []string
	for _, e := range entries {
		if path := filepath.Join(f.dir, e.Name(), f.name); e.IsDir() && files.Exists(path) {
			all = append(all, path)
		}
	}
	return all, err
}

// merge makes one text of several files.
func merge(own []byte, path string, deeper []string) ([]byte, error) {
	var merged history.File
	for _, one := range slices.Concat([]string{path}, deeper) {
		raw := own
		if one != path {
			var err error
			if raw, err = readFile(one); err != nil {
				return nil, err
			}
		}
		if raw == nil {
			continue
		}
		f, err := history.Parse(raw)
		if err != nil {
			return nil, unreadable(one, "rm "+quote(one), err)
		}
		merged = history.Merge(merged, f)
	}
	return history.Render(merged)
}

// readFile returns nil for no file.
func readFile(path string) ([]byte, error) {
	raw, err := files.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && raw == nil {
		raw = []byte{}
	}
	return raw, err
}

// hash tells contents apart; "" is no file.
func hash(raw []byte) string {
	if raw == nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// write puts a whole new file in the place of the old one, or leaves that as it is.
func (f folder) write(_ context.Context, content []byte, token string) error {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return err
	}
	unlock, err := lock(f.hidden(".lock"))
	if errors.Is(err, errConflict) {
		return err
	}
	if err != nil {
		return fmt.Errorf("lock it: %w", err)
	}
	defer unlock()
	now, err := readFile(f.path())
	if err != nil {
		return err
	}
	if hash(now) != token {
		return errConflict
	}
	next, err := os.Create(f.hidden(".next")) // of a run that was killed too
	if err != nil {
		return err
	}
	_, err = next.Write(content)
	if err := errors.Join(err, next.Sync(), next.Close()); err != nil {
		return err
	}
	return os.Rename(next.Name(), f.path())
}
