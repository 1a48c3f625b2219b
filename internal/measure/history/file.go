package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/jsonkeys"
	"github.com/candlefish/deploy-action/internal/measure"
)

// MaxSize is how large a file may be, in bytes.
const MaxSize = 32 << 20

// Bounds of what a file may have.
const (
	maxEnvironments = 4 * MaxEnvironments // that several merged files have
	maxValues       = 5000                // of a run
	maxTools        = 100
	maxText         = 500 // bytes
	maxRounds       = 1_000_000
)

// A VersionError says that a file is of another version of the format.
type VersionError struct{ Has int }

// Error implements error.
func (e *VersionError) Error() string {
	if e.Has > Version {
		return fmt.Sprintf("the baseline has version %d, and this program knows version %d: a newer version of the action wrote it, use that one", e.Has, Version)
	}
	return fmt.Sprintf("the baseline has version %d, want %d", e.Has, Version)
}

// The wire form names each series once, so that a run is a short line: a value is its
// series' index, the median and the number of rounds.
type (
	document struct {
		Version      int                `json:"version"`
		Environments *[]wireEnvironment `json:"environments"`
	}
	wireEnvironment struct {
		Key         string       `json:"key"`
		Environment wireMeasured `json:"environment"`
		PinnedAt    time.Time    `json:"pinned_at,omitzero"`
		Anchor      *wireRun     `json:"anchor,omitempty"`
		Series      []wireSeries `json:"series"`
		Runs        []wireRun    `json:"runs"`
	}
	wireMeasured struct {
		Runner string            `json:"runner"`
		CPU    string            `json:"cpu"`
		Cores  int               `json:"cores"`
		Tools  map[string]string `json:"tools"`
	}
	wireSeries struct {
		Meter   string         `json:"meter"`
		Subject string         `json:"subject"`
		Metric  string         `json:"metric"`
		Unit    measure.Unit   `json:"unit"`
		Better  measure.Better `json:"better"`
	}
	wireRun struct {
		At      time.Time   `json:"at"`
		Commit  string      `json:"commit"`
		Link    string      `json:"link,omitempty"`
		Verdict string      `json:"verdict"`
		Values  [][]float64 `json:"values"`
	}
)

// Render writes a file, the same bytes for the same file: a line for each series and
// run. It refuses what [Parse] would.
func Render(f File) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("write the baseline: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"version\":%d,\"environments\":[", Version)
	for i, e := range f.Environments {
		w := e.wire()
		fmt.Fprintf(&b, "%s\n{\"key\":%s,\"environment\":%s", comma(i), text(w.Key), text(w.Environment))
		if !w.PinnedAt.IsZero() {
			fmt.Fprintf(&b, ",\n \"pinned_at\":%s", text(w.PinnedAt))
		}
		if w.Anchor != nil {
			fmt.Fprintf(&b, ",\n \"anchor\":%s", text(w.Anchor))
		}
		b.WriteString(",\n \"series\":[")
		for j, s := range w.Series {
			fmt.Fprintf(&b, "%s\n  %s", comma(j), text(s))
		}
		b.WriteString("],\n \"runs\":[")
		for j, r := range w.Runs {
			fmt.Fprintf(&b, "%s\n  %s", comma(j), text(r))
		}
		b.WriteString("]}")
	}
	b.WriteString("\n]}\n")
	if b.Len() > MaxSize {
		return nil, fmt.Errorf("write the baseline: it has %d bytes, the maximum is %d", b.Len(), MaxSize)
	}
	return b.Bytes(), nil
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

func (e Environment) wire() wireEnvironment {
	m := e.Environment
	w := wireEnvironment{Key: e.Key, Environment: wireMeasured{m.Runner, m.CPU, m.Cores, m.Tools}, PinnedAt: e.PinnedAt}
	if w.Environment.Tools == nil {
		w.Environment.Tools = map[string]string{}
	}
	index := map[wireSeries]int{}
	for _, r := range e.all() {
		for _, v := range r.Values {
			if s := v.series(); index[s] == 0 {
				index[s], w.Series = 1, append(w.Series, s)
			}
		}
	}
	slices.SortFunc(w.Series, func(a, b wireSeries) int { return strings.Compare(a.order(), b.order()) })
	for i, s := range w.Series {
		index[s] = i
	}
	for i, r := range e.all() {
		one := wireRun{At: r.At, Commit: r.Commit, Link: r.Link, Verdict: r.Verdict, Values: [][]float64{}}
		for _, v := range r.Values {
			one.Values = append(one.Values, []float64{float64(index[v.series()]), v.Median, float64(v.Rounds)})
		}
		if i == len(e.Runs) {
			w.Anchor = &one
		} else {
			w.Runs = append(w.Runs, one)
		}
	}
	return w
}

// all returns the runs, and the anchor after them.
func (e Environment) all() []Run {
	if e.Anchor == nil {
		return e.Runs
	}
	return append(slices.Clone(e.Runs), *e.Anchor)
}

func (v Value) series() wireSeries {
	return wireSeries{v.Meter, v.Subject, v.Metric, v.Unit, v.Better}
}

func (s wireSeries) order() string {
	return strings.Join([]string{s.Meter, s.Subject, s.Metric, string(s.Unit), string(s.Better)}, "\x00")
}

// Parse reads a file that [Render] wrote. What is not whole, or has a key, a verdict or
// a form that this version does not know, is an error: a baseline that is read in part
// would hide a regression. The error of another version is a [*VersionError].
func Parse(raw []byte) (File, error) {
	f, err := parse(raw)
	if err != nil {
		return File{}, fmt.Errorf("read the baseline: %w", err)
	}
	return f, nil
}

func parse(raw []byte) (File, error) {
	if len(raw) > MaxSize {
		return File{}, fmt.Errorf("it has %d bytes, the maximum is %d", len(raw), MaxSize)
	}
	if !utf8.Valid(raw) {
		return File{}, errors.New("it is not UTF-8")
	}
	if err := jsonkeys.UniqueFold(raw); err != nil {
		return File{}, err
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(raw, &version); err != nil {
		return File{}, err
	}
	if version.Version != Version {
		return File{}, &VersionError{version.Version}
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return File{}, err
	}
	if d.Environments == nil {
		return File{}, errors.New("it has no list of environments")
	}
	f := File{Version: Version, Environments: []Environment{}}
	for i, w := range *d.Environments {
		e, err := w.environment()
		if err != nil {
			return File{}, fmt.Errorf("environment %d: %w", i+1, err)
		}
		f.Environments = append(f.Environments, e)
	}
	return f, f.check()
}

func (w wireEnvironment) environment() (Environment, error) {
	m := w.Environment
	e := Environment{Key: w.Key, Environment: measure.Environment{Runner: m.Runner, CPU: m.CPU, Cores: m.Cores, Tools: m.Tools}, PinnedAt: w.PinnedAt.UTC(), Runs: []Run{}}
	for i, r := range w.Runs {
		run, err := r.run(w.Series)
		if err != nil {
			return e, fmt.Errorf("run %d: %w", i+1, err)
		}
		e.Runs = append(e.Runs, run)
	}
	if w.Anchor != nil {
		run, err := w.Anchor.run(w.Series)
		if err != nil {
			return e, fmt.Errorf("anchor: %w", err)
		}
		e.Anchor = &run
	}
	return e, nil
}

func (w wireRun) run(series []wireSeries) (Run, error) {
	r := Run{At: w.At.UTC(), Commit: w.Commit, Link: w.Link, Verdict: w.Verdict, Values: []Value{}}
	for i, v := range w.Values {
		if len(v) != 3 || v[0] < 0 || v[0] >= float64(len(series)) || v[0] != float64(int(v[0])) || v[2] < 1 || v[2] > maxRounds || v[2] != float64(int(v[2])) {
			return r, fmt.Errorf("value %d is %v, want the index of a series, a median and a number of rounds", i+1, v)
		}
		s := series[int(v[0])]
		r.Values = append(r.Values, Value{Meter: s.Meter, Subject: s.Subject, Metric: s.Metric, Unit: s.Unit, Better: s.Better, Median: v[1], Rounds: int(v[2])})
	}
	return r, nil
}

var (
	commitName = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})?$`)
	webLink    = regexp.MustCompile(`^(https?://[!-~]+)?$`)
	verdicts   = []string{Passed, "refused", "inconclusive"}
)

// check refuses a file that is not as this package makes it.
func (f File) check() error {
	if len(f.Environments) > maxEnvironments {
		return fmt.Errorf("it has %d environments, the maximum is %d", len(f.Environments), maxEnvironments)
	}
	for i, e := range f.Environments {
		if i > 0 && f.Environments[i-1].Key >= e.Key {
			return fmt.Errorf("the environments %q and %q are not in order", f.Environments[i-1].Key, e.Key)
		}
		if err := e.check(); err != nil {
			return fmt.Errorf("environment %q: %w", e.Key, err)
		}
	}
	return nil
}

func (e Environment) check() error {
	tools := map[string]bool{}
	for name, version := range e.Environment.Tools {
		if err := errors.Join(line("tool", name), line("version", version)); err != nil {
			return err
		}
		tools[strings.ToLower(name)] = true // as jsonkeys has them
	}
	switch {
	case e.Key != e.Environment.Key():
		return fmt.Errorf("its key is not that of %q", e.Environment.Key())
	case len(tools) != len(e.Environment.Tools) || len(tools) > maxTools:
		return errors.New("it has a tool twice, or too many")
	case e.Environment.Cores < 0 || e.Environment.Cores > maxRounds:
		return fmt.Errorf("it has %d cores", e.Environment.Cores)
	case len(e.Runs) > Kept:
		return fmt.Errorf("it has %d runs, the maximum is %d", len(e.Runs), Kept)
	case !e.PinnedAt.IsZero() && !writable(e.PinnedAt), e.PinnedAt.IsZero() && e.Anchor != nil:
		return errors.New("it has no time at which the anchor was pinned")
	case e.Anchor != nil && e.Anchor.Verdict != Passed:
		return fmt.Errorf("the run of its anchor was %s", e.Anchor.Verdict)
	}
	if err := errors.Join(line("runner", e.Environment.Runner), line("CPU", e.Environment.CPU)); err != nil {
		return err
	}
	for i, r := range e.all() {
		if i > 0 && i < len(e.Runs) && e.Runs[i-1].order(r) >= 0 {
			return fmt.Errorf("the runs of %s and %s are not in order", e.Runs[i-1].At, r.At)
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("run of %s: %w", r.At, err)
		}
	}
	return nil
}

// writable reports whether JSON can have a time.
func writable(at time.Time) bool { return at.Year() >= 1970 && at.Year() <= 9999 }

func (r Run) check() error {
	switch {
	case !writable(r.At):
		return errors.New("it has no time")
	case !commitName.MatchString(r.Commit):
		return fmt.Errorf("commit %.80q is not a commit's full name", r.Commit)
	case len(r.Link) > maxText || !webLink.MatchString(r.Link):
		return fmt.Errorf("link %.80q is no web address", r.Link)
	case !slices.Contains(verdicts, r.Verdict):
		return fmt.Errorf("verdict %.40q is not one of %s", r.Verdict, strings.Join(verdicts, ", "))
	case r.Values == nil || len(r.Values) > maxValues:
		return fmt.Errorf("it has %d values, the maximum is %d", len(r.Values), maxValues)
	}
	for i, v := range r.Values {
		if err := v.check(); err != nil {
			return fmt.Errorf("value %.200s: %w", v.Key(), err)
		}
		if i > 0 && r.Values[i-1].compare(v) >= 0 {
			return fmt.Errorf("the values %.200s and %.200s are not in order, or one series is there twice", r.Values[i-1].Key(), v.Key())
		}
	}
	return nil
}

func (v Value) check() error {
	switch {
	case v.Median-v.Median != 0: // infinite, or no number
		return fmt.Errorf("it is %v", v.Median)
	case v.Rounds < 1 || v.Rounds > maxRounds:
		return fmt.Errorf("it has %d rounds", v.Rounds)
	case v.Better != measure.Lower && v.Better != measure.Higher:
		return fmt.Errorf("%.40q is no direction", v.Better)
	case v.Meter == "" || v.Metric == "":
		return errors.New("it has no meter or no metric")
	}
	return errors.Join(line("meter", v.Meter), line("subject", v.Subject), line("metric", v.Metric), line("unit", string(v.Unit)))
}

// line refuses what is not one short line of text.
func line(what, s string) error {
	if len(s) > maxText || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("its %s %.80q is not a line of at most %d bytes", what, s, maxText)
	}
	return nil
}
