package binaries

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// syncBuffer is a writer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// options are those of a fresh cache, with what is said going to b.
func (b *syncBuffer) options(t *testing.T) Options {
	return Options{Cache: t.TempDir(), Say: func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }}
}

func TestKeyFollowsTheSources(t *testing.T) {
	t.Parallel()
	b := bundle{components: []component{{"x", "v1.2.3", "."}}}
	module := func(files ...string) fstest.MapFS {
		fs := fstest.MapFS{}
		for i := 0; i < len(files); i += 2 {
			fs[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
		return fs
	}
	base := module("go.mod", "m", "go.sum", "s", "main.go", "p", "absent/a/a.go", "a")
	key := func(b bundle, m fstest.MapFS) string {
		k, err := b.key(b.components[0], m)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	want := key(b, base)
	if !strings.HasPrefix(want, "v1.2.3-") {
		t.Errorf("key %q does not begin with the version", want)
	}
	if got := key(b, module("go.mod", "m", "go.sum", "s", "main.go", "p", "absent/a/a.go", "a", "README.md", "new")); got != want {
		t.Errorf("a README changes the key from %s to %s", want, got)
	}
	for name, m := range map[string]fstest.MapFS{
		"go.sum":       module("go.mod", "m", "go.sum", "S", "main.go", "p", "absent/a/a.go", "a"),
		"main.go":      module("go.mod", "m", "go.sum", "s", "main.go", "P", "absent/a/a.go", "a"),
		"stand-in":     module("go.mod", "m", "go.sum", "s", "main.go", "p", "absent/a/a.go", "A"),
		"another file": module("go.mod", "m", "go.sum", "s", "main.go", "p", "absent/a/a.go", "a", "b.go", ""),
	} {
		if key(b, m) == want {
			t.Errorf("a changed %s leaves the key as it is", name)
		}
	}
	b.ldflags = "-X a=b"
	if key(b, base) == want {
		t.Error("changed flags leave the key as it is")
	}
}

// writeModule makes a module with one program.
func writeModule(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string]string{"go.mod": "module example.com/hello\n\ngo 1.26.0\n", "main.go": program} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestObtainBuildsOnce(t *testing.T) {
	t.Parallel()
	root := writeModule(t, "package main\n\nfunc main() { println(version) }\n\nvar version = \"unset\"\n")
	b := bundle{module: ".", ldflags: "-X main.version=v1", components: []component{{"hello", "v1", "."}}}
	var said syncBuffer
	opts := said.options(t)
	if err := os.Mkdir(filepath.Join(opts.Cache, ".building-1"), 0o700); err != nil { // of a build that was killed
		t.Fatal(err)
	}
	paths, err := b.obtain(t.Context(), opts, root)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "building hello v1 from Go modules") {
		t.Errorf("progress says %q, want what is built", said.String())
	}
	before, err := os.Stat(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.obtain(t.Context(), opts, root)
	if err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(again[0]); err != nil || again[0] != paths[0] || !os.SameFile(before, after) {
		t.Errorf("second obtain gives %s (%v), want the file of the first, %s", again, err, paths)
	}
	entries, err := os.ReadDir(opts.Cache)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("the cache holds %v, want only the program's folder", entries)
	}
}

func TestObtainLeavesNothingOfAFailedBuild(t *testing.T) {
	t.Parallel()
	root := writeModule(t, "package main\n\nfunc main() { undefined() }\n")
	b := bundle{module: ".", components: []component{{"hello", "v1", "."}}}
	opts := new(syncBuffer).options(t)
	_, err := b.obtain(t.Context(), opts, root)
	if err == nil || !strings.Contains(err.Error(), "build hello v1: ") || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("obtain = %v, want what was built and the compiler's message", err)
	}
	if entries, err := os.ReadDir(opts.Cache); err != nil || len(entries) != 0 {
		t.Errorf("the cache holds %v (%v), want nothing", entries, err)
	}
}
