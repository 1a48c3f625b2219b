package soakbench

import (
	"cmp"
	"fmt"
	"net/http"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// A Failure is a request of the load that failed though no bad version made it
// fail.
type Failure struct {
	At      time.Time `json:"at"` // when it was sent
	Code    uint16    `json:"code"`
	Version string    `json:"version,omitempty"`
	Seconds float64   `json:"seconds"`
	Error   string    `json:"error,omitempty"`
	Step    string    `json:"step"` // what went on
	run     int
}

func (f Failure) String() string {
	return fmt.Sprintf("%s  %d %s after %.3f s, version %s, in %s", f.At.Format("15:04:05.000"), f.Code, f.Error, f.Seconds, cmp.Or(f.Version, "none"), f.Step)
}

// own says whether a failed answer is the bad version's own: made on purpose, by
// itself.
func own(code uint16, version string) bool {
	return version == errorsTag && code == http.StatusInternalServerError
}

// maxFailures bounds the list of failures; their count has no bound.
const maxFailures = 20000

// A load is traffic from outside of the tool, on connections that stay open.
type load struct {
	stop     func()
	requests int
	own      int
	notOwn   int
	failures []Failure
	answers  map[string]int // by version
}

func startLoad(url, host string, rate int) *load {
	l := &load{answers: map[string]int{}}
	attacker := vegeta.NewAttacker(vegeta.Timeout(10*time.Second), vegeta.KeepAlive(true), vegeta.Connections(100), vegeta.MaxWorkers(400))
	target := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: url + "/", Header: http.Header{"Host": {host}}})
	const untilStopped = 0
	results := attacker.Attack(target, vegeta.ConstantPacer{Freq: rate, Per: time.Second}, untilStopped, "load")
	done := make(chan struct{})
	l.stop = sync.OnceFunc(func() { attacker.Stop(); <-done })
	go func() {
		defer close(done)
		for r := range results {
			l.add(r)
		}
	}()
	return l
}

func (l *load) add(r *vegeta.Result) {
	l.requests++
	v := r.Headers.Get("X-Version")
	if v != "" {
		l.answers[v]++
	}
	switch {
	case r.Code == http.StatusOK:
	case own(r.Code, v):
		l.own++
	default:
		l.notOwn++
		if len(l.failures) < maxFailures {
			l.failures = append(l.failures, Failure{At: r.Timestamp, Code: r.Code, Version: v, Seconds: r.Latency.Seconds(), Error: r.Error})
		}
	}
}

// A step is what began at a time, and lasted until the next one.
type step struct {
	at   time.Time
	run  int // 0 before the first
	what string
}

// attribute says of each failure in which step the request was sent. Steps are
// in the order of time.
func attribute(failures []Failure, steps []step) {
	for i := range failures {
		f := &failures[i]
		for _, s := range steps {
			if s.at.After(f.At) {
				break
			}
			f.Step, f.run = s.what, s.run
		}
	}
}
