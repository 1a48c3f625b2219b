package api

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// maxUnpacked is Lambda's limit for the code of a function, in bytes. A zip that it
// reads from S3, as ours, has no limit of its own (the 50 MiB of the documentation are
// for one sent with the request), but one over this cannot be unpacked within it: an
// entry never takes less than it holds, headers aside.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const maxUnpacked = 250 << 20

// maxZip is maxUnpacked with room for the headers of a hundred thousand files.
const maxZip = maxUnpacked + 32<<20

// zipTime is the earliest time that a zip can hold.
var zipTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// errTooLarge stops packing early.
var errTooLarge = fmt.Errorf("it has over %d MiB as a zip, more than Lambda unpacks", maxZip>>20)

// A Code is the code of a function as a zip, in a temporary file: it may be larger than
// the memory of a small runner.
type Code struct {
	*os.File        // the zip, to read
	Hash     string // SHA-256 of the zip, in hexadecimal
	// LeftOut are files that look like secrets and were not packed, sorted.
	LeftOut []string
}

// Close removes the temporary file.
func (c Code) Close() error { return errors.Join(c.File.Close(), os.Remove(c.Name())) }

// Package reads a function's code: a zip as it is, or a folder packed into one.
// Packing is reproducible: files are sorted, timestamps fixed, modes reduced to the
// executable bit. Symlinks are kept, and one that points out of the folder is an
// error. Left out are .git and the files of environments, .env and .env.NAME: they hold
// a developer's secrets, and everybody who may read the function could read them.
// .env.example, .env.sample and .env.template are packed. Close the code after its use.
func Package(path string) (Code, error) {
	c, err := packInto(path)
	if err != nil {
		return Code{}, fmt.Errorf("pack %s: %w", path, err)
	}
	return c, nil
}

func packInto(path string) (Code, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Code{}, err
	}
	file, err := os.CreateTemp("", "preview-code-*.zip")
	if err != nil {
		return Code{}, err
	}
	c := Code{File: file}
	sum := sha256.New()
	out := &cappedWriter{to: io.MultiWriter(file, sum), left: maxZip}
	if info.IsDir() {
		c.LeftOut, err = packFolder(path, out)
	} else {
		err = copyZip(path, out)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return Code{}, errors.Join(err, c.Close())
	}
	c.Hash = hex.EncodeToString(sum.Sum(nil))
	return c, nil
}

func copyZip(path string, out io.Writer) error {
	r, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	var unpacked uint64
	for _, f := range r.File {
		if unpacked += f.UncompressedSize64; f.UncompressedSize64 > maxUnpacked || unpacked > maxUnpacked {
			return errUnpacked
		}
	}
	if err := checkContent(len(r.File), int64(unpacked)); err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	_, err = io.Copy(out, in)
	return err
}

// errUnpacked refuses code that Lambda would refuse.
var errUnpacked = fmt.Errorf("it has over %d MiB unpacked, more than Lambda takes", maxUnpacked>>20)

func checkContent(files int, unpacked int64) error {
	if files == 0 {
		return errors.New("there is no file in it")
	}
	if unpacked > maxUnpacked {
		return errUnpacked
	}
	return nil
}

// A cappedWriter refuses what is more than it may take.
type cappedWriter struct {
	to   io.Writer
	left int64 // bytes
}

func (w *cappedWriter) Write(p []byte) (int, error) {
	if w.left -= int64(len(p)); w.left < 0 {
		return 0, errTooLarge
	}
	return w.to.Write(p)
}

// A packer zips the files of a folder. The root keeps it from following a symlink
// out of the folder.
type packer struct {
	root     *os.Root
	zip      *zip.Writer
	files    int
	unpacked int64
	leftOut  []string
}

func packFolder(dir string, out io.Writer) (leftOut []string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	p := &packer{root: root, zip: zip.NewWriter(out)}
	if err := fs.WalkDir(root.FS(), ".", p.add); err != nil {
		return nil, err
	}
	if err := p.zip.Close(); err != nil {
		return nil, err
	}
	return p.leftOut, checkContent(p.files, p.unpacked)
}

// holdsSecrets reports whether a file is one of an environment: .env, or .env.NAME that
// is no example.
func holdsSecrets(name string) bool {
	if name == ".env" {
		return true
	}
	suffix, ok := strings.CutPrefix(name, ".env.")
	return ok && !slices.Contains([]string{"example", "sample", "template"}, suffix)
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
	if holdsSecrets(entry.Name()) {
		p.leftOut = append(p.leftOut, path)
		return nil
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
