package site

import (
	"crypto/sha1" // Netlify's choice
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

func listing(t *testing.T, dir string, root bool) ([]string, error) {
	t.Helper()
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	files, _, err := list(r, root)
	var names []string
	for _, f := range files {
		names = append(names, f.Path)
	}
	return names, err
}

// Links are left out, wherever they lead, and named. The folder itself may be one.
func TestLinks(t *testing.T) {
	t.Parallel()
	dir := netlifytest.Folder(t, map[string]string{
		"real/a.txt": "a", "link.txt": "->real/a.txt", "folder": "->real", "passwd": "->/etc/passwd", "nothing": "->no-such-file", "circle/again": "->../circle",
		".hidden": "->real", "a#b": "->real",
	})
	top := filepath.Join(t.TempDir(), "top")
	if err := os.Symlink(dir, top); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{dir, top} {
		s, err := Open(Source{Dir: at})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if len(s.Files) != 1 || s.Files[0].Path != "real/a.txt" {
			t.Errorf("%+v", s.Files)
		}
		want := `symlinks are not published: "a#b", "circle/again", "folder", "link.txt", "nothing", "passwd"`
		if len(s.Warnings) != 2 || s.Warnings[0] != want || s.Warnings[1] != `left out by their names: ".hidden"` {
			t.Errorf("%q", s.Warnings)
		}
	}
}

// What only netlify-cli bundles is named.
func TestEdgeFunctionsAreNamed(t *testing.T) {
	t.Parallel()
	project := netlifytest.Folder(t, map[string]string{
		"dist/index.html": "x", "netlify/edge-functions/a.ts": "", "netlify.toml": "[[edge_functions]]\npath='/x'\nfunction='a'\n[build.processing.html]\npretty_urls=true",
	})
	s, err := Open(Source{Dir: filepath.Join(project, "dist"), Config: filepath.Join(project, "netlify.toml")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	has(t, strings.Join(s.Warnings, "\n"), "edge functions in netlify/edge-functions are not deployed", `edge function "a" of /x is not deployed`)
	has(t, string(s.generated), "[build.processing.html]", "pretty_urls = true")
}

// What is left out by its name is named, and what is read is not.
func TestHiddenFilesAreNamed(t *testing.T) {
	t.Parallel()
	s, err := Open(Source{Dir: netlifytest.Folder(t, map[string]string{
		"index.html": "", "package.json": "{}", ".env": "", ".git/HEAD": "", "node_modules/a.js": "", "sub/.DS_Store": "", "_headers": "", "_redirects": "", ".well-known/x": "",
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want := `left out by their names: ".env", ".git", "node_modules", "sub/.DS_Store"`
	if len(s.Warnings) != 1 || s.Warnings[0] != want {
		t.Errorf("%q, want %q", s.Warnings, want)
	}
}

func TestManyBadNamesAreCut(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 60 {
		files[fmt.Sprintf("%02d?", i)] = ""
	}
	_, err := listing(t, netlifytest.Folder(t, files), false)
	if err == nil {
		t.Fatal("no error")
	}
	has(t, err.Error(), `"49?"`, "and 10 more")
}

func TestRoot(t *testing.T) {
	t.Parallel()
	plain := netlifytest.Folder(t, map[string]string{"index.html": "", "node_modules/a.js": "", "sub/node_modules/b.js": ""})
	for _, c := range []struct {
		dir, config string
		want        bool
	}{
		{plain, "", false},
		{plain, filepath.Join(plain, "netlify.toml"), true},
		{plain, "/elsewhere/netlify.toml", false},
		{netlifytest.Folder(t, map[string]string{"package.json": "{}"}), "", true},
		{netlifytest.Folder(t, map[string]string{".git/HEAD": ""}), "", true},
	} {
		if got := isProjectRoot(c.dir, c.config); got != c.want {
			t.Errorf("isProjectRoot(%s, %q) = %v", c.dir, c.config, got)
		}
	}
	if names, err := listing(t, plain, true); err != nil || !slices.Equal(names, []string{"index.html"}) {
		t.Errorf("%q, %v", names, err)
	}
	if names, err := listing(t, plain, false); err != nil || len(names) != 3 {
		t.Errorf("%q, %v", names, err)
	}
}

func TestHashes(t *testing.T) {
	t.Parallel()
	dir := netlifytest.Folder(t, map[string]string{"empty": "", "one": "1", "large": strings.Repeat("0123456789", 100_000)})
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	files, _, err := list(r, false)
	if err != nil {
		t.Fatal(err)
	}
	var hashed, bytes atomic.Int64
	progress := func(files int, n int64) { hashed.Add(int64(files)); bytes.Add(n) }
	if err := hashAll(t.Context(), r, files, progress); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(dir, f.Path))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%x", sha1.Sum(raw)); f.SHA1 != want || f.Size != int64(len(raw)) {
			t.Errorf("%s: %s of %d bytes, want %s", f.Path, f.SHA1, f.Size, want)
		}
	}
	if hashed.Load() != 3 || bytes.Load() != 1_000_001 {
		t.Errorf("progress of %d files and %d bytes", hashed.Load(), bytes.Load())
	}
	if err := os.Remove(filepath.Join(dir, "one")); err != nil {
		t.Fatal(err)
	}
	if err := hashAll(t.Context(), r, files, progress); err == nil || !strings.Contains(err.Error(), "one") {
		t.Errorf("a file that is gone: %v", err)
	}
}

// Whatever is in a folder: what is listed has no part that is to be left out, and
// what is not listed has one, or is refused by name.
func FuzzFiles(f *testing.F) {
	for _, name := range []string{"a", ".well-known/x", "a/.b/c", "__MACOSX/._a", "x#y", "q?", "sub/_redirects", "netlify.toml", "sub/netlify.toml", "node_modules/x", "ü/ß"} {
		f.Add(name, true)
	}
	f.Fuzz(func(t *testing.T, name string, root bool) {
		dir := t.TempDir()
		if name == "." || !filepath.IsLocal(name) || path.Clean(name) != name || strings.ContainsRune(name, 0) || len(name) > 100 || strings.Contains(name, "\\") {
			return
		}
		full := filepath.Join(dir, "site", name)
		if os.MkdirAll(filepath.Dir(full), 0o755) != nil || os.WriteFile(full, nil, 0o600) != nil {
			return
		}
		names, err := listing(t, filepath.Join(dir, "site"), root)
		left := name == "netlify.toml" || slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool {
			return strings.HasPrefix(part, ".") && part != ".well-known" || strings.HasPrefix(part, "__MACOSX") ||
				part == "_redirects" || part == "_headers" || root && part == "node_modules"
		})
		odd := strings.ContainsAny(name, "#?") || !utf8.ValidString(name)
		switch {
		case left && (err != nil && utf8.ValidString(name) || len(names) != 0):
			t.Errorf("%q is to be left out: %q, %v", name, names, err)
		case !left && odd && err == nil:
			t.Errorf("%q is taken", name)
		case !left && !odd && (err != nil || !slices.Equal(names, []string{name})):
			t.Errorf("%q: %q, %v", name, names, err)
		}
	})
}
