package toolbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
)

// SumOf returns the sha256 of a file, as sha256sum prints it, or of a folder: of the
// lines of all files in it, each with its sum, whether it can be executed, and its
// path. So it changes with any file that is changed, added or removed.
func SumOf(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return sumOfFile(path)
	}
	type file struct {
		name string
		d    fs.DirEntry
	}
	var all []file
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, file{name, d})
		}
		return err
	})
	if err != nil {
		return "", err
	}
	lines := make([]string, len(all))
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) { // a tool of npm has thousands of files, and each run waits for their sum
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(all); i = int(next.Add(1)) - 1 {
				lines[i], errs[i] = describe(all[i].name, all[i].d)
			}
		})
	}
	wait.Wait()
	h := sha256.New()
	for i, f := range all {
		rel, err := filepath.Rel(path, f.name)
		if err := errors.Join(errs[i], err); err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %q\n", lines[i], filepath.ToSlash(rel))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// describe is what of a file counts.
func describe(path string, d fs.DirEntry) (string, error) {
	if d.Type()&fs.ModeSymlink != 0 {
		to, err := os.Readlink(path)
		return fmt.Sprintf("link %q", to), err
	}
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file: %v", path, info.Mode())
	}
	sum, err := sumOfFile(path)
	return fmt.Sprintf("%s %t", sum, info.Mode()&0o111 != 0), err
}

func sumOfFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// A receipt is what was installed.
type receipt struct {
	Name   string `json:"name"`
	Key    string `json:"key"`    // of the entry in the lock file
	SHA256 string `json:"sha256"` // of its folder
}

// key names an entry by all that says what is installed.
func (e Entry) key() string {
	h := sha256.New()
	raw, _ := json.Marshal([]any{e.Name, e.Version, e.Kind, e.Module, e.Package, e.Sum, e.Copied, e.Experiment, e.LDFlags, e.Script})
	_, _ = h.Write(raw)
	_, _ = io.WriteString(h, e.Node)
	if e.Kind == NPM {
		lock, _ := files.ReadFile(e.Folder + "/package-lock.json")
		_, _ = h.Write(lock)
	}
	return e.Version + "-" + hex.EncodeToString(h.Sum(nil)[:6])
}

// place is the folder of an installed tool.
func (b *Box) place(e Entry) string { return filepath.Join(b.dir, e.Name, e.key()) }

func (b *Box) receiptFile(e Entry) string {
	return filepath.Join(b.dir, "receipts", e.Name+"-"+e.key()+".json")
}

// receipt reads what was installed.
func (b *Box) receipt(e Entry) (receipt, error) {
	var r receipt
	raw, err := os.ReadFile(b.receiptFile(e))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("read the receipt %s: %w", b.receiptFile(e), err)
	}
	if r.Name != e.Name || r.Key != e.key() || r.SHA256 == "" {
		return r, fmt.Errorf("the receipt %s is of %s %s", b.receiptFile(e), r.Name, r.Key)
	}
	return r, nil
}

// writeReceipt records what is in a tool's place.
func (b *Box) writeReceipt(e Entry) error {
	sum, err := SumOf(b.place(e))
	if err != nil {
		return err
	}
	raw, err := json.Marshal(receipt{Name: e.Name, Key: e.key(), SHA256: sum})
	if err != nil {
		return err
	}
	path := b.receiptFile(e)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".partial", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".partial", path)
}
