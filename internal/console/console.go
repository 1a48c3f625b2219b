package console

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Console tells observers what happens while it happens, and keeps what it
// told for the report. It may be used from several goroutines.
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

// A Message is one thing that was told.
type Message struct {
	At   time.Time
	Text string
}

// Start begins to tell the observers. Every text passes redact first, since a
// live view writes to the terminal by itself. annotate may take a warning in
// place of the observers; it is nil where nobody does. End it with Close.
func Start(redact func(string) string, annotate func(warning string) bool, observers ...Observer) *Console {
	c := &Console{redact: redact, annotate: annotate, observers: observers, stop: make(chan struct{}), done: make(chan struct{})}
	go c.tick()
	return c
}

// Close ends the ticking.
func (c *Console) Close() {
	close(c.stop)
	<-c.done
}

// tick tells the observers once a second how things are, so that a wait is seen
// to go on.
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

// show gives an event to all observers; c.mu is held.
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

// Await shows what is awaited and until when.
func (c *Console) Await(what string, until time.Time) {
	c.Show(Event{Kind: KindWait, Await: what, Until: until})
}

// Watch makes f say once a second how things are, nil for nothing. f is called
// with the console locked and must not use it.
func (c *Console) Watch(f func() Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = f
}

// End says that no more events come.
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

// Printer makes a writer of a function that prints a line.
func Printer(print func(line string)) io.Writer { return printer{print} }

type printer struct{ print func(string) }

// Write implements io.Writer: each write is some lines.
func (p printer) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		p.print(strings.TrimRight(line, "\n"))
	}
	return len(b), nil
}
