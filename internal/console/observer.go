// Package console shows the progress of a rollout: as lines in a log, or as a
// live view in a terminal.
//
// Both are Observers of the same Events, which contain all they show, such as
// the current wait and its deadline. Observers have no clock: a Console sends
// them events, and a KindTick once a second while nothing else happens, for
// remaining times and heartbeats. Text in events is untrusted; no part of it
// reaches a terminal or a runner as a command.
package console

import (
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// An Observer receives events. Its methods must return quickly; one goroutine
// at a time calls them.
type Observer interface {
	Observe(Event)
	// End says that no more events follow. The last view stays.
	End()
}

// A Kind is the type of an Event; it determines the fields in use, beside At.
type Kind string

// The kinds of events.
const (
	KindStart   Kind = "start"   // Message: the task; Steps
	KindStep    Kind = "step"    // Step of Steps starts; Weight is planned, not yet written; Message says what it is, if no weight
	KindWeight  Kind = "weight"  // Weight is being written
	KindWait    Kind = "wait"    // Await, Until
	KindState   Kind = "state"   // Pods, Stable, Canary, Unattributed, Share
	KindMessage Kind = "message" // Message
	KindWarning Kind = "warning" // Message
	KindVerdict Kind = "verdict" // Message: the verdict and its reason; Good
	KindTick    Kind = "tick"    // time has passed
)

// An Event is an event of a run, or its state at one time.
type Event struct {
	At          time.Time
	Kind        Kind
	Step, Steps int // counted from 1
	Weight      int // percent to the canary
	Message     string
	Good        bool // the verdict lets the rollout go on
	// Await completes "waiting for"; "" for no wait. Until is the deadline; zero
	// for none.
	Await string
	Until time.Time
	Pods  []Pod
	// Counts of the current step by who answered.
	Stable, Canary, Unattributed Stats
	// Share of the canary in the answers, 0..1; negative when not measured.
	Share float64
}

// A Pod is one pod for display.
type Pod struct {
	Name     string
	Side     rollout.Side
	Ready    bool
	Restarts int
	Reason   string // why it is not ready
}

// Stats are the counts and latencies of one side.
type Stats struct {
	Total, Failed int64
	P50, P95      time.Duration
}

// Options configure where events are shown.
type Options struct {
	Out    io.Writer
	Getenv func(string) string // for NO_COLOR and TERM
	// Width returns the width of the terminal in columns, 0 if Out is not a
	// terminal. Live calls it before every redraw.
	Width func() int
	// Group and EndGroup start and end a foldable part of a log. They may be nil.
	Group    func(title string)
	EndGroup func()
}

// New returns a Live if Out is a capable terminal, else a Plain.
func New(o Options) Observer {
	if o.Width == nil || o.Width() <= 0 || o.Getenv("TERM") == "dumb" || o.Getenv("GITHUB_ACTIONS") != "" {
		return NewPlain(o.Out, o.Group, o.EndGroup)
	}
	return NewLive(o.Out, o.Width, o.Getenv("NO_COLOR") == "")
}

// IsTerminal reports whether f is a terminal, also one that does not know its width.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// TerminalWidth returns a Width for f.
func TerminalWidth(f *os.File) func() int {
	return func() int {
		w, _, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0
		}
		return w
	}
}

// recent is the number of messages that a model keeps.
const recent = 5

// A model is the state of a run, built from events. It is immutable: apply
// returns the next one.
type model struct {
	started, now                 time.Time
	title                        string
	step, steps, weight          int
	planned                      int // weight of the step, before it is written
	await                        string
	until                        time.Time
	pods                         []Pod
	stable, canary, unattributed Stats
	share                        float64
	messages                     []line
	ended                        bool
	color                        bool
}

type line struct {
	at   time.Time
	text string
	kind Kind
	good bool
}

func newModel(color bool) model { return model{share: -1, color: color} }

// apply returns m after e.
func (m model) apply(e Event) model {
	if m.started.IsZero() {
		m.started = e.At
	}
	if e.At.After(m.now) {
		m.now = e.At
	}
	switch e.Kind {
	case KindStart:
		m.title, m.steps = clean(e.Message), e.Steps
	case KindStep:
		m.step, m.steps, m.planned = e.Step, e.Steps, e.Weight
		m.stable, m.canary, m.unattributed, m.share = Stats{}, Stats{}, Stats{}, -1
	case KindWeight:
		m.weight = e.Weight
	case KindWait:
		m.await, m.until = clean(e.Await), e.Until
	case KindState:
		m.pods = slices.Clone(e.Pods)
		for i, p := range m.pods {
			m.pods[i].Name, m.pods[i].Side, m.pods[i].Reason = clean(p.Name), rollout.Side(clean(string(p.Side))), clean(p.Reason)
		}
		m.stable, m.canary, m.unattributed, m.share = e.Stable, e.Canary, e.Unattributed, e.Share
	case KindMessage, KindWarning, KindVerdict:
		m.messages = append(slices.Clone(m.messages), line{e.At, clean(e.Message), e.Kind, e.Good})
		m.messages = m.messages[max(0, len(m.messages)-recent):]
	case KindTick:
	}
	return m
}

// clean removes control sequences and breaks up the runner's command marker.
func clean(s string) string {
	return strings.ReplaceAll(report.Plain(s), "##[", "## [")
}
