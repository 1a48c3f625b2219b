package toolbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// npm makes a PATH with an npm that installs a script, and counts its runs in a file;
// with FAIL in the folder beside it, it fails.
func npm(t *testing.T) (environ []string, runs func() int, fail string) {
	t.Helper()
	dir := t.TempDir()
	count := filepath.Join(dir, "count")
	put(t, dir, "npm", "#!/bin/sh\necho run >>"+count+"\nif [ -e "+dir+"/FAIL ]; then echo half >half; echo no space >&2; exit 1; fi\n"+
		"[ -n \"$GITHUB_TOKEN\" ] && exit 9\nmkdir -p node_modules/eslint/bin && echo script >node_modules/eslint/bin/eslint.js\n")
	put(t, dir, "node", "#!/bin/sh\n")
	runs = func() int {
		raw, _ := os.ReadFile(count)
		return strings.Count(string(raw), "run")
	}
	return []string{"PATH=" + dir + string(filepath.ListSeparator) + os.Getenv("PATH"), "GITHUB_TOKEN=t"}, runs, filepath.Join(dir, "FAIL")
}

func TestInstall(t *testing.T) {
	t.Parallel()
	environ, runs, _ := npm(t)
	b := open(t, "", environ...)
	for range 2 {
		if err := b.Install(t.Context(), []string{"eslint"}, func(string) {}); err != nil {
			t.Fatal(err)
		}
		got, err := b.Find(t.Context(), "eslint")
		if err != nil || filepath.Base(got.Program) != "node" || len(got.Args) != 1 || !strings.HasSuffix(got.Args[0], "/node_modules/eslint/bin/eslint.js") || got.SHA256 == "" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if runs() != 1 {
		t.Errorf("npm ran %d times, want once", runs())
	}
}

func TestInstallByTwoAtOnce(t *testing.T) {
	t.Parallel()
	environ, runs, _ := npm(t)
	b := open(t, "", environ...)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := b.Install(t.Context(), []string{"eslint"}, func(string) {}); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if runs() != 1 {
		t.Errorf("npm ran %d times, want once", runs())
	}
}

func TestAFailedInstallationLeavesNothing(t *testing.T) {
	t.Parallel()
	environ, _, fail := npm(t)
	b := open(t, "", environ...)
	if err := os.WriteFile(fail, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := b.Install(t.Context(), []string{"eslint"}, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("%v, want what npm printed", err)
	}
	left, err := filepath.Glob(filepath.Join(b.dir, "eslint", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%q is left, %v", left, err)
	}
	if err := os.Remove(fail); err != nil {
		t.Fatal(err)
	}
	if err := b.Install(t.Context(), []string{"eslint"}, func(string) {}); err != nil {
		t.Errorf("the second time: %v", err)
	}
}

func TestWhatIsChangedIsNoticedAndMended(t *testing.T) {
	t.Parallel()
	environ, _, _ := npm(t)
	b := open(t, "", environ...)
	e, err := b.entry("eslint")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(b.place(e), e.Script)
	for name, change := range map[string]func() error{
		"a changed file":      func() error { return os.WriteFile(script, []byte("malware"), 0o600) },
		"a new file":          func() error { return os.WriteFile(script+"on", nil, 0o600) },
		"a removed file":      func() error { return os.Remove(script) },
		"another mode":        func() error { return os.Chmod(script, 0o755) },
		"a link":              func() error { return errors.Join(os.Remove(script), os.Symlink("/dev/null", script)) },
		"a damaged receipt":   func() error { return os.WriteFile(b.receiptFile(e), []byte("{}"), 0o600) },
		"a truncated receipt": func() error { return os.WriteFile(b.receiptFile(e), []byte(`{"name":"eslint`), 0o600) },
	} {
		if err := b.Install(t.Context(), []string{"eslint"}, func(string) {}); err != nil {
			t.Fatal(err)
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Find(t.Context(), "eslint"); !errors.Is(err, ErrChecksum) {
			t.Errorf("%s: %v, want %v", name, err, ErrChecksum)
		}
	}
	if err := b.Install(t.Context(), []string{"eslint"}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(b.receiptFile(e)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Find(t.Context(), "eslint"); !errors.Is(err, ErrMissing) {
		t.Errorf("without a receipt: %v, want %v", err, ErrMissing)
	}
}

func TestAFolderThatOthersCanWrite(t *testing.T) {
	t.Parallel()
	environ, _, _ := npm(t)
	b := open(t, "", environ...)
	if err := b.Install(t.Context(), []string{"eslint"}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(b.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Find(t.Context(), "eslint"); !errors.Is(err, ErrChecksum) {
		t.Errorf("found: %v", err)
	}
	if err := b.Install(t.Context(), []string{"eslint"}, func(string) {}); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
		t.Errorf("installed: %v", err)
	}
}

func TestDeniedVersions(t *testing.T) {
	t.Parallel()
	environ, runs, _ := npm(t)
	b := open(t, "", environ...)
	if err := b.Install(t.Context(), []string{"eslint"}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	b.denied = append(b.denied, Denial{Tool: "npm:cross-spawn", Why: "a test"}) // eslint depends on it
	if _, err := b.Find(t.Context(), "eslint"); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "cross-spawn") {
		t.Errorf("a package below it: %v", err)
	}
	b.denied = []Denial{{Tool: "eslint", Version: "10.15.0", Why: "a test", Source: "CVE-0"}}
	var wrong *ToolError
	if _, err := b.Find(t.Context(), "eslint"); !errors.Is(err, ErrDenied) || !errors.As(err, &wrong) || !strings.Contains(err.Error(), "CVE-0") {
		t.Errorf("itself: %v", err)
	}
	if err := b.Install(t.Context(), []string{"eslint"}, func(string) {}); !errors.Is(err, ErrDenied) || runs() != 1 {
		t.Errorf("installed: %v", err)
	}
}

// The lock file must not name what the deny-list refuses.
func TestTheLockFile(t *testing.T) {
	t.Parallel()
	b := open(t, "")
	for _, e := range b.Entries() {
		if denied, ok := b.denial(e.Name, e.Version, ""); ok {
			t.Error(denied)
		}
		if e.Kind == NPM {
			dir := filepath.Join(t.TempDir(), e.Folder)
			raw, err := files.ReadFile(e.Folder + "/package-lock.json")
			if err != nil {
				t.Fatal(err)
			}
			put(t, dir, "package-lock.json", string(raw))
			if denied, ok := b.deniedPackage(e, dir); ok {
				t.Error(denied)
			}
			checkChecksums(t, e.Name, raw)
		}
		if e.Kind == Go && (!strings.HasPrefix(e.Sum, "h1:") || e.Version == "") || e.Licence == "" || e.Home == "" || len(e.Gates) == 0 || len(e.Print) == 0 {
			t.Errorf("%+v is not whole", e)
		}
	}
	for _, version := range []string{"0.69.4", "v0.69.4"} {
		if _, ok := b.denial("trivy", version, ""); !ok {
			t.Errorf("trivy %s is not denied", version)
		}
	}
}

// checkChecksums says which packages of an npm lock file have no checksum, or come
// from a place that the lock file names instead of the user's registry.
func checkChecksums(t *testing.T, tool string, lock []byte) {
	t.Helper()
	var whole struct {
		Packages map[string]struct{ Integrity, Resolved string }
	}
	if err := json.Unmarshal(lock, &whole); err != nil || len(whole.Packages) < 2 {
		t.Errorf("%s: %d packages, %v", tool, len(whole.Packages), err)
	}
	for path, p := range whole.Packages {
		if path != "" && !strings.HasPrefix(p.Integrity, "sha512-") || p.Resolved != "" {
			t.Errorf("%s: %s has the checksum %q and comes from %q", tool, path, p.Integrity, p.Resolved)
		}
	}
}

// What a gate needs by default can be installed, and is not the other gate's.
func TestDefaults(t *testing.T) {
	t.Parallel()
	b := open(t, "")
	for gate, want := range map[Gate]string{Security: "gitleaks", Performance: "k6"} {
		names := b.Default(gate)
		if !slices.Contains(names, want) {
			t.Errorf("the %s gate needs %q, want %s among them", gate, names, want)
		}
		for _, name := range names {
			if e, err := b.entry(name); err != nil || e.Kind != Go && e.Kind != NPM || !slices.Contains(e.Gates, gate) {
				t.Errorf("%s of the %s gate: %v, %v, %v", name, gate, e.Kind, e.Gates, err)
			}
		}
	}
	if names := b.Default(Security); slices.Contains(names, "k6") {
		t.Errorf("the security gate needs %q", names)
	}
}

// A tool may bring a node. Where it does not, on another architecture, the machine's
// runs it.
func TestANodeOfItsOwn(t *testing.T) {
	t.Parallel()
	dir, place := t.TempDir(), t.TempDir()
	systems := put(t, dir, "node", "#!/bin/sh\n")
	e := Entry{Name: "lighthouse", Kind: NPM, Script: "cli.js", Node: "node_modules/node-linux-{arch}/bin"}
	b := open(t, "", "PATH="+dir)
	if got, err := b.withNode(e, Tool{}, place); err != nil || got.Program != systems {
		t.Errorf("%+v, %v, want %s", got, err, systems)
	}
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	own := put(t, place, "node_modules/node-linux-"+cmp.Or(arch, runtime.GOARCH)+"/bin/node", "#!/bin/sh\n")
	if runtime.GOOS != "linux" {
		own = systems // nodes of npm's packages are for one system
	}
	if got, err := b.withNode(e, Tool{}, place); err != nil || got.Program != own {
		t.Errorf("%+v, %v, want %s", got, err, own)
	}
}

func TestLockFileOfTheUser(t *testing.T) {
	t.Parallel()
	dir, repo := t.TempDir(), t.TempDir()
	program := put(t, dir, "semgrep", "#!/bin/sh\n")
	sum, err := SumOf(program)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := SumOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	lock := func(tool string) string {
		return put(t, repo, "security-tools.yaml", "version: 1\ntools:\n  "+tool+"\n")
	}
	for tool, want := range map[string]error{
		"semgrep: {path: " + program + ", version: 1.140.0, sha256: " + sum + "}":                         nil,
		"semgrep: {path: " + program + ", folder: " + dir + ", version: 1.140.0, sha256: " + folder + "}": nil,
		"semgrep: {path: " + program + ", version: 1.140.0, sha256: " + strings.Repeat("0", 64) + "}":     ErrChecksum,
		"semgrep: {path: " + program + "x, version: 1.140.0, sha256: " + sum + "}":                        ErrMissing,
		"trivy: {path: " + program + ", version: v0.69.4, sha256: " + sum + "}":                           ErrDenied,
	} {
		b := open(t, lock(tool))
		name, _, _ := strings.Cut(tool, ":")
		got, err := b.Find(t.Context(), name)
		if !errors.Is(err, want) || want == nil && (got.Program != program || got.Version != "1.140.0") {
			t.Errorf("%s: %+v, %v, want %v", tool, got, err, want)
		}
	}
	inside := put(t, repo, "bin/semgrep", "#!/bin/sh\n")
	for tool, want := range map[string]string{
		"semgrep: {path: semgrep, version: 1, sha256: " + sum + "}":                         "not absolute",
		"semgrep: {path: " + inside + ", version: 1, sha256: " + sum + "}":                  "must not come with what it scans",
		"semgrep: {path: " + program + ", sha256: " + sum + "}":                             "version is missing",
		"semgrep: {path: " + program + ", version: 1, sha256: abc}":                         "64 hexadecimal digits",
		"semgrep: {path: " + program + ", folder: /other, version: 1, sha256: " + sum + "}": "does not contain",
		"semgrep: {path: " + program + ", version: 1, sha256: " + sum + ", digest: x}":      "digest",
		"unheard: {path: " + program + ", version: 1, sha256: " + sum + "}":                 "no gate runs such a tool",
		"semgrep: {path: " + program + ", version: 1, sha256: " + sum + "}\nversions: 2":    "versions",
	} {
		if _, err := Open(t.TempDir(), lock(tool), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", tool, err, want)
		}
	}
	if _, err := Open(t.TempDir(), put(t, repo, "old.yaml", "tools: {}\n"), nil); err == nil || !strings.Contains(err.Error(), "want 1") {
		t.Errorf("without a version: %v", err)
	}
}

func TestACancelledInstallation(t *testing.T) {
	t.Parallel()
	environ, runs, _ := npm(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := open(t, "", environ...)
	if err := b.Install(ctx, b.Default(Security), func(string) {}); err == nil || runs() > 0 {
		t.Errorf("%v, npm ran %d times", err, runs())
	}
}
