package gobench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
)

// whole is what a test program of Go 1.26 printed.
const whole = `Unit widgets/op better=higher assume=exact
goos: linux
goarch: amd64
pkg: example.com/parse
cpu: Intel(R) Xeon(R) Processor @ 2.80GHz
BenchmarkParse/small-2         	 1000000	      1050 ns/op	  97.51 MB/s	         3.000 widgets/op	      64 B/op	       2 allocs/op
said by a benchmark: nothing
BenchmarkParse/large-2         	     100	  10500000 ns/op	       0 B/op	       0 allocs/op
BenchmarkOdd 	       1	         7 odd-ns/frob
PASS
`

func text(r report) []string {
	var all []string
	for _, one := range r.results {
		for _, v := range one.values {
			m := r.metric(v.unit)
			all = append(all, fmt.Sprintf("%s %.6g %s %s compared=%t exact=%t", one.name, v.value, v.unit, m.Better, m.Compared, m.Exact))
		}
	}
	return all
}

func TestParse(t *testing.T) {
	t.Parallel()
	r, err := parse([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Parse/small-2 1.05e-06 sec/op lower compared=true exact=false",
		"Parse/small-2 9.751e+07 B/s higher compared=false exact=false",
		"Parse/small-2 3 widgets/op higher compared=true exact=true",
		"Parse/small-2 64 B/op lower compared=true exact=false",
		"Parse/small-2 2 allocs/op lower compared=true exact=false",
		"Parse/large-2 0.0105 sec/op lower compared=true exact=false",
		"Parse/large-2 0 B/op lower compared=true exact=false",
		"Parse/large-2 0 allocs/op lower compared=true exact=false",
		"Odd 7e-09 odd-sec/frob lower compared=false exact=false",
	}
	if diff := cmp.Diff(want, text(r)); diff != "" {
		t.Error(diff)
	}
	if r.pkg != "example.com/parse" || r.config["cpu"] != "Intel(R) Xeon(R) Processor @ 2.80GHz" {
		t.Errorf("%v", r.config)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	change := func(old, by string) string { return strings.Replace(whole, old, by, 1) }
	for want, out := range map[string]string{
		"does not end with PASS":     "",
		"does not end with PASS ":    change("PASS\n", ""),
		"does not end with PASS  ":   change("PASS\n", "FAIL\n"),
		"does not end with PASS   ":  whole + "panic: later\n",
		"of which package":           change("pkg: example.com/parse\n", ""),
		"of the package":             change("cpu: ", "pkg: other\ncpu: "),
		"two results of Parse/small": change("Parse/large-2", "Parse/small-2"),
		"no number of iterations":    change("\t 1000000\t", "\thello "),
		"no number of iterations ":   change("\t 1000000\t", "\t-1\t"),
		"no pairs":                   change("       2 allocs/op", "       2"),
		"no pairs ":                  change("\t       1\t         7 odd-ns/frob", "\t       1"),
		"is no value":                change("1050 ns/op", "fast ns/op"),
		"two values in B/op":         change("64 B/op", "64 B/op 65 B/op"),
		"is not KEY=VALUE":           change("better=higher", "better"),
		"better is \"higher\" and":   change("goos:", "Unit widgets/op better=lower\ngoos:"),
		"longer than":                change("said by", strings.Repeat("x", maxLine)),
	} {
		if _, err := parse([]byte(out)); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%s: error = %v", want, err)
		}
	}
	for n := range len(whole) - 1 { // only the last newline may be missing
		if _, err := parse([]byte(whole[:n])); err == nil {
			t.Fatalf("%d of %d bytes are taken", n, len(whole))
		}
	}
}

func TestTidy(t *testing.T) {
	t.Parallel()
	for unit, want := range map[string]string{
		"ns/op": "sec/op 1e-09", "MB/s": "B/s 1e+06", "B/op": "B/op 1", "p99-ns": "p99-sec 1e-09", "x/ns": "x/ns 1", "ns-GC/op": "sec-GC/op 1e-09", "runs": "runs 1", "ns": "sec 1e-09",
	} {
		base, factor := tidy(unit)
		if got := fmt.Sprintf("%s %.3g", base, factor); got != want {
			t.Errorf("tidy(%q) = %s, want %s", unit, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("pkg: a\nBenchmarkX 0 NaN ns/op\n--- SKIP: BenchmarkY\nPASS"))
	f.Fuzz(func(t *testing.T, out []byte) {
		r, err := parse(out)
		if err != nil {
			return
		}
		reading, _ := r.reading()
		seen := map[measure.Key]bool{}
		for _, v := range reading.Values {
			key := measure.Key{Subject: v.Subject, Metric: v.Metric.Name}
			if seen[key] || !finite(v.Value) || v.Metric.Better == "" {
				t.Errorf("the value %+v of %q", v, out)
			}
			seen[key] = true
		}
	})
}

func module(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.com/bench\n\ngo 1.24\n"
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func bench(name, body string) string {
	return "package p\n\nimport \"testing\"\n\nfunc Benchmark" + name + "(b *testing.B) {" + body + "}\n"
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	dir := module(t, map[string]string{
		"a_test.go": bench("Alpha", ""), "in/b_test.go": bench("Beta", ""), "in/deep/c_test.go": bench("Gamma", ""), "in/none_test.go": "package p\n",
		"vendor/x/v_test.go": bench("Beta", ""), "in/testdata/t_test.go": bench("Beta", ""), "_in/u_test.go": bench("Beta", ""), ".git/g_test.go": bench("Beta", ""),
		"other/go.mod": "module other\n", "other/o_test.go": bench("Beta", ""), "windows/w_windows_test.go": bench("Beta", ""), "tag/t_test.go": "//go:build never\n\n" + bench("Beta", ""), "code/b.go": bench("Beta", ""),
	})
	for _, c := range []struct {
		packages, pattern string
		want              []string
	}{
		{"", ".", []string{".", "in", "in/deep"}}, {"./...", "^BenchmarkBeta$/x|y", []string{"in"}}, {"./in/...", "a", []string{"in", "in/deep"}},
		{"./in", "a", []string{"in"}}, {".", "a", []string{"."}}, {"./in\n./in/deep", "Beta|Gam[/m]a/z", []string{"in", "in/deep"}}, {"", "Delta", nil}, {"", "/small", []string{".", "in", "in/deep"}},
	} {
		got, err := discover(dir, c.packages, c.pattern)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%q %q: %v (-want +got):\n%s", c.packages, c.pattern, err, diff)
		}
	}
	for _, c := range [][2]string{{"../x", "a"}, {"example.com/x", "a"}, {"/etc", "a"}, {"./gone", "a"}, {"", "("}, {"./.../x", "a"}} {
		j := meter.Job{Workspace: dir, Settings: map[string]string{Packages: c[0], Pattern: c[1]}}
		if p := (GoBench{}).Problems(j); len(p) != 1 || !strings.Contains(p[0].Error(), "input go-") {
			t.Errorf("%q: %v", c, p)
		}
	}
	if p := (GoBench{}).Problems(meter.Job{Workspace: dir, Settings: map[string]string{Pattern: "Delta"}}); len(p) != 1 {
		t.Errorf("a pattern that nothing matches: %v", p)
	}
}

// round runs one round with the real toolchain, isolated.
func round(ctx context.Context, t *testing.T, j meter.Job) (meter.Reading, []isolate.Command, error) {
	t.Helper()
	sandbox, err := isolate.Open(j.Workspace, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	commands, err := GoBench{}.Commands(j)
	if err != nil {
		return meter.Reading{}, nil, err
	}
	all := meter.Reading{Versions: map[string]string{}}
	for _, c := range commands {
		one, err := GoBench{}.Read(j, c, sandbox.Run(ctx, c))
		if err != nil {
			return all, commands, err
		}
		all.Values, all.Gaps = append(all.Values, one.Values...), append(all.Gaps, one.Gaps...)
		for k, v := range one.Versions {
			all.Versions[k] = v
		}
	}
	return all, commands, nil
}

// One test for all that needs the toolchain: its cache is the user's own, since the
// standard library would be built anew for each.
func TestRealToolchain(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds and runs Go programs")
	}
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	if err := os.Symlink(strings.TrimSpace(string(out)), filepath.Join(cache, "go-build")); err != nil {
		t.Fatal(err)
	}
	source := func(body string) string {
		return module(t, map[string]string{"p/p_test.go": bench("Real", body), "q/p/p_test.go": bench("Same", "for b.Loop() {}")})
	}
	j := meter.Job{Side: measure.Head, Rounds: 2, Cache: cache, Settings: map[string]string{Pattern: ".", Time: "5x"}}
	j.Workspace = source(`b.Run("sub", func(b *testing.B) { for b.Loop() { _ = make([]byte, 1<<16) }; b.ReportMetric(3, "widgets/op") }); b.Run("skipped", func(b *testing.B) { b.Skip("not here") })`)
	for j.Round = range 2 {
		r, commands, err := round(t.Context(), t, j)
		if err != nil {
			t.Fatal(err)
		}
		realRound(t, j.Round, r, len(commands))
	}
	j.Round, j.Settings[Packages] = 0, "./p"
	for body, want := range map[string]string{
		`undefined()`:      "do not build: ./p_test.go:5:35: undefined: undefined",
		`panic("boom")`:    "panic: boom",
		`b.Fatal("wrong")`: "--- FAIL: BenchmarkReal",
	} {
		j.Workspace = source(body)
		r, _, err := round(t.Context(), t, j)
		if err == nil || !strings.Contains(err.Error(), want) || len(r.Values) > 0 {
			t.Errorf("%s: %v, error = %v, want %q", body, r.Values, err, want)
		}
	}
}

func realRound(t *testing.T, number int, r meter.Reading, commands int) {
	t.Helper()
	if want := []int{5, 2}[number]; commands != want {
		t.Errorf("round %d has %d commands, want %d: nothing is built twice", number, commands, want)
	}
	subjects := map[string]bool{}
	for _, v := range r.Values {
		name, _, _ := strings.Cut(v.Subject, "-")
		subjects[name+" "+v.Metric.Name] = true
	}
	for _, want := range []string{"example.com/bench/p.Real/sub sec/op", "example.com/bench/p.Real/sub widgets/op", "example.com/bench/q/p.Same allocs/op"} {
		if !subjects[want] {
			t.Errorf("%s is missing in %v", want, subjects)
		}
	}
	if len(r.Gaps) != 1 || !strings.HasPrefix(r.Gaps[0].Subject, "example.com/bench/p.Real/skipped") {
		t.Errorf("gaps %v", r.Gaps)
	}
	if version := r.Versions["go"]; number == 0 && !strings.HasPrefix(version, "1.") {
		t.Errorf("go has the version %q", version)
	}
}

// A program that did not run to its end has measured nothing.
func TestReadOfWhatEndedBadly(t *testing.T) {
	t.Parallel()
	run := isolate.Command{Args: []string{"-test.run=^$"}}
	for name, ran := range map[string]isolate.Ran{
		"killed":    {Ending: isolate.Signalled, Stdout: []byte(whole)},
		"out of":    {Ending: isolate.OutOfMemory, Stdout: []byte(whole)},
		"truncated": {Ending: isolate.Exited, Stdout: []byte(whole), Truncated: true},
		"silent":    {Ending: isolate.Exited},
		"failed":    {Ending: isolate.Exited, Status: 1, Stdout: []byte(whole)},
		"none":      {Ending: isolate.Exited, Stdout: []byte("pkg: a\nPASS\n")},
	} {
		if r, err := (GoBench{}).Read(meter.Job{}, run, ran); err == nil {
			t.Errorf("%s: %v", name, r.Values)
		}
	}
	other := meter.Job{Settings: map[string]string{Pattern: "^BenchmarkOther$"}}
	if r, err := (GoBench{}).Read(other, run, isolate.Ran{Ending: isolate.Exited, Stdout: []byte(whole)}); err == nil || !strings.Contains(err.Error(), "not asked for") {
		t.Errorf("results of other benchmarks: %v, %v", r.Values, err)
	}
	version := isolate.Command{Args: []string{"version"}}
	if _, err := (GoBench{}).Read(meter.Job{}, version, isolate.Ran{Ending: isolate.Exited, Stdout: []byte("hello\n")}); err == nil {
		t.Error("another program passes for go")
	}
	zero := strings.Replace(whole, "100	  10500000 ns/op", "0	  NaN ns/op", 1)
	r, err := GoBench{}.Read(meter.Job{}, run, isolate.Ran{Ending: isolate.Exited, Stdout: []byte(zero)})
	if err != nil || len(r.Gaps) != 1 || r.Gaps[0].Why != "it ran 0 times" {
		t.Errorf("a benchmark of 0 iterations: %v, %v", r.Gaps, err)
	}
}
