// Package verdict decides what a security scan says: pass, refused or
// inconclusive. It is pure: the findings, the health of each tool and the policy
// go in, one [Result] comes out, and every view is made from that alone.
//
// A scan that did not see what its level must see is inconclusive, never a pass:
// see [Need]. A refusal needs no whole scan: what was found was found.
package verdict

import (
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
)

// A Verdict is what a scan says.
type Verdict string

// The verdicts. Refused and Inconclusive have the same exit status, that of a gate
// that said no, and different words everywhere.
const (
	Pass         Verdict = "pass"
	Refused      Verdict = "refused"
	Inconclusive Verdict = "inconclusive"
)

// A Level says how deep a scan is.
type Level string

// Levels.
const (
	Quick    Level = "quick"
	Standard Level = "standard"
	Deep     Level = "deep"
)

// A Health is whether a tool's result can be believed.
type Health string

// Healths. All but the first two make a need of the level unmet, if no other
// tool meets it. Whether something here is for a tool is asked first: a tool that
// is left out or missing has something to do here.
const (
	Healthy       Health = "healthy"
	NotApplicable Health = "not applicable" // nothing here is for it
	LeftOut       Health = "left out"       // not in the level, or the user said so
	Missing       Health = "missing"        // not installed
	WrongChecksum Health = "wrong checksum" // not the file of the lock
	Denied        Health = "denied"         // a version known to be bad
	Crashed       Health = "crashed"
	TimedOut      Health = "timed out"
	Unreadable    Health = "unreadable" // no whole report
	Stale         Health = "stale"      // its database is too old
	Partial       Health = "partial"    // it did not see all
	Blind         Health = "blind"      // it did not find what was planted
)

// Coverage is how much was looked at. -1 is not known.
type Coverage struct {
	Files, FilesExpected       int
	Commits, CommitsExpected   int
	Packages, PackagesExpected int
}

// Unknown is the Coverage of a tool that does not say.
func Unknown() Coverage { return Coverage{-1, -1, -1, -1, -1, -1} }

// A Tool is one scanner's part of a scan.
type Tool struct {
	Name     string
	Does     string // in a few words
	Class    finding.Class
	Version  string
	Database time.Time // of its data; zero if it has none
	Health   Health
	Why      string // of the health, for people: what was observed
	Hint     string // what to type or set about it; "" for nothing
	Coverage Coverage
	Found    int      // sightings
	Planted  string   // "found", "not found", or why nothing was planted
	Isolated []string // what of the isolation was in place
	Notes    []string
	Took     time.Duration
}

// A Need is something that a level must contain. One healthy tool of Tools meets
// it; one to which nothing applies meets it too if none of them applies.
type Need struct {
	What  string   // "secrets in commits"
	Tools []string // any one of them
	// Exact are the tools that apply just where there is something to look at: if
	// none of them applies, nothing here is for the need, although another tool has
	// something to do here. Empty: all of Tools.
	Exact []string
}

// An Answered need is a Need with what the scan had for it.
type Answered struct {
	Need
	Met bool
	By  string // the tool that met it, or "nothing here is for it"
	Why string // why it is not met: each tool and its health
}

// A Reason is why a verdict is what it is.
type Reason struct {
	Text string   // a sentence
	IDs  []string // of the findings that it is about
}

// A Result is all that a scan says.
type Result struct {
	Verdict  Verdict
	Reasons  []Reason // the gravest first; of a pass too
	Level    Level
	Whole    bool // all that the level must contain was seen; if not, Score is an upper bound
	Policy   Policy
	Spent    []Spent // each budget and what counts against it
	OnlyNew  bool    // existing findings do not count
	Compared string  // what the baseline is: "the base abc1234 of the pull request"; "" for none
	Score    int     // of 100, see Score
	Band     Band
	// Findings are what was found now, worst first; waived ones are among them.
	Findings []finding.Finding
	Fixed    []finding.Finding // in the baseline and not found now
	Tools    []Tool            // by name
	Needs    []Answered
	Waivers  Waivers
	Speed    Speed
	Place    Place
	At       time.Time
	Took     time.Duration
}

// A Place is what was scanned.
type Place struct {
	Repository string // owner/name; "" if not known
	Commit     string
	Ref        string
	Commits    int // in the scanned range
	Files      int
	AllCommits bool     // the range is all of the history, and the clone has it
	Images     []string // that were scanned
	Hosts      []string // that were asked
}

// A Band is the word for a score, as the seed has it.
type Band struct {
	Status string // excellent, good, needs-attention, critical
	Emoji  string
	Colour string // of Slack: good, warning, danger
}

// Waivers are what the file of waivers needs people for.
type Waivers struct {
	Expired, Unused, Soon, Refused []WaiverNote
}

// A WaiverNote is about one waiver.
type WaiverNote struct {
	Name    string // file and line
	What    string // its id or fingerprint
	Owner   string
	Expires time.Time
	Why     string   // a sentence
	IDs     []string // of the findings that it is about; none for an unused one
}

// Speed says how fast problems were detected after they became known.
type Speed struct {
	Within  int // findings that were first seen within 24 hours after publication
	Dated   int // findings with a known time of publication
	Undated int
}
