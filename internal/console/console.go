package console

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Console passes events to observers and keeps the messages for the report.
// It is safe for concurrent use.
type Console struct {
	redact   func(string) string
	annotate func(warning string) bool
	stop     chan struct{}
	done     chan struct{}

	mu        sync.Mutex
	observers []Observer
	warnings  []string
	messages  []Message
	state     func() Event
}

// A Message is one line shown to the user.
type Message struct {
	At   time.Time
	Text string
}

// Start starts a Console. It redacts every text itself, because a live view
// writes directly to the terminal. annotate, if not nil, may take a warning in
// place of the observers. End the Console with Close.
func Start(redact func(string) string, annotate func(warning string) bool, observers ...Observer) *Console {
	c := &Console{redact: redact, annotate: annotate, observers: observers, stop: make(chan struct{}), done: make(chan struct{})}
	go c.tick()
	return c
}

// Close stops the ticks.
func (c *Console) Close() {
	close(c.stop)
	<-c.done
}

// tick shows the current state once a second, so a wait shows progress.
func (c *Console) tick() {
	defer close(c.done)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
		}
		c.mu.Lock()
		if c.state != nil {
			c.show(c.state())
		}
		c.show(Event{Kind: KindTick})
		c.mu.Unlock()
	}
}

// show passes an event to all observers; the caller holds c.mu.
func (c *Console) show(e Event) {
	e.At = time.Now()
	e.Message, e.Await = c.redact(e.Message), c.redact(e.Await)
	for i := range e.Pods {
		e.Pods[i].Reason = c.redact(e.Pods[i].Reason)
	}
	for _, o := range c.observers {
		o.Observe(e)
	}
}

// Show shows an event and keeps its message for the report.
func (c *Console) Show(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := e.Message
	if e.Kind == KindWait && e.Await != "" {
		text = "waiting for " + e.Await
	}
	if text != "" {
		c.messages = append(c.messages, Message{At: time.Now().UTC(), Text: text})
	}
	c.show(e)
}

// Logf shows a message.
func (c *Console) Logf(format string, args ...any) {
	c.Show(Event{Kind: KindMessage, Message: fmt.Sprintf(format, args...)})
}

// Warn shows a warning and keeps it for the report.
func (c *Console) Warn(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warnings = append(c.warnings, text)
	if c.annotate == nil || !c.annotate(text) {
		c.show(Event{Kind: KindWarning, Message: text})
	}
}

// Await shows a wait and its deadline.
func (c *Console) Await(what string, until time.Time) {
	c.Show(Event{Kind: KindWait, Await: what, Until: until})
}

// Watch sets the function that returns the current state once a second; nil for
// none. The Console calls f while locked: f must not use it.
func (c *Console) Watch(f func() Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = f
}

// End ends the observers: no more events follow.
func (c *Console) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = nil
	for _, o := range c.observers {
		o.End()
	}
}

// Warnings returns the warnings so far.
func (c *Console) Warnings() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.warnings)
}

// Messages returns the messages so far.
func (c *Console) Messages() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.messages)
}

// Printer returns a writer that calls print for every line.
func Printer(print func(line string)) io.Writer { return printer{print} }

type printer struct{ print func(string) }

// Write implements io.Writer. Each write consists of whole lines.
func (p printer) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		p.print(strings.TrimRight(line, "\n"))
	}
	return len(b), nil
}
