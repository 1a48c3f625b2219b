package netlify

import (
	"context"
	"sync"
	"time"
)

// pulse is how often progress is told while a phase lasts.
const pulse = 3 * time.Second

// A reporter keeps how far a publication is, and tells it.
type reporter struct {
	mu   sync.Mutex
	at   Progress
	tell func(Progress)
}

// update changes what is known. A new phase is told at once.
func (r *reporter) update(change func(*Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.at.Phase
	change(&r.at)
	if r.at.Phase != before && r.tell != nil {
		r.tell(r.at)
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

// pulse tells how far it is until ctx ends. It goes by the system's clock, as do the
// people who watch.
func (r *reporter) pulse(ctx context.Context) {
	if r.tell == nil {
		return
	}
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.mu.Lock()
			r.tell(r.at)
			r.mu.Unlock()
		}
	}
}
