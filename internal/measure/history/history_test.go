package history

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/measure"
)

var monday = time.Date(2026, 11, 2, 3, 4, 5, 678_000_000, time.UTC)

func env(chrome string) measure.Environment {
	return measure.Environment{Runner: "ubuntu24 20261115.1.0", CPU: "AMD EPYC 7763", Cores: 4, Tools: map[string]string{"chrome": chrome, "lighthouse": "13.5.0"}}
}

func lcp(value float64) measure.Series {
	return measure.Series{Key: measure.Key{Meter: "lighthouse", Subject: "/ mobile", Metric: "largest-contentful-paint"},
		Metric: measure.Metric{Unit: measure.Milliseconds, Better: measure.Lower}, Head: []measure.Point{{Value: value}, {Round: 1, Value: value + 2}}}
}

// run is of the nth minute after monday.
func run(n int, verdict string) Run {
	return RunOf(monday.Add(time.Duration(n)*time.Minute), fmt.Sprintf("%040x", n), fmt.Sprint("https://github.com/acme/shop/actions/runs/", n), verdict, []measure.Series{lcp(float64(1000 + n))})
}

func add(t testing.TB, f File, e measure.Environment, runs ...Run) File {
	t.Helper()
	for _, r := range runs {
		var err error
		if f, _, err = f.Add(e, r); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// again returns a file as it comes back from its text.
func again(t testing.TB, f File) File {
	t.Helper()
	raw, err := Render(f)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(raw)
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	return back
}

func TestRunOf(t *testing.T) {
	t.Parallel()
	none := lcp(1)
	none.Key.Subject, none.Head = "/ desktop", nil
	got := RunOf(monday.In(time.FixedZone("x", 3600)), "", "", Passed, []measure.Series{lcp(10), none})
	want := []Value{{"lighthouse", "/ mobile", "largest-contentful-paint", "ms", "lower", 11, 2}}
	if diff := cmp.Diff(want, got.Values); diff != "" || got.At.Location() != time.UTC {
		t.Errorf("%v (-want +got):\n%s", got.At, diff)
	}
}

// Sixty runs: the newest 50 stay, also those that did not pass, and only the passed
// are compared with.
func TestRunsThatFailAreKeptAndNotComparedWith(t *testing.T) {
	t.Parallel()
	var f File
	for n := range 60 {
		verdict := Passed
		if n%3 == 0 {
			verdict = "refused"
		}
		f = again(t, add(t, f, env("156"), run(n, verdict)))
	}
	e, ok := f.Find(env("156"))
	if !ok || len(e.Runs) != Kept || !e.Runs[Kept-1].At.Equal(run(59, "").At) || !e.Runs[0].At.Equal(run(10, "").At) {
		t.Fatalf("found %v, %d runs", ok, len(e.Runs))
	}
	points := e.Series(lcp(0).Key)
	if n := len(e.Compared()); n != 34 || len(points) != Kept || points[49].Median != 1060 || points[2].Verdict != "refused" {
		t.Errorf("%d runs are compared with, the chart has %d points, the last of %v", n, len(points), points[49].Median)
	}
	if diff := cmp.Diff(f, add(t, f, env("156"), run(59, Passed))); diff != "" {
		t.Errorf("the same run a second time: %s", diff)
	}
}

func TestAddOfAnEarlierRunKeepsTheOrder(t *testing.T) {
	t.Parallel()
	f := again(t, add(t, File{}, env("156"), run(5, Passed), run(3, Passed), run(4, Passed), run(3, Passed)))
	if e := f.Environments[0]; len(e.Runs) != 3 || e.Runs[0].Commit != fmt.Sprintf("%040x", 3) {
		t.Errorf("%+v", e.Runs)
	}
	before := again(t, f)
	add(t, f, env("156"), run(1, Passed)) // not kept: f stays as it is
	if diff := cmp.Diff(before, f); diff != "" {
		t.Errorf("Add changed its receiver:\n%s", diff)
	}
}

// The environment that was not used for the longest time goes, one with an anchor last.
func TestEnvironmentsAreBounded(t *testing.T) {
	t.Parallel()
	var f File
	for n := range MaxEnvironments {
		f = add(t, f, env(fmt.Sprint(100+n)), run(n, Passed))
	}
	f, _, err := f.Pin(env("100").Key(), "", monday)
	if err != nil {
		t.Fatal(err)
	}
	f, gone, err := f.Add(env("200"), run(0, Passed)) // older than all others but one
	if diff := cmp.Diff([]string{env("101").Key()}, gone); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, ok := f.Find(env("200")); !ok || len(f.Environments) != MaxEnvironments {
		t.Errorf("%d environments; that of the run: %v", len(f.Environments), ok)
	}
	again(t, f)
}

func TestPinAndUnpin(t *testing.T) {
	t.Parallel()
	key := env("156").Key()
	f := add(t, File{}, env("156"), run(1, Passed), run(2, Passed), run(3, "refused"))
	f, pinned, err := f.Pin(key, "", monday)
	if err != nil || pinned.Commit != run(2, "").Commit {
		t.Fatalf("the newest: %s, %v", pinned.Commit, err)
	}
	if f, pinned, err = f.Pin(key, run(1, "").Commit, monday.Add(time.Hour)); err != nil || pinned.Commit != run(1, "").Commit {
		t.Fatalf("by its name: %s, %v", pinned.Commit, err)
	}
	for n := range 100 {
		f = again(t, add(t, f, env("156"), run(10+n, Passed)))
	}
	if e, _ := f.Find(env("156")); e.Anchor == nil || e.Anchor.Commit != run(1, "").Commit {
		t.Errorf("after 100 runs the anchor is %+v", e.Anchor)
	}
	for commit, want := range map[string]string{"00": "want 7 digits", "fffffff": "none of its 50 runs is of commit fffffff"} {
		if _, _, err := f.Pin(key, commit, monday); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pin %s: %v, want %q", commit, err, want)
		}
	}
	red := add(t, File{}, env("156"), run(3, "refused"))
	if _, _, err := red.Pin(key, run(3, "").Commit, monday); err == nil || !strings.Contains(err.Error(), "was refused") {
		t.Errorf("pin a refused run: %v", err)
	}
	if _, _, err := red.Pin(key, "", monday); err == nil || !strings.Contains(err.Error(), "no run that passed") {
		t.Errorf("pin without a passed run: %v", err)
	}
	if _, _, err := f.Pin("other", "", monday); err == nil {
		t.Error("pin in an environment that does not exist: no error")
	}
	if f, err = f.Unpin(key, monday.Add(2*time.Hour)); err != nil || again(t, f).Environments[0].Anchor != nil {
		t.Errorf("unpin: %v", err)
	}
	if _, err := f.Unpin(key, monday); err == nil {
		t.Error("unpin twice: no error")
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	f := add(t, File{}, env("156"), run(1, Passed), run(2, Passed))
	other := env("156")
	other.CPU, other.Cores = "Xeon", 2
	f = add(t, f, other, run(9, Passed))
	if why := f.New(env("156")); why != "" {
		t.Errorf("a known one: %q", why)
	}
	want := "This environment starts a new baseline: chrome 157 instead of 156. The baseline has 2 runs of the nearest other environment, and values of different environments are not compared."
	if why := f.New(env("157")); why != want {
		t.Errorf("got  %s\nwant %s", why, want)
	}
	if why := (File{}).New(env("157")); why != "The baseline has no runs yet: this run can start it." {
		t.Errorf("empty: %q", why)
	}
	if e, err := f.Named("epyc"); err != nil || e.Key != env("156").Key() {
		t.Errorf("Named: %q, %v", e.Key, err)
	}
	for _, text := range []string{"chrome 156", "none", ""} {
		if _, err := f.Named(text); err == nil {
			t.Errorf("Named(%q): no error", text)
		}
	}
}

func TestSeriesOfAnotherUnitIsLeftOut(t *testing.T) {
	t.Parallel()
	old := run(1, Passed)
	old.Values[0].Unit = "s"
	e := add(t, File{}, env("156"), old, run(2, Passed)).Environments[0]
	if p := e.Series(lcp(0).Key); len(p) != 1 || len(e.Keys()) != 1 {
		t.Errorf("%+v", p)
	}
}

// 50 runs of 60 series are the size that a repository has to bear with every run.
func TestSizeOfAFullEnvironment(t *testing.T) {
	t.Parallel()
	var f File
	random := rand.New(rand.NewPCG(1, 2))
	for n := range Kept {
		var series []measure.Series
		for i := range 60 {
			s := lcp(random.Float64() * 1e4)
			s.Key.Subject = fmt.Sprintf("/some/page/%d mobile", i)
			series = append(series, s)
		}
		f = add(t, f, env("156"), RunOf(run(n, "").At, run(n, "").Commit, run(n, "").Link, Passed, series))
	}
	raw, err := Render(f)
	if err != nil || len(raw) > 150_000 {
		t.Errorf("%d bytes, %v; want at most 150,000", len(raw), err)
	}
	t.Logf("%d bytes", len(raw))
	if diff := cmp.Diff(f, again(t, f)); diff != "" {
		t.Errorf("it comes back different:\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	f, _, err := add(t, File{}, env("156"), run(1, Passed), run(2, Passed)).Pin(env("156").Key(), "", monday)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := Render(f)
	if err != nil {
		t.Fatal(err)
	}
	whole := string(raw)
	for name, c := range map[string]struct{ old, new, want string }{
		"newer":               {`"version":1`, `"version":2`, "a newer version of the action wrote it"},
		"no version":          {`"version":1,`, ``, "version 0, want 1"},
		"cut":                 {"\n]}\n", "", "no JSON"},
		"more":                {"\n]}\n", "\n]}{}\n", "more than one JSON value"},
		"unknown key":         {`"version":1`, `"version":1,"x":1`, "unknown field"},
		"key twice":           {`"version":1`, `"version":1,"Version":1`, "there twice"},
		"no list":             {whole, `{"version":1}`, "no list of environments"},
		"null":                {whole, `null`, "version 0"},
		"infinite":            {`1002`, `1e999`, "cannot unmarshal"},
		"another key":         {`"key":"ubuntu24`, `"key":"ubuntu22`, "is not that of"},
		"half a value":        {`[[0,1002,2]]`, `[[0,1002]]`, "want the index"},
		"index of no series":  {`[[0,1002,2]]`, `[[1,1002,2]]`, "want the index"},
		"half an index":       {`[[0,1002,2]]`, `[[0.5,1002,2]]`, "want the index"},
		"no rounds":           {`[[0,1002,2]]`, `[[0,1002,0]]`, "want the index"},
		"series twice":        {`[[0,1002,2]]`, `[[0,1002,2],[0,3,2]]`, "there twice"},
		"verdict":             {`"verdict":"pass"`, `"verdict":"ok"`, "was ok"},
		"commit":              {`"commit":"00`, `"commit":"zz`, "full name"},
		"link":                {`"link":"https:`, `"link":"javascript:`, "no web address"},
		"order":               {"03:05:05", "03:09:05", "not in order"},
		"direction":           {`"better":"lower"`, `"better":"left"`, "no direction"},
		"anchor without time": {fmt.Sprintf("\n \"pinned_at\":%s,", text(monday)), "", "no time at which"},
		"control":             {`"subject":"/ mobile"`, `"subject":"/\u0007mobile"`, "not a line"},
		"not UTF-8":           {"/ mobile", "\xff", "UTF-8"},
	} {
		changed := strings.Replace(whole, c.old, c.new, 1)
		if changed == whole {
			t.Errorf("%s: nothing changed in\n%s", name, whole)
		}
		if _, err := Parse([]byte(changed)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := Parse(nil); err == nil {
		t.Error("an empty file: no error")
	}
	if _, err := Parse([]byte(strings.Replace(whole, `"version":1`, `"version":7`, 1))); err == nil {
		t.Error("another version: no error")
	} else if v, ok := errors.AsType[*VersionError](err); !ok || v.Has != 7 {
		t.Errorf("another version: %v", err)
	}
	if _, err := Parse(bytes.Repeat([]byte(" "), MaxSize+1)); err == nil || !strings.Contains(err.Error(), "the maximum is") {
		t.Errorf("too large: %v", err)
	}
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Run){
		"not a number": func(r *Run) { r.Values[0].Median = math.NaN() }, "infinite": func(r *Run) { r.Values[0].Median = math.Inf(-1) },
		"no time": func(r *Run) { r.At = time.Time{} }, "verdict": func(r *Run) { r.Verdict = "" }, "subject": func(r *Run) { r.Values[0].Subject = "a\nb" },
	} {
		r := run(1, Passed)
		change(&r)
		if f, _, err := (File{}).Add(env("156"), r); err == nil || f.Environments != nil {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// random makes files of a few runs, environments and anchors, so that they collide.
func random(t testing.TB, r *rand.Rand) File {
	var f File
	for range r.IntN(60) {
		one := run(r.IntN(70), verdicts[r.IntN(3)])
		one.Values[0].Median = float64(r.IntN(3))
		f = add(t, f, env(fmt.Sprint(150+r.IntN(2))), one)
	}
	for _, e := range f.Environments {
		at := monday.Add(time.Duration(r.IntN(3)) * time.Hour)
		if pinned, _, err := f.Pin(e.Key, "", at); err == nil && r.IntN(3) > 0 {
			f = pinned
			if unpinned, err := f.Unpin(e.Key, at); err == nil && r.IntN(3) == 0 {
				f = unpinned
			}
		}
	}
	return again(t, Merge(f, File{}))
}

func TestMergeProperties(t *testing.T) {
	t.Parallel()
	source := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		a, b, c := random(t, source), random(t, source), random(t, source)
		for law, two := range map[string][2]File{
			"commutative": {Merge(a, b), Merge(b, a)},
			"associative": {Merge(Merge(a, b), c), Merge(a, Merge(b, c))},
			"idempotent":  {Merge(a, a), a},
			"twice":       {Merge(Merge(a, b), b), Merge(a, b)},
			"neutral":     {Merge(a, File{}), a},
		} {
			if diff := cmp.Diff(two[0], two[1]); diff != "" {
				t.Fatalf("not %s:\n%s", law, diff)
			}
		}
		again(t, Merge(a, b))
	}
}

// Two jobs that stored at once: the runs of both are there.
func TestMergeHasTheRunsOfBoth(t *testing.T) {
	t.Parallel()
	base := add(t, File{}, env("156"), run(1, Passed))
	m := Merge(add(t, base, env("156"), run(2, Passed)), add(t, base, env("156"), run(3, "refused")))
	var commits []string
	for _, r := range m.Environments[0].Runs {
		commits = append(commits, r.Commit)
	}
	if want := []string{run(1, "").Commit, run(2, "").Commit, run(3, "").Commit}; !slices.Equal(commits, want) {
		t.Errorf("%q, want %q", commits, want)
	}
}

func FuzzParse(f *testing.F) {
	file, _, _ := add(f, File{}, env("156"), run(1, Passed), run(2, "refused")).Pin(env("156").Key(), "", monday)
	raw, err := Render(file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"version":1,"environments":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		parsed, err := Parse(raw)
		if err != nil {
			return
		}
		if diff := cmp.Diff(parsed, again(t, parsed)); diff != "" {
			t.Errorf("it comes back different:\n%s", diff)
		}
		if diff := cmp.Diff(again(t, Merge(parsed, parsed)), parsed); diff != "" {
			t.Errorf("merged with itself:\n%s", diff)
		}
		both, other := Merge(parsed, file), Merge(file, parsed)
		if diff := cmp.Diff(both, other); diff != "" {
			t.Errorf("not commutative:\n%s", diff)
		}
		again(t, both)
	})
}
