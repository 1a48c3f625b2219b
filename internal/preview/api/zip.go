package api

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Lambda's limits, in bytes.
const (
	maxZip      = 50 << 20
	maxUnpacked = 250 << 20
)

// zipTime is the earliest time that a zip can hold.
var zipTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// errTooLarge stops packing early.
var errTooLarge = fmt.Errorf("it has over %d MiB as a zip, more than Lambda takes", maxZip>>20)

// Package reads a function's code: a zip as it is, or a folder packed into one.
// Packing is reproducible: files are sorted, timestamps fixed, modes reduced to the
// executable bit. Symlinks are kept, and one that points out of the folder is an
// error; .git is left out. The hash is the SHA-256 of the zip, in hexadecimal.
func Package(path string) (code io.ReadSeeker, hash string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", err
	}
	var packed []byte
	if info.IsDir() {
		packed, err = packFolder(path)
	} else {
		packed, err = readZip(path, info)
	}
	if err != nil {
		return nil, "", fmt.Errorf("pack %s: %w", path, err)
	}
	sum := sha256.Sum256(packed)
	return bytes.NewReader(packed), hex.EncodeToString(sum[:]), nil
}

func readZip(path string, info fs.FileInfo) ([]byte, error) {
	if info.Size() > maxZip {
		return nil, errTooLarge
	}
	packed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, err
	}
	var unpacked uint64
	for _, f := range r.File {
		unpacked += f.UncompressedSize64
	}
	return packed, checkContent(len(r.File), int64(unpacked))
}

func checkContent(files int, unpacked int64) error {
	if files == 0 {
		return errors.New("there is no file in it")
	}
	if unpacked > maxUnpacked || unpacked < 0 {
		return fmt.Errorf("it has over %d MiB unpacked, more than Lambda takes", maxUnpacked>>20)
	}
	return nil
}

// cappedBuffer holds as much as Lambda accepts.
type cappedBuffer struct{ bytes.Buffer }

func (l *cappedBuffer) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxZip {
		return 0, errTooLarge
	}
	return l.Buffer.Write(p)
}

// A packer zips the files of a folder. The root keeps it from following a symlink
// out of the folder.
type packer struct {
	root     *os.Root
	zip      *zip.Writer
	files    int
	unpacked int64
}

func packFolder(dir string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	var out cappedBuffer
	p := &packer{root: root, zip: zip.NewWriter(&out)}
	if err := fs.WalkDir(root.FS(), ".", p.add); err != nil {
		return nil, err
	}
	if err := p.zip.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), checkContent(p.files, p.unpacked)
}

// add is called in lexical order.
func (p *packer) add(path string, entry fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if entry.IsDir() {
		if path == ".git" {
			return fs.SkipDir
		}
		return nil // folders come with their files
	}
	info, err := entry.Info()
	if err != nil {
		return err
	}
	p.files++
	switch {
	case info.Mode().IsRegular():
		return p.file(path, info)
	case info.Mode()&fs.ModeSymlink != 0:
		return p.symlink(path)
	}
	return fmt.Errorf("%s is neither a file nor a symlink", path)
}

func (p *packer) file(path string, info fs.FileInfo) error {
	p.unpacked += info.Size()
	if err := checkContent(p.files, p.unpacked); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	w, err := p.entry(path, mode, zip.Deflate)
	if err != nil {
		return err
	}
	f, err := p.root.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(w, f)
	return err
}

// symlink keeps a symlink, if its target exists and is in the folder.
func (p *packer) symlink(path string) error {
	if _, err := p.root.Stat(path); err != nil {
		return fmt.Errorf("symlink %s leads to nothing in the folder: %w", path, err)
	}
	target, err := p.root.Readlink(path)
	if err != nil {
		return err
	}
	w, err := p.entry(path, fs.ModeSymlink|0o777, zip.Store)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, target)
	return err
}

func (p *packer) entry(path string, mode fs.FileMode, method uint16) (io.Writer, error) {
	h := &zip.FileHeader{Name: path, Method: method, Modified: zipTime}
	h.SetMode(mode)
	return p.zip.CreateHeader(h)
}
