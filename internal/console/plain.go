package console

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// heartbeat is the maximum time between lines during a wait.
const heartbeat = 5 * time.Second

// A Plain writes lines for a log: one group per step, a line per change, and
// during a wait at least one line every 5 s with the condition and the
// deadline. Every line starts with the time since the start, so no line is a
// workflow command.
type Plain struct {
	out        io.Writer
	group      func(string)
	endGroup   func()
	m          model
	open       bool // whether a group is open
	last       time.Time
	lastFailed time.Time
}

// NewPlain returns a Plain. group and endGroup may be nil; they then write the
// title as a line, and nothing.
func NewPlain(out io.Writer, group func(title string), endGroup func()) *Plain {
	p := &Plain{out: out, group: group, endGroup: endGroup, m: newModel(false)}
	if group == nil {
		p.group = p.line
	}
	if endGroup == nil {
		p.endGroup = func() {}
	}
	return p
}

// Observe implements Observer.
func (p *Plain) Observe(e Event) {
	was := p.m
	p.m = p.m.apply(e)
	switch e.Kind {
	case KindStart:
		p.line(p.m.title)
	case KindStep:
		p.close()
		what := cmp.Or(clean(e.Message), fmt.Sprintf("%d %% to the canary", p.m.planned))
		p.group(fmt.Sprintf("Step %d of %d: %s", p.m.step, p.m.steps, what))
		p.open = true
		p.last = p.m.now
	case KindWeight:
		p.line(fmt.Sprintf("writing weight %d", p.m.weight))
	case KindWait:
		if p.m.await != was.await || !p.m.until.Equal(was.until) {
			p.say(p.m.awaiting())
		}
	case KindState:
		p.changed(was)
	case KindMessage, KindVerdict:
		p.line(p.m.messages[len(p.m.messages)-1].text)
	case KindWarning:
		p.line("warning: " + p.m.messages[len(p.m.messages)-1].text)
	case KindTick:
	}
	if p.m.now.Sub(p.last) >= heartbeat && p.m.await != "" {
		p.beat()
	}
}

// End implements Observer.
func (p *Plain) End() {
	if n := p.m.numbers(); n != "" && p.m.now.After(p.last) {
		p.line(n)
	}
	p.close()
}

func (p *Plain) close() {
	if p.open {
		p.endGroup()
		p.open = false
	}
}

// changed reports pods that changed, and failed requests, at most once a
// second.
func (p *Plain) changed(was model) {
	for _, pod := range p.m.pods {
		i := slices.IndexFunc(was.pods, func(o Pod) bool { return o.Name == pod.Name })
		if i < 0 || was.pods[i] != pod {
			p.line(fmt.Sprintf("pod %s (%s): %s", pod.Name, pod.Side, pod.status()))
		}
	}
	for _, pod := range was.pods {
		if !slices.ContainsFunc(p.m.pods, func(o Pod) bool { return o.Name == pod.Name }) {
			p.line(fmt.Sprintf("pod %s (%s): gone", pod.Name, pod.Side))
		}
	}
	failed := func(m model) int64 { return m.stable.Failed + m.canary.Failed + m.unattributed.Failed }
	if failed(p.m) > failed(was) && p.m.now.Sub(p.lastFailed) >= time.Second {
		p.lastFailed = p.m.now
		p.line(p.m.numbers())
	}
}

func (p *Plain) beat() {
	s := p.m.awaiting()
	if n := p.m.numbers(); n != "" {
		s += "; " + n
	}
	p.line(s)
}

func (p *Plain) say(s string) {
	if s != "" {
		p.line(s)
	}
}

func (p *Plain) line(s string) {
	p.last = p.m.now
	// An error writing the log must not stop a rollout.
	_, _ = fmt.Fprintf(p.out, "%7s  %s\n", short(p.m.now.Sub(p.m.started)), s)
}
