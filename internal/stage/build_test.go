package stage

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
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

func TestKindOf(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]lineKind{
		"go: downloading k8s.io/kubernetes v1.36.3": lineDownload,
		"k8s.io/kubernetes/pkg/kubelet":             linePackage,
		"runtime":                                   linePackage,
		"vendor/golang.org/x/net/idna":              linePackage,
		"# k8s.io/kubernetes/pkg/kubelet":           lineOther,
		"./main.go:3:1: syntax error":               lineOther,
		"go: updates to go.mod needed":              lineOther,
		"":                                          lineOther,
	} {
		if got := kindOf(line); got != want {
			t.Errorf("kindOf(%q) = %d, want %d", line, got, want)
		}
	}
}

func TestTimeLeft(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		done, total int
		elapsed     time.Duration
		want        time.Duration
	}{
		{0, 100, time.Minute, 0},
		{19, 100, time.Minute, 0}, // too early to say
		{50, 100, time.Minute, time.Minute},
		{25, 100, time.Minute, 3 * time.Minute},
		{100, 100, time.Minute, 0},
		{120, 100, time.Minute, 0},
	} {
		got := timeLeft(test.done, test.total, test.elapsed).Round(time.Second)
		if got != test.want {
			t.Errorf("timeLeft(%d, %d, %s) = %s, want %s", test.done, test.total, test.elapsed, got, test.want)
		}
	}
	for d, want := range map[time.Duration]string{time.Second: "10 s", 45 * time.Second: "50 s", 100 * time.Second: "2 min", 6 * time.Minute: "6 min"} {
		if got := roughly(d); got != want {
			t.Errorf("roughly(%s) = %q, want %q", d, got, want)
		}
	}
}

func TestProgressString(t *testing.T) {
	t.Parallel()
	p := &progress{name: "kubernetes", began: time.Now()}
	p.line("go: downloading k8s.io/api v0.36.3")
	if got, want := p.String(), "looking up what to build, 1 modules downloaded"; got != want {
		t.Errorf("at first: %q, want %q", got, want)
	}
	p.buildBegan, p.total = time.Now().Add(-time.Minute), 200
	for range 100 {
		p.line("some/package")
	}
	if got, want := p.String(), "built 100/200 packages, about 1 min left"; got != want {
		t.Errorf("half way: %q, want %q", got, want)
	}
	for range 101 {
		p.line("some/package")
	}
	if got, want := p.String(), "built 201/201 packages, linking"; got != want {
		t.Errorf("at last: %q, want %q", got, want)
	}
}

func TestBuildEnv(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for available, want := range map[uint64]string{2 * gib: "", 8 * gib: "GOMEMLIMIT=2048MiB", 64 * gib: "GOMEMLIMIT=5120MiB"} {
		env := buildEnv(nil, available)
		if got := slices.Contains(env, "GOGC=off"); got != (want != "") {
			t.Errorf("with %d GiB: GOGC=off is %t in %q", available/gib, got, env)
		}
		if want != "" && !slices.Contains(env, want) {
			t.Errorf("with %d GiB: %q, want %s", available/gib, env, want)
		}
	}
	if got := parseMemAvailable("MemTotal:       24 kB\nMemFree: 1 kB\nMemAvailable:   2048 kB\n"); got != 2<<20 {
		t.Errorf("parseMemAvailable = %d, want %d", got, 2<<20)
	}
}

func TestKeyFollowsTheSources(t *testing.T) {
	t.Parallel()
	c := component{name: "x", version: "v1.2.3", pkg: "."}
	module := func(files ...string) fstest.MapFS {
		fs := fstest.MapFS{}
		for i := 0; i < len(files); i += 2 {
			fs[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
		return fs
	}
	base := module("go.mod", "m", "go.sum", "s", "main.go", "p", "absent/a/a.go", "a")
	key := func(c component, m fstest.MapFS) string {
		k, err := c.key(m)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	want := key(c, base)
	if !strings.HasPrefix(want, "v1.2.3-") {
		t.Errorf("key %q does not begin with the version", want)
	}
	if got := key(c, module("go.mod", "m", "go.sum", "s", "main.go", "p", "absent/a/a.go", "a", "README.md", "new")); got != want {
		t.Errorf("a README changes the key from %s to %s", want, got)
	}
	for name, m := range map[string]fstest.MapFS{
		"go.sum":       module("go.mod", "m", "go.sum", "S", "main.go", "p", "absent/a/a.go", "a"),
		"main.go":      module("go.mod", "m", "go.sum", "s", "main.go", "P", "absent/a/a.go", "a"),
		"stand-in":     module("go.mod", "m", "go.sum", "s", "main.go", "p", "absent/a/a.go", "A"),
		"another file": module("go.mod", "m", "go.sum", "s", "main.go", "p", "absent/a/a.go", "a", "b.go", ""),
	} {
		if key(c, m) == want {
			t.Errorf("a changed %s leaves the key as it is", name)
		}
	}
	c.ldflags = "-X a=b"
	if key(c, base) == want {
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
	c := component{name: "hello", version: "v1", module: ".", pkg: ".", ldflags: "-X main.version=v1"}
	var said syncBuffer
	opts := Options{Cache: t.TempDir(), Progress: &said}
	if err := os.Mkdir(filepath.Join(opts.Cache, ".building-1"), 0o700); err != nil { // of a build that was killed
		t.Fatal(err)
	}
	path, err := c.obtain(t.Context(), opts, root)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "hello: built in") {
		t.Errorf("progress says %q, want the end of the build", said.String())
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.obtain(t.Context(), opts, root)
	if err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(again); err != nil || again != path || !os.SameFile(before, after) {
		t.Errorf("second obtain gives %s (%v), want the file of the first, %s", again, err, path)
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
	c := component{name: "hello", version: "v1", module: ".", pkg: "."}
	opts := Options{Cache: t.TempDir(), Progress: &syncBuffer{}}
	_, err := c.obtain(t.Context(), opts, root)
	if err == nil || !strings.Contains(err.Error(), "build hello v1: ") || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("obtain = %v, want what was built and the compiler's message", err)
	}
	if entries, err := os.ReadDir(opts.Cache); err != nil || len(entries) != 0 {
		t.Errorf("the cache holds %v (%v), want nothing", entries, err)
	}
}
