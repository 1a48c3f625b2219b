package scanning

import (
	"sync"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// A slow scan says what it waits for, until it ends.
func TestASlowScanSaysWhatRuns(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	at, ticks, told, goOn := now, make(chan time.Time), make(chan []Running), make(chan struct{})
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return at
	}
	slow := finds()
	started := make(chan struct{}, 2)
	read := slow.read
	slow.read = func(j scanner.Job, r isolate.Ran) (scanner.Report, error) {
		started <- struct{}{}
		<-goOn
		return read(j, r)
	}
	s := scanOf(t, slow)
	s.Now, s.Waiting = clock, func(all []Running) { told <- all }
	s.After = func(d time.Duration) <-chan time.Time {
		if d != Between {
			t.Errorf("it waits %v, want %v", d, Between)
		}
		return ticks
	}
	s.Progress = func(t verdict.Tool) { told <- nil }
	done := make(chan []Seen)
	go func() { done <- s.Run(t.Context()) }()
	<-started
	for _, passed := range []time.Duration{5 * time.Second, 10 * time.Second} {
		mu.Lock()
		at = now.Add(passed)
		mu.Unlock()
		ticks <- at
		if got := <-told; len(got) != 1 || got[0] != (Running{Name: "probe", For: passed}) {
			t.Errorf("after %v: %+v", passed, got)
		}
	}
	close(goOn)
	if got := <-told; got != nil {
		t.Errorf("at the end: %+v", got)
	}
	if seen := <-done; seen[0].Tool.Health != verdict.Healthy {
		t.Errorf("%+v", seen[0].Tool)
	}
}

func TestReasonsLeaveOutTheToolsName(t *testing.T) {
	t.Parallel()
	if got := withoutName("npm audit: it could not audit", "npm-audit"); got != "it could not audit" {
		t.Errorf("with its name: %q", got)
	}
}
