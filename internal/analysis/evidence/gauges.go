package evidence

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
)

// A gauge is the newest value of one subject of the canary.
type gauge struct {
	at    time.Time
	value float64
	since time.Time // when the value went past the limit; zero while within it
}

// Gauges are the newest values of one metric, and since when each is past its limit.
type Gauges struct {
	metric   *config.Metric
	subjects map[string]*gauge
	values   int // of this step, and how many of them were NaN
	nans     int
}

// NewGauges returns the values of a metric before the first one.
func NewGauges(m *config.Metric) *Gauges { return &Gauges{metric: m, subjects: map[string]*gauge{}} }

// Begin counts the values of a new step. The newest ones stay, and so does how long they
// are past the limit; before the canary's first traffic that does not count.
func (g *Gauges) Begin(at time.Time, first bool) {
	g.values, g.nans = 0, 0
	for _, of := range g.subjects {
		if first && !of.since.IsZero() {
			of.since = at
		}
	}
}

// Add takes a value of the canary.
func (g *Gauges) Add(p Point) {
	g.values++
	v := float64(*p.Value)
	if math.IsNaN(v) {
		g.nans++
		return
	}
	of := g.subjects[p.Subject]
	if of == nil {
		of = &gauge{}
		g.subjects[p.Subject] = of
	}
	of.at, of.value = p.At, v
	switch past, back := g.past(v); {
	case past && of.since.IsZero():
		of.since = p.At
	case back:
		of.since = time.Time{}
	}
}

// past says whether v is past the limit, and whether it is back within it: in
// between it is neither.
func (g *Gauges) past(v float64) (past, back bool) {
	l := g.metric.Limit
	switch {
	case l == nil:
		return false, true
	case l.Max != nil:
		return v > *l.Max, v <= *cmp.Or(l.Clear, l.Max)
	}
	return v < *l.Min, v >= *cmp.Or(l.Clear, l.Min)
}

// worst is the subject furthest past its limit, by how long it has been there;
// ok is false when the canary has no value.
func (g *Gauges) worst() (subject string, worst gauge, ok bool) {
	limit := g.metric.Limit
	for _, name := range slices.Sorted(maps.Keys(g.subjects)) {
		c := *g.subjects[name]
		longer := !c.since.IsZero() && (worst.since.IsZero() || c.since.Before(worst.since))
		farther := limit != nil && worst.since.IsZero() && c.since.IsZero() &&
			(limit.Max != nil && c.value > worst.value || limit.Max == nil && c.value < worst.value)
		if !ok || longer || farther {
			subject, worst, ok = name, c, true
		}
	}
	return subject, worst, ok
}

// Worst is the subject that Words are about, and when its value was read; ok is false
// when the canary has no value.
func (g *Gauges) Worst() (subject string, at time.Time, ok bool) {
	subject, w, ok := g.worst()
	return subject, w.at, ok
}

// PastLimit says whether the worst value is past the limit, and whether it has been
// for too long.
func (g *Gauges) PastLimit() (now, tooLong bool) {
	_, w, ok := g.worst()
	now = ok && !w.since.IsZero()
	return now, now && w.at.Sub(w.since) >= time.Duration(g.metric.Limit.For)
}

// NaNs is how many of the step's values are not a number. ok is false if these are
// too many to judge by the others: a fifth, or all.
func (g *Gauges) NaNs() (nans, values int, ok bool) {
	return g.nans, g.values, g.nans == 0 || len(g.subjects) > 0 && 5*g.nans < g.values
}
