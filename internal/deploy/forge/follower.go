package forge

import (
	"context"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/github/deployments"
)

// An event is what a release came to.
type event struct {
	run     string // whose release it is
	payload deployments.Payload
	status  deployments.Status
	// fresh: this process began the release, so it makes the deployment.
	fresh bool
	// back: the previous release serves again.
	back string // its image, "" if it does not
}

// A recorder carries out events, one after another.
type recorder interface {
	// record carries out an event, and returns the deployment's ID, 0 for none.
	record(ctx context.Context, e event) (int64, error)
	// byHand says what to do about an event that could not be recorded.
	byHand(e event) string
}

// A follower records events beside the rollout, in order. Of several events of one
// release that wait, only the last is recorded.
type follower struct {
	recorder recorder
	cancel   context.CancelFunc
	done     chan struct{}
	wake     chan struct{}

	mu      sync.Mutex
	waiting []event
	current *event // being recorded
	told    event  // the last that was taken
	closed  bool
	late    bool              // what is not recorded now has a warning already
	failed  map[string]string // by the run, the newest failure
	id      int64
}

// follow starts a follower. ctx ends it at once.
func follow(ctx context.Context, r recorder) *follower {
	ctx, cancel := context.WithCancel(ctx)
	f := &follower{recorder: r, cancel: cancel, done: make(chan struct{}), wake: make(chan struct{}, 1), failed: map[string]string{}}
	go f.work(ctx)
	return f
}

// tell takes an event, unless it says the same as the one before. It never blocks.
func (f *follower) tell(e event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.told.run == e.run && f.told.status.State == e.status.State && f.told.status.Description == e.status.Description {
		return
	}
	f.told = e
	if n := len(f.waiting); n > 0 && f.waiting[n-1].run == e.run {
		e.fresh = e.fresh || f.waiting[n-1].fresh
		f.waiting[n-1] = e
	} else {
		f.waiting = append(f.waiting, e)
	}
	f.signal()
}

func (f *follower) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// next takes the next event; ok is false if there is none, end if there will be none.
func (f *follower) next() (e event, ok, end bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) == 0 {
		return event{}, false, f.closed
	}
	e, f.waiting = f.waiting[0], f.waiting[1:]
	f.current = &e
	return e, true, false
}

func (f *follower) work(ctx context.Context) {
	defer close(f.done)
	for {
		e, ok, end := f.next()
		switch {
		case end:
			return
		case ok:
			id, err := f.recorder.record(ctx, e)
			f.recorded(e, id, err)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (f *follower) recorded(e event, id int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current = nil
	if id != 0 {
		f.id = id
	}
	if f.late {
		return
	}
	delete(f.failed, e.run)
	if err != nil {
		f.failed[e.run] = "the GitHub deployment is not up to date: " + err.Error() + f.recorder.byHand(e)
	}
}

// end waits until all events are recorded, at most for a time, and returns the ID of
// the newest deployment, 0 for none.
func (f *follower) end(limit time.Duration) int64 {
	f.mu.Lock()
	f.closed = true
	f.signal()
	f.mu.Unlock()
	select {
	case <-f.done:
	case <-time.After(limit):
		f.giveUp()
	}
	f.cancel()
	<-f.done
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.id
}

// giveUp notes what is not recorded in time.
func (f *follower) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := f.waiting
	if f.current != nil {
		left = append([]event{*f.current}, left...)
	}
	f.waiting, f.late = nil, true
	for _, e := range left {
		f.failed[e.run] = "the GitHub deployment is not up to date: GitHub did not answer in time" + f.recorder.byHand(e)
	}
}

// amend gives the last event of a release another status, if it has one.
func (f *follower) amend(run string, s deployments.Status) {
	f.mu.Lock()
	e := f.told
	f.mu.Unlock()
	if e.run == run {
		s.EnvironmentURL = e.status.EnvironmentURL
		e.status = s
		f.tell(e)
	}
}

// warnings returns what could not be recorded.
func (f *follower) warnings() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, w := range f.failed {
		all = append(all, w)
	}
	return all
}
