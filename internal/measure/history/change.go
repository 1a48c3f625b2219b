package history

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/measure"
)

// Passed is the verdict of a run that others are compared with.
const Passed = "pass"

// MaxEnvironments is how many environments [File.Add] keeps.
const MaxEnvironments = 12

// RunOf makes a run of what was measured: the median of head's rounds of each series.
// A series without a value is not part of it.
func RunOf(at time.Time, commit, link, verdict string, series []measure.Series) Run {
	r := Run{At: at.UTC().Truncate(time.Millisecond), Commit: commit, Link: link, Verdict: verdict, Values: []Value{}}
	for _, s := range series {
		if len(s.Head) > 0 {
			r.Values = append(r.Values, Value{Meter: s.Key.Meter, Subject: s.Key.Subject, Metric: s.Key.Metric, Unit: s.Metric.Unit, Better: s.Metric.Better,
				Median: measure.Median(measure.Values(s.Head)), Rounds: len(s.Head)})
		}
	}
	slices.SortFunc(r.Values, Value.compare)
	return r
}

// Key is the series of a value.
func (v Value) Key() measure.Key {
	return measure.Key{Meter: v.Meter, Subject: v.Subject, Metric: v.Metric}
}

func (v Value) compare(other Value) int { return v.Key().Compare(other.Key()) }

// Value returns the value of a series, if the run has it.
func (r Run) Value(key measure.Key) (Value, bool) {
	i, ok := slices.BinarySearchFunc(r.Values, key, func(v Value, k measure.Key) int { return v.Key().Compare(k) })
	if !ok {
		return Value{}, false
	}
	return r.Values[i], true
}

// order orders runs by what identifies them.
func (r Run) order(other Run) int {
	return cmp.Or(r.At.Compare(other.At), cmp.Compare(r.Commit, other.Commit), cmp.Compare(r.Link, other.Link))
}

// Add returns the file with one run more, and the keys of environments that it no
// longer has. The same run a second time changes nothing.
//
// An environment keeps its newest [Kept] runs. The file keeps [MaxEnvironments]
// environments, always that of the run: the one whose newest run is the oldest goes
// first, and those with an anchor after all others.
func (f File) Add(env measure.Environment, run Run) (File, []string, error) {
	if run.Values == nil {
		run.Values = []Value{}
	}
	one := File{Version: Version, Environments: []Environment{{Key: env.Key(), Environment: env, Runs: []Run{run}}}}
	if err := one.check(); err != nil {
		return f, nil, fmt.Errorf("add the run to the baseline: %w", err)
	}
	merged := Merge(f, one)
	var gone []string
	for len(merged.Environments) > MaxEnvironments {
		i := merged.unused(env.Key())
		gone = append(gone, merged.Environments[i].Key)
		merged.Environments = slices.Delete(merged.Environments, i, i+1)
	}
	return merged, gone, nil
}

// unused is the index of the environment that goes next, which is not that of keep.
func (f File) unused(keep string) int {
	next := -1
	for i, e := range f.Environments {
		if e.Key != keep && (next < 0 || e.goesBefore(f.Environments[next])) {
			next = i
		}
	}
	return next
}

func (e Environment) goesBefore(other Environment) bool {
	if (e.Anchor == nil) != (other.Anchor == nil) {
		return e.Anchor == nil
	}
	return e.newest().Before(other.newest())
}

// newest is the time of the newest run, zero without one.
func (e Environment) newest() time.Time {
	if len(e.Runs) == 0 {
		return time.Time{}
	}
	return e.Runs[len(e.Runs)-1].At
}

// Compared returns the runs that others are compared with, oldest first: those that
// passed.
func (e Environment) Compared() []Run {
	return slices.DeleteFunc(slices.Clone(e.Runs), func(r Run) bool { return r.Verdict != Passed })
}

// Pin makes a run the anchor of an environment: of a commit, given by its name or the
// first seven digits or more, the newest run that passed; of "" the newest of all. at
// is the time of now.
func (f File) Pin(key, commit string, at time.Time) (File, Run, error) {
	e, ok := f.byKey(key)
	if !ok {
		return f, Run{}, fmt.Errorf("pin a run: the baseline has no environment %q", key)
	}
	run, err := e.run(commit)
	if err != nil {
		return f, Run{}, fmt.Errorf("pin a run of %s: %w", key, err)
	}
	return f.anchored(key, &run, at), run, nil
}

const minCommit = 7 // digits

func (e Environment) run(commit string) (Run, error) {
	if commit != "" && len(commit) < minCommit {
		return Run{}, fmt.Errorf("commit %q: want %d digits or more", commit, minCommit)
	}
	verdict := ""
	for _, r := range slices.Backward(e.Runs) {
		if !strings.HasPrefix(r.Commit, commit) {
			continue
		}
		if r.Verdict == Passed {
			return r, nil
		}
		verdict = cmp.Or(verdict, r.Verdict)
	}
	switch {
	case verdict != "" && commit != "":
		return Run{}, fmt.Errorf("the run of commit %s was %s, and nothing is compared with such a run", commit, verdict)
	case commit != "":
		return Run{}, fmt.Errorf("none of its %d runs is of commit %s", len(e.Runs), commit)
	}
	return Run{}, errors.New("it has no run that passed")
}

// Unpin removes the anchor of an environment.
func (f File) Unpin(key string, at time.Time) (File, error) {
	e, ok := f.byKey(key)
	switch {
	case !ok:
		return f, fmt.Errorf("unpin: the baseline has no environment %q", key)
	case e.Anchor == nil:
		return f, fmt.Errorf("unpin: %s has no anchor", key)
	}
	return f.anchored(key, nil, at), nil
}

// anchored returns a copy with another anchor.
func (f File) anchored(key string, run *Run, at time.Time) File {
	all := slices.Clone(f.Environments)
	for i := range all {
		if all[i].Key == key {
			all[i].Anchor, all[i].PinnedAt = run, at.UTC().Truncate(time.Millisecond)
		}
	}
	return File{Version: Version, Environments: all}
}

func (f File) byKey(key string) (Environment, bool) {
	for _, e := range f.Environments {
		if e.Key == key {
			return e, true
		}
	}
	return Environment{}, false
}

// Find returns what the file has of an environment.
func (f File) Find(env measure.Environment) (Environment, bool) { return f.byKey(env.Key()) }

// Named returns the only environment whose key contains a text, for people who type
// it; the only one at all for "".
func (f File) Named(text string) (Environment, error) {
	if e, ok := f.byKey(text); ok {
		return e, nil
	}
	var found []Environment
	for _, e := range f.Environments {
		if strings.Contains(strings.ToLower(e.Key), strings.ToLower(text)) {
			found = append(found, e)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return Environment{}, fmt.Errorf("%d of %d environments in the baseline have %q in their name; want one", len(found), len(f.Environments), text)
}

// Nearest returns the environment that differs the least, the most recently used of
// several, and in what env differs from it. It is false if the file has no runs.
func (f File) Nearest(env measure.Environment) (near Environment, differences []string, ok bool) {
	for _, e := range f.Environments {
		d := env.Differences(e.Environment)
		if len(e.Runs) > 0 && (!ok || len(d) < len(differences) || len(d) == len(differences) && near.newest().Before(e.newest())) {
			near, differences, ok = e, d, true
		}
	}
	return near, differences, ok
}

// New says why there is nothing to compare a run with: "" if the file knows the
// environment.
func (f File) New(env measure.Environment) string {
	if _, ok := f.Find(env); ok {
		return ""
	}
	near, differences, ok := f.Nearest(env)
	if !ok {
		return "The baseline has no runs yet: this run can start it."
	}
	return fmt.Sprintf("This environment starts a new baseline: %s. The baseline has %d runs of the nearest other environment, and values of different environments are not compared.",
		strings.Join(differences, ", "), len(near.Runs))
}

// A Point is the value of one series in one run, for charts.
type Point struct {
	At      time.Time
	Commit  string
	Link    string
	Verdict string
	Median  float64
	Rounds  int
}

// Series returns a series over the runs of an environment, oldest first. Values in
// another unit than the newest one are left out.
func (e Environment) Series(key measure.Key) []Point {
	var points []Point
	var unit measure.Unit
	for _, r := range slices.Backward(e.Runs) {
		v, ok := r.Value(key)
		if unit == "" {
			unit = v.Unit
		}
		if ok && v.Unit == unit {
			points = append(points, Point{r.At, r.Commit, r.Link, r.Verdict, v.Median, v.Rounds})
		}
	}
	slices.Reverse(points)
	return points
}

// Keys returns all series of an environment's runs, sorted.
func (e Environment) Keys() []measure.Key {
	all := map[measure.Key]bool{}
	for _, r := range e.Runs {
		for _, v := range r.Values {
			all[v.Key()] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), measure.Key.Compare)
}
