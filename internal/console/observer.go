// Package console shows a rollout to the people who watch it: as lines in a log, or
// as one picture in a terminal that is kept up to date.
//
// Both are Observers of the same Events, and neither asks for anything: what is
// awaited and until when is in the event. Observers have no clock: a Console
// feeds them, with a KindTick once a second while nothing else happens, so that
// remaining times and heartbeats go on. Text in events may come from anywhere;
// nothing in it reaches a terminal or a runner as a command.
package console

import (
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// An Observer is told what happens. Its methods return soon and are called from
// one goroutine at a time.
type Observer interface {
	Observe(Event)
	// End says that no more events come. What was shown last stays.
	End()
}

// A Kind says which fields of an Event matter, beside At.
type Kind string

// The kinds of events.
const (
	KindStart   Kind = "start"   // Message: what is being done; Steps
	KindStep    Kind = "step"    // Step of Steps begins; Weight is planned, not yet written
	KindWeight  Kind = "weight"  // Weight was written
	KindWait    Kind = "wait"    // Await, Until
	KindState   Kind = "state"   // Pods, Stable, Canary, Unattributed, Share
	KindMessage Kind = "message" // Message
	KindWarning Kind = "warning" // Message
	KindVerdict Kind = "verdict" // Message: the verdict and its reason; Good
	KindTick    Kind = "tick"    // time has passed
)

// An Event is one thing that happened in a run, or its state at one time.
type Event struct {
	At          time.Time
	Kind        Kind
	Step, Steps int // counted from 1
	Weight      int // percent to the canary
	Message     string
	Good        bool // the verdict lets the rollout go on
	// Await says what is awaited, to follow "waiting for"; empty when
	// nothing is. Until is its deadline; zero when there is none.
	Await string
	Until time.Time
	Pods  []Pod
	// Counts of the current step by who answered.
	Stable, Canary, Unattributed Stats
	// Share of the canary in the answers, 0..1; negative when not measured.
	Share float64
}

// A Pod is one pod as people want to see it.
type Pod struct {
	Name     string
	Side     rollout.Side
	Ready    bool
	Restarts int
	Reason   string // why it is not ready
}

// Stats are what one side did.
type Stats struct {
	Total, Failed int64
	P50, P95      time.Duration
}

// Options say where to show events.
type Options struct {
	Out    io.Writer
	Getenv func(string) string // for NO_COLOR and TERM
	// Width returns the width of the terminal in columns, 0 when Out is
	// none. It is asked before every redraw.
	Width func() int
	// Group and EndGroup begin and end a foldable part of a log. They may
	// be nil.
	Group    func(title string)
	EndGroup func()
}

// New returns a Live for a terminal that can show one, else a Plain.
func New(o Options) Observer {
	if o.Width == nil || o.Width() <= 0 || o.Getenv("TERM") == "dumb" || o.Getenv("GITHUB_ACTIONS") != "" {
		return NewPlain(o.Out, o.Group, o.EndGroup)
	}
	return NewLive(o.Out, o.Width, o.Getenv("NO_COLOR") == "")
}

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

// recent is how many messages a model keeps.
const recent = 5

// A model is the state of a run as far as events told it. It is a value: apply
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

// clean drops what could steer a terminal, and takes the runner's mark for a
// command apart.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029,
			r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
	return strings.ReplaceAll(s, "##[", "## [")
}
