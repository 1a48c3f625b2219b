// Package verdict decides what a performance run says: pass, refused or inconclusive.
// It is pure: measurements, budgets, comparisons and the health of each meter go in,
// one [Result] comes out, and every view is made from that alone.
package verdict

import (
	"time"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/history"
)

// A Verdict is what a run says.
type Verdict string

// The verdicts. Refused and Inconclusive have the same exit status, that of a gate
// that said no, and different words everywhere. Something refused is refused although
// something else could not be measured.
const (
	Pass         Verdict = "pass"
	Refused      Verdict = "refused"
	Inconclusive Verdict = "inconclusive"
)

// A Health is whether a meter's values can be believed.
type Health string

// Healths. NotApplicable and LeftOut are no doubt: nothing was asked of the meter.
const (
	Healthy       Health = "healthy"
	NotApplicable Health = "not applicable"
	LeftOut       Health = "left out"
	Missing       Health = "missing" // its program is not installed
	WrongChecksum Health = "wrong checksum"
	Denied        Health = "denied"
	Crashed       Health = "crashed"
	TimedOut      Health = "timed out"
	OutOfMemory   Health = "out of memory"
	Unreadable    Health = "unreadable" // no whole report
	Partial       Health = "partial"    // a doubt of its own: dropped iterations, no samples
)

// A Meter is one meter's part of a run.
type Meter struct {
	Name     string
	Does     string // in a few words
	Versions map[string]string
	Health   Health
	Why      string // of the health, for people: what was observed
	Hint     string // what to type or set about it; "" for nothing
	Rounds   int    // that ended, of head
	Notes    []string
	Isolated []string // what of the isolation was in place
	Took     time.Duration
}

// An Assertion is what a tool itself found right or wrong: a threshold in a k6 script,
// a step of a user journey.
type Assertion struct {
	Meter, Subject string
	Text           string // "http_req_duration: p(95)<2000", "step 3: click Buy"
	Round          int
	Holds          bool
	Why            string // what was observed, if it does not hold
}

// A File is kept for people.
type File struct {
	Meter, Subject string
	Side           measure.Side
	Round          int
	What           string // "Lighthouse report", "trace", "screenshot"
	Path           string // relative to the report folder, with slashes
	Representative bool   // the round that is nearest to the medians
}

// A Reason is why a verdict is what it is.
type Reason struct {
	Text string // a sentence
	Keys []measure.Key
}

// A Policy says what a verdict follows from.
type Policy struct {
	Rule compare.Rule
	// Data says whether a comparison with the base without enough data makes the run
	// inconclusive.
	Data bool
	// Baseline says whether having nothing to compare with does, or too few earlier runs.
	Baseline bool
	Optional []string // meters without which a run can pass
}

// A Result is all that a run says.
type Result struct {
	Verdict     Verdict
	Reasons     []Reason // the gravest first; of a pass too
	Policy      Policy
	Environment measure.Environment `record:"measured_in"` // a record has "environment" for Target
	Target      string              // the deployment environment: staging
	URL         string              // that was measured; "" for none
	BaseURL     string
	Series      []measure.Series // by key
	Budgets     []budget.Checked
	Comparisons []compare.Comparison // what is worse first
	// Compared says what head was compared with, in a few words for each: "base
	// abc1234, 5 rounds each, interleaved".
	Compared   []string
	Assertions []Assertion
	Meters     []Meter // by name
	Files      []File
	// History has the runs of this environment before this one, oldest first, and the
	// anchor, for charts.
	History    history.Environment
	Repository string
	Commit     string
	Ref        string
	Link       string // to the job
	At         time.Time
	Took       time.Duration
	// Own is the part of Took in which nothing was measured: our own work.
	Own time.Duration
}
