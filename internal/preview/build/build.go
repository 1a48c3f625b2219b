// Package build reads and completes the folder of a built frontend before it is
// published. The folder may come from an artifact that strangers made, so everything goes
// through os.Root: no name and no link leads out of the folder.
package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Limits bound what is taken from an untrusted folder. A site of Netlify may have more
// files; a preview of a stranger's build need not.
type Limits struct {
	Files int   // files and folders
	Bytes int64 // of all files
	Depth int   // folders above a file
}

// Untrusted are the limits of builds that strangers made.
var Untrusted = Limits{Files: 50_000, Bytes: 1 << 30, Depth: 64}

// ErrEmpty is in the error for a folder without a page: publishing it would replace a
// site with nothing.
var ErrEmpty = errors.New("there is nothing to publish in it")

// Check reports whether a folder has something to publish besides our own manifest.
func Check(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("read the build: %w", err)
	}
	defer func() { _ = root.Close() }()
	found := false
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && !published(name, e.Name()) && e.IsDir():
			return fs.SkipDir
		case e.IsDir() || !published(name, e.Name()):
			return nil
		}
		info, err := root.Stat(filepath.FromSlash(name)) // of what a link leads to
		if err == nil && (info.Mode().IsRegular() || info.IsDir()) {
			found = true
			return fs.SkipAll
		}
		return nil // whoever publishes it says what is wrong with it
	})
	if err == nil && !found {
		err = ErrEmpty
	}
	if err != nil {
		return fmt.Errorf("read the build %s: %w", dir, err)
	}
	return nil
}

// published reports whether a file of this name is a part of a site: not the manifest, not
// Netlify's settings, and nothing hidden.
func published(name, base string) bool {
	switch {
	case name == ManifestName, base == "netlify.toml", base == "_redirects", base == "_headers":
		return false
	case base == ".well-known":
		return true
	}
	return !strings.HasPrefix(base, ".") && !strings.HasPrefix(base, "__MACOSX")
}

// CheckUntrusted refuses a folder that strangers made if it has links, devices or anything
// else but files and folders, or more than the limits, or if the way to it has a link.
func CheckUntrusted(dir string, most Limits) error {
	if err := noLinks(dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("read the build: %w", err)
	}
	defer func() { _ = root.Close() }()
	c := counter{root: root, most: most}
	if err := fs.WalkDir(root.FS(), ".", c.count); err != nil {
		return fmt.Errorf("the untrusted build %s: %w", dir, err)
	}
	return nil
}

// A counter walks over a folder and fails at what is not allowed.
type counter struct {
	root  *os.Root
	most  Limits
	files int
	bytes int64
}

func (c *counter) count(name string, e fs.DirEntry, err error) error {
	if err != nil || name == "." {
		return err
	}
	if c.files++; c.files > c.most.Files {
		return fmt.Errorf("more than %d files", c.most.Files)
	}
	if strings.Count(name, "/") > c.most.Depth {
		return fmt.Errorf("%q is below more than %d folders", name, c.most.Depth)
	}
	if e.IsDir() {
		return nil
	}
	info, err := c.root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%q is a %s: only files and folders are taken", name, kind(info.Mode()))
	}
	if c.bytes += info.Size(); c.bytes > c.most.Bytes {
		return fmt.Errorf("more than %d MiB", c.most.Bytes>>20)
	}
	return nil
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "link"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// noLinks refuses a path with a link in it: an artifact that was unpacked above the folder
// could have made one. Of an absolute path outside the working folder only the last part is
// known to be the artifact's.
func noLinks(dir string) error {
	base, rest := "", filepath.Clean(dir)
	if filepath.IsAbs(rest) {
		base, rest = filepath.Dir(rest), filepath.Base(rest)
		if wd, err := os.Getwd(); err == nil {
			if below, err := filepath.Rel(wd, dir); err == nil && filepath.IsLocal(below) {
				base, rest = wd, below
			}
		}
	}
	at := base
	for _, part := range strings.Split(filepath.ToSlash(rest), "/") {
		at = filepath.Join(at, part)
		info, err := os.Lstat(at)
		if err != nil {
			return fmt.Errorf("read the build: %w", err)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("the untrusted build %s: %s is a link: only files and folders are taken", dir, path.Clean(filepath.ToSlash(at)))
		}
	}
	return nil
}
