// Package site decides what of a built folder is published on Netlify, and under
// which digests. It reads folders and sends nothing; the rules follow netlify-cli, so
// that a preview is what `netlify deploy --alias` would have published.
//
// # Files
//
// All regular files below the folder are published, except names that begin with a
// dot (other than .well-known) or with __MACOSX, and node_modules if the folder is the
// project's root: if it holds the netlify.toml, a .git or a package.json. Symlinks are
// not followed. A warning lists what is left out. Names with # or ?, or not in UTF-8, cannot be published; the error
// lists them.
//
// # Redirects and headers
//
// Files named _redirects and _headers are not published, at any depth. Those at the
// top, and the redirects, headers and images of netlify.toml, become one generated
// netlify.toml, with _redirects and _headers first, which is published in their place,
// with build.processing. Nothing else of netlify.toml is sent: it may hold the build's
// environment. The package rules says what is an error; a warning names what is ignored,
// such as edge functions.
//
// # Functions
//
// In the folder of functions, .zip files are published as they are, and .js, .mjs and
// .cjs files as functions of one file without dependencies. A manifest.json written by
// zip-it-and-ship-it adds runtime, routes, schedule and timeout to its .zip files. Any
// other name that does not begin with a dot is an error: other functions have to be
// bundled first, which the package bundle does.
package site

import (
	"bytes"
	"context"
	"crypto/sha1" // Netlify's choice
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/candlefish/deploy-action/internal/netlify/bundle"
	"github.com/candlefish/deploy-action/internal/netlify/rules"
)

// A Source names the folders that make a site.
type Source struct {
	Dir       string // the built folder
	Functions string // the folder of functions; empty means none
	Config    string // the path of a netlify.toml; empty means the one in Dir, if any
}

// A Site is what is published. Its digests are empty until Hash.
type Site struct {
	Files     []File // by path; the generated netlify.toml comes last, after Hash
	Functions []Function
	// Warnings are what is not published, or most likely wrong.
	Warnings []string

	dir       *os.Root
	functions *os.Root // nil for none
	generated []byte   // the netlify.toml; nil for none
}

// A File is one file to publish.
type File struct {
	Path string // in the site, with slashes
	Size int64  // in bytes
	SHA1 string // in hex

	body []byte // of the generated file; nil for one in the folder
}

// Open lists what a source publishes, and reports all that cannot be published. The
// site has to be closed.
func Open(src Source) (*Site, error) {
	s := &Site{}
	var err error
	if s.dir, err = os.OpenRoot(src.Dir); err != nil {
		return nil, err
	}
	if src.Functions != "" {
		if s.functions, err = os.OpenRoot(src.Functions); err != nil {
			s.Close()
			return nil, fmt.Errorf("functions: %w", err)
		}
	}
	if err := s.read(src); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Check returns why a source cannot be published, nil if it can. If project has Netlify's
// bundler, it runs none: of functions that need one it looks only whether their folder is there.
func Check(src Source, project string) error {
	if src.Functions != "" && project != "" {
		needed, err := bundle.Needed(src.Functions)
		if err != nil {
			return fmt.Errorf("functions: %w", err)
		}
		if needed {
			src.Functions = ""
		}
	}
	s, err := Open(src)
	if err != nil {
		return err
	}
	s.Close()
	return nil
}

func (s *Site) read(src Source) (err error) {
	var left leftOut
	if s.Files, left, err = list(s.dir, isProjectRoot(src.Dir, src.Config)); err != nil {
		return err
	}
	s.Warnings = append(left.warnings(), edgeFolders(src)...)
	if err := s.generate(src); err != nil {
		return err
	}
	if s.functions == nil {
		return nil
	}
	if s.Functions, err = listFunctions(s.functions, s.warn); err != nil {
		return fmt.Errorf("functions: %w", err)
	}
	return nil
}

func (s *Site) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// Close closes the folders, which were only read.
func (s *Site) Close() {
	_ = s.dir.Close()
	if s.functions != nil {
		_ = s.functions.Close()
	}
}

// Bytes is the size of all files.
func (s *Site) Bytes() int64 {
	var n int64
	for _, f := range s.Files {
		n += f.Size
	}
	return n
}

// Hash sets the digests and sizes of all files, on all cores, and adds the generated
// netlify.toml. No file is held in memory. Progress receives what was read since its
// last call; several goroutines call it.
func (s *Site) Hash(ctx context.Context, progress func(files int, bytes int64)) error {
	if err := hashAll(ctx, s.dir, s.Files, progress); err != nil {
		return err
	}
	if s.generated != nil {
		digest := sha1.Sum(s.generated)
		s.Files = append(s.Files, File{Path: rules.ConfigName, Size: int64(len(s.generated)), SHA1: hex.EncodeToString(digest[:]), body: s.generated})
	}
	return nil
}

// OpenFile opens a file of the site.
func (s *Site) OpenFile(f File) (io.ReadCloser, error) { return open(s.dir, f.Path, f.body) }

// OpenFunction opens the zip of a function.
func (s *Site) OpenFunction(f Function) (io.ReadCloser, error) {
	return open(s.functions, f.file, f.body)
}

func open(dir *os.Root, name string, body []byte) (io.ReadCloser, error) {
	if body != nil {
		return io.NopCloser(bytes.NewReader(body)), nil
	}
	return dir.Open(filepath.FromSlash(name))
}
