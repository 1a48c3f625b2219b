package scanning

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// Between is how often a scan says what it waits for.
const Between = 5 * time.Second

// A Running is a scanner that has not ended.
type Running struct {
	Name string
	For  time.Duration
}

// A watch knows which scanners run, and calls back one at a time.
type watch struct {
	scan  Scan
	mu    sync.Mutex
	began map[string]time.Time
}

func (w *watch) begin(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began[name] = w.scan.Now()
}

func (w *watch) end(name string, t verdict.Tool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.began, name)
	w.scan.Progress(t)
}

// until says what runs until wait returns.
func (w *watch) until(wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	for {
		select {
		case <-done:
			return
		case <-w.scan.After(Between):
			w.tell()
		}
	}
}

// tell names the scanners that run, the longest first. Between two of them nothing
// runs for a moment, and nothing is said.
func (w *watch) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Running
	for name, began := range w.began {
		all = append(all, Running{Name: name, For: w.scan.Now().Sub(began)})
	}
	slices.SortFunc(all, func(a, b Running) int { return cmp.Or(cmp.Compare(b.For, a.For), cmp.Compare(a.Name, b.Name)) })
	if len(all) > 0 {
		w.scan.Waiting(all)
	}
}
