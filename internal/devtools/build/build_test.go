package build

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// tried runs go test -json over one file of tests and counts.
func tried(t *testing.T, test string) (*tally, string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module example.com/tried\n\ngo 1.26\n",
		"a_test.go":   "package tried\n\n" + test,
		"b/b_test.go": "package b\n\nimport \"testing\"\n\nfunc TestB(t *testing.T) { t.Run(\"sub\", func(*testing.T) {}) }\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	counted := newTally(&out)

	err := goTest(t.Context(), counted, dir, nil, "./...")
	return counted, out.String(), err
}

func TestTallyCounts(t *testing.T) {
	t.Parallel()
	const imports = "import (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Exit\n\n"
	tests := []struct {
		name, test     string
		passed, failed int
		shown, hidden  string
	}{
		{"passes", imports + `func TestA(t *testing.T) { t.Log("quiet") }`, 2, 0, "ok  \texample.com/tried", "quiet"},
		{"fails", imports + `func TestA(t *testing.T) { t.Error("loud") }`, 1, 1, "loud", "=== RUN"},
		{"fails below", imports + `func TestA(t *testing.T) { t.Run("x", func(t *testing.T) { t.Error("deep") }) }`, 1, 1, "deep", "=== RUN"},
		{"skips", imports + `func TestA(t *testing.T) { t.Skip("tired") }`, 1, 1, "tired", "=== RUN"},
		{"crashes", imports + `func TestA(t *testing.T) { println("last words"); os.Exit(3) }`, 1, 1, "last words", "=== RUN"},
		{"does not compile", imports + `func TestA(t *testing.T) { nope() }`, 1, 1, "undefined: nope", "=== RUN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			counted, out, err := tried(t, tt.test)
			if counted.Passed != tt.passed || counted.Failed != tt.failed || (err != nil) != (tt.failed > 0) {
				t.Errorf("%v with error %v, want %d passed, %d failed; output:\n%s", counted, err, tt.passed, tt.failed, out)
			}
			if !strings.Contains(out, tt.shown) || strings.Contains(out, tt.hidden) {
				t.Errorf("output should have %q and not %q:\n%s", tt.shown, tt.hidden, out)
			}
		})
	}
}

func TestTallyClosingLine(t *testing.T) {
	t.Parallel()
	counted := &tally{Passed: 12, Failed: 3}
	if got := counted.String(); got != "12 passed, 3 failed" {
		t.Errorf("String = %q", got)
	}
}

func TestConsoleSpeaksUp(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := newConsole(&out)
	c.begin("compile", true)
	c.pulse(c.last.Add(heartbeat - time.Second))
	c.pulse(c.last.Add(heartbeat))
	if got, want := out.String(), "==> compile\n    ... compile, 4s\n"; got != want {
		t.Errorf("output = %q, want %q", got, want)
	}
}

// Steps that run beside each other are shown one after the other, and a line
// names all that run.
func TestConsoleHoldsBlocks(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := newConsole(&out)
	one, two := c.begin("one", false), c.begin("two", false)
	fmt.Fprintf(one, "1 of 2\n")
	fmt.Fprintf(two, "working\n")
	fmt.Fprintf(one, "2 of 2\n\n")
	c.pulse(c.last.Add(heartbeat))
	one.end(nil)
	two.end(errors.New("broken"))
	c.pulse(c.last.Add(heartbeat)) // nothing runs any more
	got := regexp.MustCompile(`, [\d.]+m?s`).ReplaceAllString(out.String(), ", 0s")
	const want = "    ... one, 0s (2 of 2) | two, 0s (working)\n" +
		"==> one: ok, 0s\n1 of 2\n2 of 2\n\n" +
		"==> two: FAILED, 0s\nworking\nbroken\n"
	if got != want {
		t.Errorf("output:\n%s\nwant:\n%s", got, want)
	}
}

// The closing line counts what passed before, whatever failed later, and a test
// that two runs have once.
func TestClosingCount(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := &testRun{console: newConsole(&out), tally: newTally(io.Discard)}
	for _, lines := range []string{
		`{"Action":"pass","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p","Test":"B"}` + "\n",
		`{"Action":"pass","Package":"p","Test":"A"}` + "\n" + `{"Action":"fail","Package":"p","Test":"B"}` + "\n" + `{"Action":"pass","Package":"q","Test":"B"}` + "\n",
	} {
		if err := r.tally.to(io.Discard).read(strings.NewReader(lines)); err != nil {
			t.Fatal(err)
		}
	}
	r.step(t.Context(), "start the sandbox", func(io.Writer) error { return errors.New("no room") })
	r.step(t.Context(), "lint", func(io.Writer) error { return errors.New("findings") })
	if err := r.close(); err == nil || err.Error() != "failed: start the sandbox, lint" {
		t.Errorf("close = %v, want the steps that failed", err)
	}
	if !strings.HasSuffix(out.String(), "\n2 passed, 2 failed\n") || !strings.Contains(out.String(), "no room") {
		t.Errorf("output:\n%s\nwant the closing count and what failed", out.String())
	}
}

// The end of the log repeats what failed, the beginning and the end of what is long.
func TestFailuresAreRepeated(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := &testRun{console: newConsole(&out), tally: newTally(io.Discard)}
	lines := `{"Action":"output","Package":"p","Test":"A/sub","Output":"the reason\n"}` + "\n" +
		`{"Action":"output","Package":"p","Test":"A","Output":"` + strings.Repeat("x", 2*recapBytes) + `"}` + "\n" +
		`{"Action":"output","Package":"p","Test":"A","Output":"the last words\n"}` + "\n" +
		`{"Action":"output","Package":"p","Test":"B","Output":"nobody asks\n"}` + "\n" +
		`{"Action":"fail","Package":"p","Test":"A"}` + "\n" + `{"Action":"pass","Package":"p","Test":"B"}` + "\n"
	if err := r.tally.read(strings.NewReader(lines)); err != nil {
		t.Fatal(err)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
	got := out.String()
	for _, want := range []string{"failed: p.A\nthe reason\n", "the last words\n", "bytes, shown above"} {
		if !strings.Contains(got, want) {
			t.Errorf("the end of the log lacks %q", want)
		}
	}
	if strings.Contains(got, "nobody asks") || len(got) > recapBytes+200 {
		t.Errorf("the end of the log has %d bytes:\n%s", len(got), got)
	}
}

func TestSectionReplace(t *testing.T) {
	t.Parallel()
	s := section{file: "f", name: "inputs", text: "new\n"}
	got, err := s.replace("a\n<!-- generated:inputs -->\nold\nold\n<!-- end:inputs -->\nb\n")
	want := "a\n<!-- generated:inputs -->\nnew\n<!-- end:inputs -->\nb\n"
	if got != want || err != nil {
		t.Errorf("replace = %q, %v; want %q", got, err, want)
	}
	if again, err := s.replace(got); again != got || err != nil {
		t.Errorf("replace again = %q, %v", again, err)
	}
	for _, bad := range []string{"nothing\n", "<!-- generated:inputs -->\nopen\n"} {
		if got, err := s.replace(bad); err == nil || got != bad {
			t.Errorf("replace(%q) = %q, %v; want an error and no change", bad, got, err)
		}
	}
}

func TestFuzzTargets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "package x\n\nfunc FuzzOne(f *testing.F) {}\n\n// func FuzzNot(\nfunc helper() {}\nfunc FuzzTwo(f *testing.F) {}\n"
	if err := os.WriteFile(filepath.Join(dir, "x_test.go"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := pkg{Dir: dir, TestGoFiles: []string{"x_test.go"}}.fuzzTargets()
	if fmt.Sprint(got) != "[FuzzOne FuzzTwo]" || err != nil {
		t.Errorf("fuzzTargets = %v, %v", got, err)
	}
}

// The race detector is for packages that are cheap to build with it; a test that
// reaches for a cluster through another package of the module is not.
func TestPureAndSandbox(t *testing.T) {
	t.Parallel()
	const m = "github.com/candlefish/deploy-action/internal/"
	pkgs := withNeeds([]pkg{
		{ImportPath: m + "rollout", TestGoFiles: []string{"x"}, Deps: []string{"time"}},
		{ImportPath: m + "untested"},
		{ImportPath: m + "kube", TestGoFiles: []string{"x"}, Deps: []string{"k8s.io/api/core/v1"}},
		{ImportPath: m + "docs", XTestGoFiles: []string{"x"}, XTestImports: []string{m + "kube"}},
		{ImportPath: m + "cluster", TestGoFiles: []string{"x"}, TestImports: []string{sandboxtest}},
	})
	var pure, sandbox []string
	for _, p := range pkgs {
		if p.pure() {
			pure = append(pure, filepath.Base(p.ImportPath))
		}
		if p.needsSandbox() {
			sandbox = append(sandbox, filepath.Base(p.ImportPath))
		}
	}
	if fmt.Sprint(pure, sandbox) != "[rollout] [cluster]" {
		t.Errorf("pure %v, on the sandbox %v; want [rollout], [cluster]", pure, sandbox)
	}
}
