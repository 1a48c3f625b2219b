// Package measuring runs the rounds of all meters and decides whether the values of
// each of them can be believed.
//
// It is the one place that starts the tools. Base and head are measured in turn, and
// which of them comes first alternates, so that a machine that slows down slows both
// alike. Meters run one after another: beside each other they would measure
// themselves. Nothing that a tool does ends a run: it becomes the meter's
// [verdict.Health].
package measuring

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/meter"
)

// A Finder finds installed tools. What is wrong with one is an error of the toolbox.
type Finder interface {
	Find(ctx context.Context, name string) (meter.Tool, error)
}

// A Runner runs commands isolated, with one folder as their workspace.
type Runner interface {
	Run(context.Context, isolate.Command) isolate.Ran
}

// A Plan is what to measure, by which meters.
type Plan struct {
	Meters []meter.Meter
	// LeftOut says why a meter does not run; "" for one that runs.
	LeftOut func(name string) string
	Finder  Finder
	Sandbox func(workspace string) Runner
	Head    meter.Job // Scratch, Round, Tools and Began are set for each round
	Base    *meter.Job
	// Chromium is the browser's program; if it is "", NoChromium says why.
	Chromium   string
	NoChromium error
	Rounds     int // of each side; 0 asks Enough after the first one
	// Enough returns how many rounds can prove a change of these series.
	Enough  func([]measure.Series) int
	Work    string // an empty folder for the rounds
	Keep    string // the folder for files that people look at
	Timeout time.Duration
	Now     func() time.Time
	After   func(time.Duration) <-chan time.Time
	Say     func(line string)
	Clean   func(string) string // redacts
}

// A Seen is what all meters measured.
type Seen struct {
	Meters     []verdict.Meter  // by name
	Series     []measure.Series // by key
	Gaps       map[measure.Key]string
	Assertions []verdict.Assertion
	Files      []verdict.File
	Versions   map[string]string // of all tools
	// Busy is the time in which meters ran; the rest is our own.
	Busy time.Duration
	// Compared are the meters that measured the base.
	Compared []string
	// Representative is the round of head that is nearest to the medians, by meter and
	// subject.
	Representative map[string]map[string]int
}

// Run runs all rounds and returns what was seen. It returns early if ctx ends.
func (p Plan) Run(ctx context.Context) Seen {
	r := &run{Plan: p, seen: Seen{Gaps: map[measure.Key]string{}, Versions: map[string]string{}, Representative: map[string]map[string]int{}}, series: map[measure.Key]*measure.Series{}}
	courses := r.prepare(ctx)
	for round := 0; round < r.rounds(round); round++ {
		for _, side := range sides(round, p.Base != nil) {
			began := p.Now()
			for _, c := range courses {
				if c.wants(side, round, p.Base) && ctx.Err() == nil {
					r.round(ctx, c, side, round, began)
				}
			}
		}
	}
	return r.end(courses)
}

// rounds is how many there are, as far as it is known before a round.
func (r *run) rounds(round int) int {
	if r.Rounds == 0 && round == 1 {
		r.Rounds = max(1, r.Enough(r.all()))
		r.Say(fmt.Sprintf("%d runs of each version can prove a change of what is compared", r.Rounds))
	}
	return max(1, r.Rounds)
}

// sides are those of one round, in their order.
func sides(round int, base bool) []measure.Side {
	switch {
	case !base:
		return []measure.Side{measure.Head}
	case round%2 == 0:
		return []measure.Side{measure.Base, measure.Head}
	}
	return []measure.Side{measure.Head, measure.Base}
}

// A run is a Plan while it runs.
type run struct {
	Plan
	seen   Seen
	series map[measure.Key]*measure.Series
}

// prepare finds out which meters have something to do, and their tools. Those that
// look at what the others caused come last.
func (r *run) prepare(ctx context.Context) []*course {
	var all []*course
	for _, m := range r.Meters {
		c := &course{meter: m, about: m.About(), needed: map[measure.Key]bool{}}
		c.report = verdict.Meter{Name: c.about.Name, Does: c.about.Does, Versions: map[string]string{}}
		c.report.Health, c.report.Why, c.report.Hint = r.precondition(ctx, c)
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b *course) int {
		return order(a.about.Last) - order(b.about.Last)
	})
	return all
}

func order(last bool) int {
	if last {
		return 1
	}
	return 0
}

// add takes the values of a round into the series.
func (r *run) add(c *course, job meter.Job, values []meter.Value) {
	for _, v := range values {
		key := measure.Key{Meter: c.about.Name, Subject: v.Subject, Metric: v.Metric.Name}
		s := r.series[key]
		if s == nil {
			s = &measure.Series{Key: key, Metric: v.Metric}
			r.series[key] = s
		}
		points := &s.Head
		if job.Side == measure.Base {
			points = &s.Base
		}
		at := job.Round
		if c.about.Single {
			at = len(*points)
		}
		*points = append(*points, measure.Point{Round: at, Value: v.Value})
	}
}

// all are the series so far, by key.
func (r *run) all() []measure.Series {
	var all []measure.Series
	for _, s := range r.series {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b measure.Series) int { return a.Key.Compare(b.Key) })
	return all
}

// hasBase reports whether a meter gave a value of the base.
func hasBase(all []measure.Series, meter string) bool {
	return slices.ContainsFunc(all, func(s measure.Series) bool { return s.Key.Meter == meter && len(s.Base) > 0 })
}

// end makes the result of all that was gathered.
func (r *run) end(courses []*course) Seen {
	r.seen.Series = r.all()
	for _, c := range courses {
		c.conclude(r.seen.Series, r.seen.Gaps, r.Clean)
		r.seen.Meters = append(r.seen.Meters, c.report)
		if c.basis > 0 && hasBase(r.seen.Series, c.about.Name) {
			r.seen.Compared = append(r.seen.Compared, c.about.Name)
		}
		for name, version := range c.report.Versions {
			r.seen.Versions[name] = version
		}
	}
	slices.SortFunc(r.seen.Meters, func(a, b verdict.Meter) int { return cmp.Compare(a.Name, b.Name) })
	r.markRepresentatives(courses)
	return r.seen
}

// markRepresentatives marks the files of the rounds that are nearest to the medians.
func (r *run) markRepresentatives(courses []*course) {
	for _, c := range courses {
		chooser, ok := c.meter.(meter.Chooser)
		if !ok {
			continue
		}
		rounds := chooser.Representative(r.seen.Series)
		r.seen.Representative[c.about.Name] = rounds
		for i, f := range r.seen.Files {
			at, known := rounds[f.Subject]
			r.seen.Files[i].Representative = f.Representative || f.Meter == c.about.Name && f.Side == measure.Head && known && at == f.Round
		}
	}
}
