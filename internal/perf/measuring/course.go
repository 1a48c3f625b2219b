package measuring

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/isolate/ending"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

// endings are the healths of what ended badly.
var endings = map[ending.Kind]verdict.Health{
	ending.Crashed: verdict.Crashed, ending.OutOfMemory: verdict.OutOfMemory, ending.TimedOut: verdict.TimedOut, ending.Unreadable: verdict.Unreadable,
}

// A course is one meter's way through the rounds.
type course struct {
	meter  meter.Meter
	about  meter.About
	tools  map[string]meter.Tool
	report verdict.Meter
	doubts []string
	basis  int // rounds of the base that ended
	needed map[measure.Key]bool
	values int // of head, and what a tool itself found right or wrong
	// failures has the sides that are measured no more, and why.
	failures map[measure.Side]failure
}

// precondition says why a meter can measure nothing; its health is "" if it can.
func (r *run) precondition(ctx context.Context, c *course) (verdict.Health, string, string) {
	job := r.Head
	job.Chromium = r.Chromium
	applies, why := c.meter.Applies(job)
	if !applies {
		return verdict.NotApplicable, why, ""
	}
	if why := r.LeftOut(c.about.Name); why != "" {
		return verdict.LeftOut, why, ""
	}
	if c.about.Browser && r.Chromium == "" {
		return verdict.Missing, r.NoChromium.Error(), "install Chromium or Chrome, or name its program by the input chrome"
	}
	c.tools = map[string]meter.Tool{}
	for _, name := range c.about.Tools {
		tool, err := r.Finder.Find(ctx, name)
		if err != nil {
			return verdict.Health(toolbox.State(err)), err.Error(), toolbox.Hint(err)
		}
		c.tools[name] = tool
		c.report.Versions[name] = tool.Version
	}
	r.Say(fmt.Sprintf("%s: %s", c.about.Name, why))
	return "", "", ""
}

// wants reports whether a round of a side is for the meter.
func (c *course) wants(side measure.Side, round int, base *meter.Job) bool {
	if _, failed := c.failures[side]; failed || c.report.Health != "" {
		return false
	}
	compared := base != nil && c.comparable(*base)
	switch {
	case side == measure.Base && !compared:
		return false
	case c.about.Single, c.about.Once && !compared:
		return round == 0
	}
	return true
}

// comparable reports whether the meter can measure the base.
func (c *course) comparable(base meter.Job) bool {
	switch {
	case c.about.OwnBase:
		return true
	case c.about.ByURL:
		return base.URL != ""
	}
	return base.Workspace != ""
}

// take gathers what a round gave.
func (r *run) take(c *course, job meter.Job, reading meter.Reading) {
	r.add(c, job, reading.Values)
	for _, gap := range reading.Gaps {
		key := measure.Key{Meter: c.about.Name, Subject: gap.Subject, Metric: gap.Metric}
		if _, known := r.seen.Gaps[key]; !known {
			r.seen.Gaps[key] = fmt.Sprintf("%s: %s", where(job), gap.Why)
		}
		if gap.Needed {
			c.needed[key] = true
		}
	}
	for _, a := range reading.Assertions {
		if job.Side == measure.Base {
			if !a.Holds {
				c.report.Notes = note(c.report.Notes, fmt.Sprintf("%s: %s does not hold: %s", where(job), a.Text, a.Why))
			}
			continue
		}
		a.Meter, a.Round = c.about.Name, job.Round
		a.Text, a.Why = r.Clean(a.Text), r.Clean(a.Why)
		r.seen.Assertions = append(r.seen.Assertions, a)
	}
	for _, doubt := range reading.Doubts {
		c.doubts = note(c.doubts, fmt.Sprintf("%s: %s", where(job), doubt))
	}
	for _, text := range reading.Notes {
		c.report.Notes = note(c.report.Notes, text)
	}
	for name, version := range reading.Versions {
		if before := c.report.Versions[name]; before != "" && before != version && job.Side == measure.Head && c.report.Rounds > 0 {
			c.doubts = note(c.doubts, fmt.Sprintf("%s: %s has version %s, and had %s", where(job), name, version, before))
		}
		c.report.Versions[name] = version
	}
	if job.Side == measure.Base {
		c.basis++
	} else {
		c.report.Rounds++
		c.values += len(reading.Values) + len(reading.Assertions)
	}
	r.keep(c, job, reading.Files)
}

// note adds a text that is not there yet.
func note(all []string, text string) []string {
	if slices.Contains(all, text) {
		return all
	}
	return append(all, text)
}

// conclude decides the health of a meter that ran.
func (c *course) conclude(series []measure.Series, gaps map[measure.Key]string, clean func(string) string) {
	defer func() {
		c.report.Why, c.report.Hint = clean(c.report.Why), clean(c.report.Hint)
		for i, text := range c.report.Notes {
			c.report.Notes[i] = clean(text)
		}
	}()
	if c.report.Health != "" {
		return
	}
	if f, failed := c.failures[measure.Head]; failed {
		c.report.Health, c.report.Why, c.report.Hint = f.health, f.why, f.hint
		return
	}
	c.report.Health = verdict.Healthy
	doubts := slices.Concat(c.doubts, c.compareGaps(series, gaps))
	if f, failed := c.failures[measure.Base]; failed {
		doubts = append([]string{f.why}, doubts...)
	}
	if c.values == 0 && len(doubts) == 0 {
		doubts = []string{"it measured nothing"}
	}
	if len(doubts) > 0 {
		c.report.Health, c.report.Why = verdict.Partial, strings.Join(doubts[:min(5, len(doubts))], "; ")
		if more := len(doubts) - 5; more > 0 {
			c.report.Why += fmt.Sprintf("; and %d more", more)
		}
	}
}

// compareGaps are the values that compared metrics lack, and those that the meter itself
// calls needed. Another metric that is missing counts only for those who have a limit
// for it.
func (c *course) compareGaps(series []measure.Series, gaps map[measure.Key]string) []string {
	compared := map[string]bool{}
	for _, s := range series {
		if s.Key.Meter == c.about.Name && s.Metric.Compared {
			compared[s.Metric.Name] = true
		}
	}
	var all []string
	for key, why := range gaps {
		if key.Meter == c.about.Name && (compared[key.Metric] || c.needed[key] || len(compared) == 0) {
			all = append(all, fmt.Sprintf("%s %s: %s", key.Subject, key.Metric, why))
		}
	}
	slices.Sort(all)
	return all
}

// where names a round for people.
func where(job meter.Job) string { return fmt.Sprintf("%s, round %d", job.Side, job.Round+1) }
