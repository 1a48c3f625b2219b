package pinned

import (
	"slices"
	"time"
)

const (
	// perPod is the number of requests that each pod gets at least.
	perPod = 20
	// A window is so many answers to one path, over so much time, at least.
	windowAnswers = 20
	windowTime    = time.Second
	// settledWindows is the number of windows that are compared.
	settledWindows = 3
	// faster is the share of the median before, below which a canary still gets
	// faster; a difference below floor never counts.
	faster = .85
	floor  = time.Millisecond
)

// A Warming follows the latency of a canary that gets test requests alone, from the
// first one on.
type Warming struct {
	Requests, Failed int
	// First and Last are the medians of the first and the newest window of the first
	// path; 0 without one.
	First, Last time.Duration

	pods  map[string]int
	paths []track
}

// A track has the answers to one path.
type track struct {
	began   time.Time
	current []time.Duration
	medians []time.Duration
}

// Answer takes the answer to one request, by the pod, "" if the pods cannot be told
// apart.
func (w *Warming) Answer(path int, pod string, sent time.Time, latency time.Duration, failed bool) {
	w.Requests++
	if failed {
		w.Failed++ // a refused connection is fast, and no sign of warmth
		return
	}
	if w.pods == nil {
		w.pods = map[string]int{}
	}
	w.pods[pod]++
	for len(w.paths) <= path {
		w.paths = append(w.paths, track{})
	}
	t := &w.paths[path]
	t.answer(sent, latency)
	if first := w.paths[0].medians; len(first) > 0 {
		w.First, w.Last = first[0], first[len(first)-1]
	}
}

func (t *track) answer(sent time.Time, latency time.Duration) {
	if len(t.current) == 0 {
		t.began = sent
	}
	t.current = append(t.current, latency)
	if len(t.current) >= windowAnswers && sent.Sub(t.began) >= windowTime {
		slices.Sort(t.current)
		t.medians = append(t.medians, t.current[len(t.current)/2])
		t.current = nil
	}
}

// Settled reports whether each of so many pods has had its requests and none of so
// many paths still gets faster.
func (w *Warming) Settled(pods, paths int) bool {
	if !w.reached(max(pods, 1)) || len(w.paths) < paths {
		return false
	}
	return !slices.ContainsFunc(w.paths, func(t track) bool { return !Settles(t.medians) })
}

// reached reports whether the requests are enough for so many pods: for each by its
// name, or in number.
func (w *Warming) reached(pods int) bool {
	if _, unnamed := w.pods[""]; unnamed {
		return w.Requests-w.Failed >= pods*perPod
	}
	warm := 0
	for _, n := range w.pods {
		if n >= perPod {
			warm++
		}
	}
	return warm >= pods
}

// Settles reports whether the medians of successive windows no longer fall: neither of
// the last two is much below the one before it. One that rises is settled too: this
// is no judgement.
func Settles(medians []time.Duration) bool {
	if len(medians) < settledWindows {
		return false
	}
	last := medians[len(medians)-settledWindows:]
	for i := 1; i < len(last); i++ {
		before, now := last[i-1], last[i]
		if before-now > floor && float64(now) < faster*float64(before) {
			return false
		}
	}
	return true
}
