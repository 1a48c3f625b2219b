package bundle

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/bits"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/bmatcuk/doublestar/v4"
)

// A size is of files, in bytes.
type size struct {
	files             int
	raw, gzip, brotli int64
}

func (s size) plus(o size) size {
	return size{s.files + o.files, s.raw + o.raw, s.gzip + o.gzip, s.brotli + o.brotli}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// size measures a file once, however many routes load it.
func (m *measurement) size(name string) (s size, missing bool, err error) {
	if s, known := m.sizes[name]; known {
		return s, false, nil
	}
	if err := m.ctx.Err(); err != nil {
		return size{}, false, err
	}
	content, err := m.read(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return size{}, true, nil
	}
	if err != nil {
		return size{}, false, err
	}
	if m.total += int64(len(content)); m.total > maxTotal || len(m.sizes) == maxFiles {
		return size{}, false, fmt.Errorf("the bundles have more than %d files or %d MiB: choose fewer", maxFiles, maxTotal>>20)
	}
	if s, err = compressed(content); err != nil {
		return size{}, false, fmt.Errorf("compress %s: %w", name, err)
	}
	m.sizes[name] = s
	return s, false, nil
}

// read reads a regular file below the workspace. Links are followed that stay in it.
func (m *measurement) read(name string, limit int64) ([]byte, error) {
	info, err := m.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	f, err := m.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s is larger than %d MiB", name, limit>>20)
	}
	return content, err
}

// compressed measures content. gzip's level 9 and brotli's quality 11 are what build
// tools make for servers that send prepared files.
func compressed(content []byte) (size, error) {
	raw := int64(len(content))
	s := size{files: 1, raw: raw}
	var zipped, brotlied bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return s, err
	}
	// A window of the file's size is enough, and of the usual 4 MiB a small file would
	// only wait for the memory.
	b := brotli.NewWriterOptions(&brotlied, brotli.WriterOptions{Quality: brotli.BestCompression, LGWin: min(max(16, bits.Len64(uint64(raw)+16)), 22)})
	for _, to := range []io.WriteCloser{w, b} {
		if _, err := to.Write(content); err != nil {
			return s, err
		}
		if err := to.Close(); err != nil {
			return s, err
		}
	}
	s.gzip, s.brotli = min(raw, int64(zipped.Len())), min(raw, int64(brotlied.Len()))
	return s, nil
}

// glob returns the files that a glob matches, below the folder that it begins with.
func (m *measurement) glob(glob string) ([]string, error) {
	var found []string
	base, rest := doublestar.SplitPattern(glob)
	if rest == "" || base == glob {
		base = path.Dir(glob)
	}
	err := fs.WalkDir(m.root.FS(), base, func(name string, entry fs.DirEntry, err error) error {
		if m.walked++; m.walked > maxWalked {
			return fmt.Errorf("the globs look at more than %d files: begin them with the folder of the build", maxWalked)
		}
		if m.walked%1000 == 0 && m.ctx.Err() != nil {
			return m.ctx.Err()
		}
		matches, _ := doublestar.Match(glob, name)
		switch {
		case err != nil && name == base && errors.Is(err, fs.ErrNotExist):
			return fs.SkipAll
		case err != nil:
			return err
		case entry.IsDir() && name != base && (entry.Name() == ".git" || entry.Name() == "node_modules") && !strings.Contains(glob, entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || !matches:
			return nil
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			info, err := m.root.Stat(name)
			if err != nil {
				return fmt.Errorf("%s is a link that is not followed: %w", name, err)
			}
			if info.IsDir() {
				return nil
			}
		}
		if found = append(found, name); len(found) > maxFiles {
			return fmt.Errorf("%s matches more than %d files", glob, maxFiles)
		}
		return nil
	})
	return found, err
}

// A hash of contents is the last part of a name before its endings: 8 characters of
// base64 (Vite), or 8 or more of hexadecimal (webpack, Next.js).
var hash = regexp.MustCompile(`^(.*[^-._~])?([-._~])([A-Za-z0-9_-]{8}|[0-9a-f]{8,64})((?:\.[A-Za-z0-9]{1,5})+)$|^()()([0-9a-f]{16,64})((?:\.[A-Za-z0-9]{1,5})+)$`)

// withoutHash replaces the hash in the name of a file, so that the next build's file
// has the same name. A word of lower case letters alone is none.
func withoutHash(name string) string {
	dir, file := path.Split(name)
	p := hash.FindStringSubmatch(file)
	switch {
	case p == nil:
		return name
	case p[7] != "":
		return dir + "[hash]" + p[8]
	case !strings.ContainsAny(p[3], "0123456789") && (strings.ToLower(p[3]) == p[3] || strings.ToUpper(p[3]) == p[3]):
		return name
	}
	return dir + p[1] + p[2] + "[hash]" + p[4]
}
