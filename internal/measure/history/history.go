// Package history keeps the results of earlier runs without a server: one file, in
// which every environment has its own runs and a pinned anchor. It is pure; what
// stores the file is elsewhere.
//
// The runs of an environment are its newest 50, whatever their verdict: a baseline
// that stops at a red run would freeze. Only those that passed are compared with.
package history

import (
	"time"

	"github.com/candlefish/deploy-action/internal/measure"
)

// Kept is how many runs of an environment a file keeps.
const Kept = 50

// Version is that of the file's format.
const Version = 1

// A File is the baseline of a repository and deployment environment.
type File struct {
	Version      int           `json:"version"`
	Environments []Environment `json:"environments"`
}

// An Environment has the runs of one measure.Environment.
type Environment struct {
	Key         string              `json:"key"`
	Environment measure.Environment `json:"environment"`
	// Anchor is the run against which slow drift is measured; nil if none is pinned.
	Anchor *Run `json:"anchor,omitempty"`
	// PinnedAt is when the anchor was last pinned or unpinned; zero for never.
	PinnedAt time.Time `json:"pinned_at,omitzero"`
	Runs     []Run     `json:"runs"` // oldest first, at most Kept
}

// A Run is one job.
type Run struct {
	At     time.Time `json:"at"`
	Commit string    `json:"commit"`
	Link   string    `json:"link,omitempty"` // to the job
	// Verdict of the run. A run that was not a pass is shown in charts, and nothing is
	// compared with it.
	Verdict string  `json:"verdict"`
	Values  []Value `json:"values"` // by key
}

// A Value is the median of one series in one run.
type Value struct {
	Meter   string         `json:"meter"`
	Subject string         `json:"subject"`
	Metric  string         `json:"metric"`
	Unit    measure.Unit   `json:"unit"`
	Better  measure.Better `json:"better"`
	Median  float64        `json:"median"`
	Rounds  int            `json:"rounds"`
}
