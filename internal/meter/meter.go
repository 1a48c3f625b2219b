// Package meter has the contract of what measures performance.
//
// A meter is a [Program], an adapter of an outside tool, or a [Check] of our own. An
// adapter says which commands to run and reads what they wrote. One package,
// perf/measuring, runs the rounds, base and head in turn, and decides about each
// meter's health.
package meter

import (
	"context"
	"net/http"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
)

// About describes a meter.
type About struct {
	Name string // "lighthouse", unique
	Does string // a few words for reports: "Lighthouse audits of pages"
	// Tools are names in the lock file of tools; none for a check of our own.
	Tools   []string
	Browser bool // it needs Chromium: Job.Chromium
	Network bool
	Memory  int64         // limit of one command, bytes
	Time    time.Duration // limit of one round beyond the load's duration
	// Once says that one round per side is enough without a base: load, bundles.
	Once bool
	// Single says that one round per side is enough always: its values do not vary, or
	// it reads all of them at once, several of one key among them.
	Single bool
	// OwnBase says that it has the base's values itself, without a URL or a workspace of
	// the base.
	OwnBase bool
	// Last says that it looks at what the other meters of the round caused: server
	// timing.
	Last bool
	// ByURL says that it measures Job.URL, and compares with Job.URL of the base;
	// otherwise it looks at the side's Workspace.
	ByURL bool
}

// A Meter measures.
type Meter interface {
	About() About
	// Applies reports whether there is something for it here, and what, or why not: "2
	// pages on 2 devices", "no URL".
	Applies(Job) (bool, string)
	// Problems are wrong settings and inputs of its own, before anything runs.
	Problems(Job) []error
}

// A Program is a meter that is a program of others.
type Program interface {
	Meter
	// Commands returns what to run for one round of one side, in order.
	Commands(Job) ([]isolate.Command, error)
	// Read reads what one of the commands printed and wrote below Job.Scratch. An
	// error says that it is not a whole report of the tool, whatever its exit status.
	Read(Job, isolate.Command, isolate.Ran) (Reading, error)
}

// A Check is a meter of our own.
type Check interface {
	Meter
	Measure(context.Context, Job) (Reading, error)
}

// A Chooser knows which of its rounds is nearest to the medians.
type Chooser interface {
	// Representative returns the round, for each subject of head's series.
	Representative([]measure.Series) map[string]int
}

// A Device is what a page is measured on.
type Device string

// Devices.
const (
	Desktop Device = "desktop"
	Mobile  Device = "mobile"
)

// A Job is one round of one side.
type Job struct {
	Side    measure.Side
	Round   int      // from 0
	Rounds  int      // of this side in the run
	URL     string   // of the side, without a slash at its end; "" for none
	Pages   []string // paths, "/" and such
	Devices []Device
	// Header is sent to the URL's own origin alone: a protected preview's. It is secret.
	Header    http.Header
	Workspace string // the checkout of the side, absolute; read-only for programs
	Scratch   string // a folder of this round, empty at the start; Reading.Files are below it
	Cache     string // a folder that lasts
	Chromium  string // absolute path
	Tools     map[string]Tool
	Load      Load
	Began     time.Time // of the round, for meters that are Last
	Now       func() time.Time
	Getenv    func(string) string
	// Settings are per meter, from the inputs: "journeys", "go-packages", ...
	Settings map[string]string
}

// A Tool is an installed program, verified.
type Tool struct {
	Command []string // the program's absolute path, and arguments that come before all others
	Version string
	Reads   []string // folders that belong to it
	Env     []string
}

// A Load is what load to make.
type Load struct {
	Scenarios []string      // basic, load, stress, spike, sustained, or a script's path
	Duration  time.Duration // of one scenario in one round; 0 is the scenario's own
	Parts     int           // into which the scenario's own duration is divided, 10 s at least; 0 for one
	Users     int           // virtual users; 0 is the scenario's own
	P95, P99  time.Duration // limits
	Errors    float64       // share of requests that may fail
	Rate      float64       // requests per second at least, of sustained
}

// A Value is one measured value.
type Value struct {
	Subject string
	Metric  measure.Metric
	Value   float64 // finite
}

// A Gap is a value that should be there and is not.
type Gap struct {
	Subject, Metric string
	Why             string // what was observed: "the report has no audit speed-index"
	// Needed says that nobody can do without it: the meter's values are not whole, even
	// if no other subject has it and no limit is for it.
	Needed bool
}

// A File is written for people, below Job.Scratch.
type File struct {
	Subject, What string
	Path          string // absolute
}

// A Reading is what one command of one round gave.
type Reading struct {
	Values     []Value
	Gaps       []Gap
	Assertions []verdict.Assertion // Meter and Round are filled in by the caller
	Files      []File
	Versions   map[string]string // what the tool says of itself: lighthouse, chrome
	// Doubts are reasons not to believe the values: "132 iterations were dropped". Each
	// makes the run inconclusive.
	Doubts []string
	Notes  []string // are shown and change nothing
}
