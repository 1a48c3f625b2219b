// Package recording writes down all that a Judge is told and asked, one JSON object
// a line, and judges such a recording again.
//
// A recording needs nothing but the judge to be replayed: no source, no check and
// no cluster. So it has none of their secrets either. Fed with the same points and asked at the same moments, a Judge says
// the same.
package recording

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/redact"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// Version is the version of the recording that this package writes.
const Version = 1

// An Event is one line of a recording: something that a Judge was told or asked.
// Exactly one of the pointers is set.
type Event struct {
	Start     *Start            `json:"start,omitempty"`
	Begin     *analysis.Begin   `json:"begin,omitempty"`
	Confirmed *time.Time        `json:"confirmed,omitempty"`
	Points    *Points           `json:"points,omitempty"`
	Problem   *Problem          `json:"problem,omitempty"`
	Custom    *analysis.Finding `json:"custom,omitempty"`
	Look      *Look             `json:"look,omitempty"`
}

// A Start is the first line: what rollout this is and how it was judged.
type Start struct {
	Version int           `json:"version"`
	Target  string        `json:"target"`
	Image   string        `json:"image"`
	Steps   int           `json:"steps"`
	Config  config.Config `json:"config"`
	// Stale is, by metric, the age limit of its data that its source needs.
	// A replay has the settings of a source and not what they mean.
	Stale map[string]config.Duration `json:"stale,omitempty"`
	// Redact takes the secrets of this run out of a text; nil for those alone
	// that look like one.
	Redact func(string) string `json:"-"`
}

// Points are what a metric's source yielded.
type Points struct {
	Metric string           `json:"metric"`
	Points []analysis.Point `json:"points"`
}

// A Problem is a source that could not be read.
type Problem struct {
	Metric string    `json:"metric"`
	Why    string    `json:"why"`
	At     time.Time `json:"at"`
}

// A Look is a question and its answer.
type Look struct {
	analysis.Moment
	Verdict rollout.Verdict `json:"verdict"`
	Reason  string          `json:"reason"`
}

// A Recorder is a Judge that writes down all that it is told and asked, one JSON
// object a line. What it writes to is not waited for at a Look: the first error
// is kept and returned by Err.
type Recorder struct {
	*analysis.Judge
	out   *json.Encoder
	clean cleaner
	err   error
}

// New returns a Judge for the rollout of s that writes to w.
func New(w io.Writer, s Start) *Recorder {
	s.Version, s.Stale = Version, map[string]config.Duration{}
	for _, m := range s.Config.Metrics {
		if m.Source != nil && m.Source.StaleAfter() > 0 {
			s.Stale[m.Name] = config.Duration(m.Source.StaleAfter())
		}
	}
	r := &Recorder{Judge: analysis.NewJudge(s.Config, s.Steps), out: json.NewEncoder(w), clean: cleaner{s.Redact, redact.New()}}
	r.write(Event{Start: &s})
	return r
}

func (r *Recorder) write(e Event) {
	if err := r.out.Encode(r.clean.event(e)); err != nil && r.err == nil {
		r.err = fmt.Errorf("record the analysis: %w", err)
	}
}

// Err returns the first error of writing.
func (r *Recorder) Err() error { return r.err }

// Begin is Judge's, and recorded.
func (r *Recorder) Begin(b analysis.Begin) {
	r.write(Event{Begin: &b})
	r.Judge.Begin(b)
}

// Confirmed is Judge's, and recorded.
func (r *Recorder) Confirmed(at time.Time) {
	r.write(Event{Confirmed: &at})
	r.Judge.Confirmed(at)
}

// Add is Judge's, and recorded.
func (r *Recorder) Add(metric string, ps ...analysis.Point) {
	if len(ps) > 0 {
		r.write(Event{Points: &Points{metric, ps}})
		r.Judge.Add(metric, ps...)
	}
}

// Problem is Judge's, and recorded.
func (r *Recorder) Problem(metric, why string, at time.Time) {
	r.write(Event{Problem: &Problem{metric, why, at}})
	r.Judge.Problem(metric, why, at)
}

// Custom is Judge's, and recorded.
func (r *Recorder) Custom(f analysis.Finding) {
	r.write(Event{Custom: &f})
	r.Judge.Custom(f)
}

// Look is Judge's, and recorded.
func (r *Recorder) Look(m analysis.Moment) analysis.Result {
	result := r.Judge.Look(m)
	r.write(Event{Look: &Look{m, result.Verdict, result.Reason}})
	return result
}

// A Replayed is what became of one step in a replay.
type Replayed struct {
	Step, Weight int
	// Recorded and Now are the last verdicts of the step, then and in the
	// replay; At is how long into the dwell the replay's was reached.
	Recorded Look
	Now      analysis.Result
	At       time.Duration
}

// errRecording is wrapped by everything that is wrong with a recording.
var errRecording = errors.New("not a recording of this version")

// Replay judges a recorded rollout again, with another config or, where change is
// nil, with its own. It stops at the first step that fails: what came after it
// would not have happened. change gets the recorded config.
func Replay(r io.Reader, change func(config.Config) (config.Config, error)) (Start, []Replayed, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	var start Start
	var judge *analysis.Judge
	var steps []Replayed
	for n := 1; lines.Scan(); n++ {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			if judge != nil && !lines.Scan() && lines.Err() == nil {
				break // a run that was killed leaves half a line at the end
			}
			return start, nil, fmt.Errorf("line %d: %w: %w", n, errRecording, err)
		}
		switch {
		case e.Start != nil && judge == nil:
			start = *e.Start
			if start.Version != Version {
				return start, nil, fmt.Errorf("line %d: %w: it has version %d, want %d", n, errRecording, start.Version, Version)
			}
			var err error
			if start.Config, err = start.settings(change); err != nil {
				return start, nil, err
			}
			judge = analysis.NewJudge(start.Config, start.Steps)
		case judge == nil:
			return start, nil, fmt.Errorf("line %d: %w: it does not begin with the start of a rollout", n, errRecording)
		case e.Begin != nil:
			judge.Begin(*e.Begin)
			if k := len(steps); k == 0 || steps[k-1].Step != e.Begin.Step {
				steps = append(steps, Replayed{Step: e.Begin.Step, Weight: e.Begin.Weight})
			}
		case e.Look != nil && len(steps) > 0:
			s := &steps[len(steps)-1]
			s.Recorded, s.Now, s.At = *e.Look, judge.Look(e.Look.Moment), e.Look.Elapsed
			if s.Now.Verdict == rollout.VerdictFailed {
				return start, steps, nil
			}
		default:
			apply(judge, e)
		}
	}
	if err := lines.Err(); err != nil {
		return start, nil, fmt.Errorf("%w: %w", errRecording, err)
	}
	if judge == nil {
		return start, nil, fmt.Errorf("%w: it is empty", errRecording)
	}
	return start, steps, nil
}

// settings are what a replay judges by: the recorded ones, or what change makes of
// them.
func (s Start) settings(change func(config.Config) (config.Config, error)) (config.Config, error) {
	c := s.Config
	c.Metrics = slices.Clone(c.Metrics)
	// Without a marker the probe stream has the gateway's counters, and no latencies.
	counted := slices.IndexFunc(c.Metrics, func(m config.Metric) bool {
		return m.Name == config.ProbeMetric && m.Errors != nil && m.Latency == nil
	})
	for i, m := range c.Metrics {
		if stale := s.Stale[m.Name]; stale > 0 {
			c.Metrics[i].Source = recorded(stale)
		}
	}
	if change != nil {
		var err error
		if c, err = change(c); err != nil {
			return c, err
		}
	}
	c = c.WithDefaults(config.Metric{})
	if counted >= 0 && change == nil {
		c.Metrics[counted].Latency = nil
	}
	return c, c.Validate()
}

// recorded is what a replay knows of a source: the age limit of its data.
type recorded time.Duration

// Key implements config.Source.
func (recorded) Key() string { return "recorded" }

// StaleAfter implements config.Source.
func (r recorded) StaleAfter() time.Duration { return time.Duration(r) }

// Validate implements config.Source.
func (recorded) Validate(config.Metric, config.Problems) {}

// apply tells the judge something.
func apply(judge *analysis.Judge, e Event) {
	switch {
	case e.Confirmed != nil:
		judge.Confirmed(*e.Confirmed)
	case e.Points != nil:
		judge.Add(e.Points.Metric, e.Points.Points...)
	case e.Problem != nil:
		judge.Problem(e.Problem.Metric, e.Problem.Why, e.Problem.At)
	case e.Custom != nil:
		judge.Custom(*e.Custom)
	}
}
