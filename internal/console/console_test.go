package console

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// heard records the events of an observer.
type heard struct {
	mu     sync.Mutex
	events []Event
	ended  bool
}

func (h *heard) Observe(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *heard) End() { h.ended = true }

func (h *heard) kinds() (kinds []Kind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func TestAConsoleTellsAndKeeps(t *testing.T) {
	t.Parallel()
	h := &heard{}
	c := Start(func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }, nil, h)
	defer c.Close()
	c.Logf("the key is %s", "hunter2")
	c.Await("the pods", time.Time{})
	c.Warn("careful")
	c.End()
	if h.events[0].Message != "the key is ***" || h.events[1].Await != "the pods" || h.events[2].Kind != KindWarning || !h.ended {
		t.Errorf("told %+v, ended %t", h.events, h.ended)
	}
	m := c.Messages()
	if len(m) != 2 || m[1].Text != "waiting for the pods" || len(c.Warnings()) != 1 {
		t.Errorf("kept %+v and %q", m, c.Warnings())
	}
}

func TestAnAnnotatedWarningIsNotShownTwice(t *testing.T) {
	t.Parallel()
	h, annotated := &heard{}, ""
	c := Start(func(s string) string { return s }, func(w string) bool { annotated = w; return true }, h)
	defer c.Close()
	c.Warn("careful")
	if annotated != "careful" || len(h.events) != 0 || len(c.Warnings()) != 1 {
		t.Errorf("annotated %q, told %+v, kept %q", annotated, h.events, c.Warnings())
	}
}

func TestAConsoleTicks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heard{}
		c := Start(func(s string) string { return s }, nil, h)
		c.Watch(func() Event { return Event{Kind: KindState, Share: .5} })
		time.Sleep(1500 * time.Millisecond)
		c.Watch(nil)
		time.Sleep(time.Second)
		c.Close()
		got := h.kinds()
		want := []Kind{KindState, KindTick, KindTick}
		if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("told %q in 2.5 s, want %q", got, want)
		}
	})
}
