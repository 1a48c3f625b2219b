package netlify

import (
	"context"
	"sync"
	"time"
)

// reportInterval is the time between progress reports during a phase.
const reportInterval = 3 * time.Second

// A reporter tracks the progress of a publication and reports it.
type reporter struct {
	mu     sync.Mutex
	at     Progress
	report func(Progress)
}

// update changes the progress. A new phase is reported at once.
func (r *reporter) update(change func(*Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.at.Phase
	change(&r.at)
	if r.at.Phase != before && r.report != nil {
		r.report(r.at)
	}
}

func (r *reporter) phase(p Phase, files int, bytes int64) {
	r.update(func(at *Progress) {
		*at = Progress{Phase: p, TotalFiles: files, TotalBytes: bytes, State: at.State}
	})
}

func (r *reporter) add(files int, bytes int64) {
	r.update(func(at *Progress) { at.Files += files; at.Bytes += bytes })
}

func (r *reporter) state(s string) { r.update(func(at *Progress) { at.State = s }) }

// run reports until ctx ends. It uses the system's clock, as do the people who watch.
func (r *reporter) run(ctx context.Context) {
	if r.report == nil {
		return
	}
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.mu.Lock()
			r.report(r.at)
			r.mu.Unlock()
		}
	}
}
