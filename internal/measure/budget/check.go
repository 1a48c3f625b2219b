package budget

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// A Run is what budgets are held against: the values of head.
type Run struct {
	Series []measure.Series
	// Meters took part, healthy or not. Limits of others do not apply. Those of the
	// series count as well.
	Meters []string
	// Subjects were to be measured, by meter. Those of the series count as well.
	Subjects map[string][]string
	// Lighthouse is the version of Lighthouse; "" if it is not known. Then no audit may
	// be missing.
	Lighthouse string
	// URL is that of head, before the paths; for budgets that are for some URLs.
	URL string
	// Rounds is how many rounds of head there were, by meter. Those that gave a value
	// count as well.
	Rounds map[string]int
	// Representative is the round that is nearest to the medians, by meter and subject.
	Representative map[string]map[string]int
}

// Check holds the budgets against a run. A limit that somebody wrote takes the place
// of a default one for the same metric. Every written limit is among the results, with
// a value or with the reason why there is none.
func Check(budgets []Budget, run Run) []Checked {
	c := newChecker(budgets, run)
	var all []Checked
	for _, b := range budgets {
		all = append(all, c.check(b)...)
	}
	return all
}

// A checker knows a run by its keys.
type checker struct {
	run      Run
	written  []Budget
	series   map[measure.Key]measure.Series
	subjects map[string][]string // by meter, sorted
	rounds   map[string]map[int]bool
}

func newChecker(budgets []Budget, run Run) *checker {
	c := &checker{run: run, series: map[measure.Key]measure.Series{}, subjects: map[string][]string{}, rounds: map[string]map[int]bool{}}
	for _, b := range budgets {
		if !b.Implied {
			c.written = append(c.written, b)
		}
	}
	for _, meter := range run.Meters {
		c.subjects[meter] = nil
	}
	for meter, subjects := range run.Subjects {
		c.subjects[meter] = append(c.subjects[meter], subjects...)
	}
	for _, s := range run.Series {
		c.series[s.Key] = s
		c.subjects[s.Key.Meter] = append(c.subjects[s.Key.Meter], s.Key.Subject)
		of := s.Key.Meter + "\x00" + s.Key.Subject
		if c.rounds[of] == nil {
			c.rounds[of] = map[int]bool{}
		}
		for _, p := range s.Head {
			c.rounds[of][p.Round] = true
		}
	}
	for _, meter := range slices.Collect(maps.Keys(c.subjects)) {
		slices.Sort(c.subjects[meter])
		c.subjects[meter] = slices.Compact(c.subjects[meter])
	}
	return c
}

// check holds one budget against all subjects that it is for.
func (c *checker) check(b Budget) []Checked {
	if b.Severity == Off {
		return nil
	}
	measured, ok := c.subjects[b.Meter]
	if !ok {
		if b.Implied {
			return nil
		}
		return []Checked{{Budget: b, Key: known(b), NotApplicable: fmt.Sprintf("the meter %s took no part in this run", b.Meter)}}
	}
	var all []Checked
	any := false
	for _, subject := range measured {
		if !c.concerns(b, subject) {
			continue
		}
		any = true
		if !b.Implied || !c.replaced(b, subject) {
			all = append(all, c.hold(b, subject))
		}
	}
	switch {
	case any || b.Implied && len(measured) > 0:
		return all
	case len(measured) == 0:
		return []Checked{{Budget: b, Key: known(b), Missing: fmt.Sprintf("the meter %s gave no value", b.Meter)}}
	}
	return []Checked{{Budget: b, Key: known(b), Missing: "nothing that was measured is " + b.what() + ": " + some(measured)}}
}

// some lists the first few of many.
func some(all []string) string {
	const few = 5
	if len(all) <= few {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:few], ", "), len(all)-few)
}

// known is as much as is known of the key of a budget's series.
func known(b Budget) measure.Key {
	return measure.Key{Meter: b.Meter, Subject: b.Subject, Metric: b.Metric}
}

func (b Budget) what() string {
	if b.URL != "" {
		return fmt.Sprintf("a page whose URL matches %q", b.URL)
	}
	return fmt.Sprintf("%q", b.Subject)
}

// concerns reports whether a budget is for a subject.
func (c *checker) concerns(b Budget, subject string) bool {
	if b.Subject != "" && !matches(b.Subject, subject) {
		return false
	}
	if b.URL == "" {
		return true
	}
	re, err := regexp.Compile(b.URL)
	path, _, _ := strings.Cut(subject, " ")
	return err == nil && re.MatchString(c.run.URL+path)
}

// matches reports whether a text is a pattern's, in which * stands for any text.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, parts[0])
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		_, rest, found := strings.Cut(text, part)
		text, ok = rest, ok && found
	}
	return ok && strings.HasSuffix(text, parts[last])
}

// replaced reports whether somebody wrote a limit for the same metric of a subject.
func (c *checker) replaced(b Budget, subject string) bool {
	return slices.ContainsFunc(c.written, func(w Budget) bool {
		return w.Meter == b.Meter && w.Metric == b.Metric && c.concerns(w, subject)
	})
}

// hold holds a budget against one subject.
func (c *checker) hold(b Budget, subject string) Checked {
	key := measure.Key{Meter: b.Meter, Subject: subject, Metric: b.Metric}
	result := Checked{Budget: b, Key: key}
	s, ok := c.lookup(key)
	if b.Meter == Lighthouse && b.Implied && len(s.Head) == 0 && c.run.Lighthouse != "" && !has(c.run.Lighthouse, auditOf(b.Metric)) {
		if result = c.successor(result); result.NotApplicable != "" {
			return result
		}
		key = result.Key
		s, ok = c.lookup(key)
	}
	result.Metric = s.Metric
	if !ok || len(s.Head) == 0 {
		result.Missing = c.missing(key)
		return result
	}
	limit, err := convert(b.Limit, b.Unit, s.Metric.Unit)
	if err != nil {
		result.Missing = err.Error()
		return result
	}
	result.Limit, result.Unit = limit, s.Metric.Unit
	result.Rounds = len(s.Head)
	if result.Value, result.Missing = c.aggregate(b, s); result.Missing == "" {
		result.Met = b.Operator.Holds(result.Value, limit)
	}
	return result
}

// lookup returns a series. The length of an audit that ran, which its score shows, and
// that lists nothing is 0, as in lighthouse-ci.
func (c *checker) lookup(key measure.Key) (measure.Series, bool) {
	s, ok := c.series[key]
	audit, isLength := strings.CutSuffix(key.Metric, Length)
	if key.Meter != Lighthouse || !isLength {
		return s, ok
	}
	scored := key
	scored.Metric = audit + Score
	ran, did := c.series[scored]
	if !ok && did {
		s = measure.Series{Key: key, Metric: measure.Metric{Name: key.Metric, Title: key.Metric, Unit: measure.Count, Better: measure.Lower}}
	}
	s.Head = slices.Clone(s.Head)
	for _, p := range ran.Head {
		if !slices.ContainsFunc(s.Head, func(have measure.Point) bool { return have.Round == p.Round }) {
			s.Head = append(s.Head, measure.Point{Round: p.Round})
		}
	}
	slices.SortFunc(s.Head, func(a, b measure.Point) int { return a.Round - b.Round })
	return s, ok || did
}

// successor makes a default limit one for the audit that has taken the place of its
// own, or not applicable. A preset has limits for the new audits already.
func (c *checker) successor(result Checked) Checked {
	audit := auditOf(result.Budget.Metric)
	next := successors[audit].successor
	if next == "" || result.From != byDefault || !has(c.run.Lighthouse, next) {
		result.NotApplicable = lacks(c.run.Lighthouse, audit)
		return result
	}
	result.Note = fmt.Sprintf("%s stands in for %s, which Lighthouse %s does not have", next, audit, c.run.Lighthouse)
	result.Key.Metric = next + strings.TrimPrefix(result.Budget.Metric, audit)
	return result
}

// roundsOf returns the number of rounds of head.
func (c *checker) roundsOf(key measure.Key) int {
	return max(len(c.rounds[key.Meter+"\x00"+key.Subject]), c.run.Rounds[key.Meter])
}

// missing says why a series has no value.
func (c *checker) missing(key measure.Key) string {
	rounds := c.roundsOf(key)
	switch {
	case len(c.rounds[key.Meter+"\x00"+key.Subject]) == 0:
		return fmt.Sprintf("no round of %s %s gave a value", key.Meter, key.Subject)
	case key.Meter != Lighthouse || c.run.Lighthouse == "":
		return fmt.Sprintf("%s of %s %s gave no value of %s", plain.Count(rounds, "round"), key.Meter, key.Subject, key.Metric)
	case !has(c.run.Lighthouse, auditOf(key.Metric)):
		return lacks(c.run.Lighthouse, auditOf(key.Metric))
	}
	return fmt.Sprintf("Lighthouse %s should give a value of %s, and gave none in %s", c.run.Lighthouse, key.Metric, plain.Count(rounds, "round"))
}

// aggregate returns the value that is held against the limit, or why there is none.
func (c *checker) aggregate(b Budget, s measure.Series) (value float64, missing string) {
	values := measure.Values(s.Head)
	if slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
		return 0, "a value is not a number"
	}
	switch b.Aggregation {
	case Median, "":
		return measure.Median(values), ""
	case Optimistic:
		return extreme(values, b.Operator.above()), ""
	case Pessimistic:
		if all := c.roundsOf(s.Key); len(values) < all {
			return 0, fmt.Sprintf("%s of %d gave no value, and %s takes the worst of all", plain.Count(all-len(values), "round"), all, b.Aggregation)
		}
		return extreme(values, !b.Operator.above()), ""
	case MedianRun:
		round, ok := c.run.Representative[s.Key.Meter][s.Key.Subject]
		if !ok {
			return 0, "no round is known to be the representative one"
		}
		if i := slices.IndexFunc(s.Head, func(p measure.Point) bool { return p.Round == round }); i >= 0 {
			return s.Head[i].Value, ""
		}
		return 0, fmt.Sprintf("round %d, the representative one, gave no value", round+1)
	}
	return 0, fmt.Sprintf("%q is no aggregation", b.Aggregation)
}

func extreme(values []float64, largest bool) float64 {
	if largest {
		return slices.Max(values)
	}
	return slices.Min(values)
}
