package gobuild

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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

func TestBuild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module example.com/m\n\ngo 1.26.0\n",
		"good/main.go": "package main\n\nfunc main() { println(version) }\n\nvar version = \"unset\"\n",
		"bad/main.go":  "package main\n\nfunc main() { undefined() }\n",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said := func(string) {}
	good := Program{Name: "good", Dir: dir, Packages: []string{"./good"}, Out: filepath.Join(dir, "out"), Flags: []string{"-ldflags=-X main.version=v7"}}
	if err := good.Build(t.Context(), said); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if code, err := good.spawn(nil, os.Environ(), &out); err != nil || code != 0 || out.String() != "v7\n" {
		t.Errorf("the program ends with %d, %v and prints %q, want 0 and v7", code, err, out.String())
	}
	bad := Program{Name: "bad", Dir: dir, Packages: []string{"./bad"}, Out: filepath.Join(dir, "out2")}
	if err := bad.Build(t.Context(), said); err == nil || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("Build = %v, want the compiler's message", err)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	image, plan, rest := "web:1", true, "--probe-rate=200 --no-rollback"
	var unset *string
	got := append(Flags("image", &image, "steps", unset, "plan", &plan), Split(&rest)...)
	want := []string{"--image=web:1", "--plan=true", "--probe-rate=200", "--no-rollback"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Flags (-want +got):\n%s", diff)
	}
	if got := Split(unset); got != nil {
		t.Errorf("Split(nil) = %q", got)
	}
}
