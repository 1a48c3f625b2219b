// Package probe sends a bounded stream of requests through the real entry point
// and reports, for each one, who answered and whether it failed.
//
// It measures what the data plane does, as opposed to what the API server
// stores. A Stream sends at a constant rate, independent of the answers; a
// Marker identifies the version of each answer; a Tally counts. The Stream
// counts losses too: probes that it could not send in time as missed, answers
// that it could not deliver as undelivered.
//
// The package does not judge and does not decide. Failed alone defines what a
// failed request is.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/candlefish/deploy-action/internal/probe/expect"
	"github.com/candlefish/deploy-action/internal/rollout"
)

const (
	// MaxRate is the highest rate of a Stream, per second.
	MaxRate = 1000
	maxBody = 64 << 10
	// queue is the number of answers that may wait for a slow callback: 8 s at the
	// highest rate.
	queue = 8192
	// retryHeader carries the retry count from our transport through vegeta, which
	// keeps only the response's headers.
	retryHeader = "X-Candlefish-Probe-Retried"
	// sizeHeader carries the size of the body in the same way.
	sizeHeader = "X-Candlefish-Probe-Size"
)

// Config configures a Stream.
type Config struct {
	Target Target
	// Pages are what the stream asks for, at random by their weights; none stands for
	// the Target's URL.
	Pages []Page
	// Pins are the headers that lead a request to one version alone; see Pin.
	Pins map[rollout.Side]http.Header
	// Rate is in requests per second, 1 to 1000.
	Rate int
	// Timeout of one request, including its body. 0 means 5 s.
	Timeout time.Duration
	// MaxInFlight bounds the concurrent requests. 0 means as many as twice Rate and
	// Timeout can need, at most 512.
	MaxInFlight int
	Marker      Marker
	Book        *Book
	// Baseline is the Target's status before the change without Pages, 0 if unknown.
	// See Failed.
	Baseline int
	Version  string // of this tool, for the User-Agent
	// OnAnswer receives every answer, one at a time, roughly in order of arrival.
	// It may block briefly without slowing the stream.
	OnAnswer func(Answer)
}

func (c Config) validate() error {
	var errs []error
	if err := c.Target.validate(); err != nil {
		errs = append(errs, err)
	}
	if c.Rate < 1 || c.Rate > MaxRate {
		errs = append(errs, fmt.Errorf("probe rate %d: want 1 to %d per second", c.Rate, MaxRate))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("probe timeout %v: want a positive duration", c.Timeout))
	}
	if c.MaxInFlight < 0 {
		errs = append(errs, fmt.Errorf("probe max in flight %d: want a positive number", c.MaxInFlight))
	}
	if c.OnAnswer == nil {
		errs = append(errs, errors.New("probe: OnAnswer is not set"))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = min(512, max(8, int(2*float64(c.Rate)*c.Timeout.Seconds())))
	}
	return c
}

// Stats are the counters of a Stream.
type Stats struct {
	Answered uint64 // completed requests, failed ones included
	// Missed counts probes not sent because MaxInFlight requests were already open
	// or this machine was too slow.
	Missed uint64
	// Undelivered counts answers lost because OnAnswer was too slow for too long.
	// Answered includes them.
	Undelivered uint64
}

// A Stream is a running stream of probes.
type Stream struct {
	conf     Config
	attacker *vegeta.Attacker
	idle     func()
	stop     context.CancelFunc
	done     chan struct{}
	choice   *choice

	marker                        atomic.Pointer[Marker]
	rate                          atomic.Int64 // per second
	answered, missed, undelivered atomic.Uint64
}

// SetRate changes the rate from now on, within 1 to MaxRate per second.
func (s *Stream) SetRate(perSecond int) { s.rate.Store(int64(min(max(perSecond, 1), MaxRate))) }

// Rate returns the rate per second.
func (s *Stream) Rate() int { return int(s.rate.Load()) }

// Mark sets the place of the version in the answers from now on.
func (s *Stream) Mark(m Marker) { s.marker.Store(&m) }

// Start starts a Stream. It ends when ctx ends or Stop is called: it sends no
// new request, waits for the open ones (at most Timeout), delivers them and
// then closes Done. The error names every invalid setting.
func Start(ctx context.Context, c Config) (*Stream, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	ctx, stop := context.WithCancel(ctx)
	tr, idle := transports(c)
	s := &Stream{conf: c, stop: stop, idle: idle, done: make(chan struct{}), choice: newChoice(c)}
	s.Mark(c.Marker)
	s.SetRate(c.Rate)
	s.attacker = vegeta.NewAttacker(
		vegeta.Client(&http.Client{Transport: tr, Timeout: c.Timeout, CheckRedirect: noRedirects}),
		vegeta.Workers(uint64(min(10, c.MaxInFlight))),
		vegeta.MaxWorkers(uint64(c.MaxInFlight)),
		vegeta.MaxBody(maxBody),
	)
	pace := &pacer{ctx: ctx, sched: schedule{rand: rand.N[time.Duration]}, rate: &s.rate, missed: &s.missed}
	results := s.attacker.Attack(s.target, pace, 0, "")
	context.AfterFunc(ctx, func() { s.attacker.Stop() })
	s.deliver(results)
	return s, nil
}

// target chooses the next request; it implements vegeta.Targeter.
func (s *Stream) target(t *vegeta.Target) error {
	*t = s.choice.next(s.Rate())
	return nil
}

// deliver passes answers from vegeta's attack to the callback through a bounded
// queue.
func (s *Stream) deliver(results <-chan *vegeta.Result) {
	answers := make(chan Answer, queue)
	go func() {
		defer close(answers)
		for r := range results {
			s.answered.Add(1)
			select {
			case answers <- s.answer(r):
			default:
				s.undelivered.Add(1)
			}
		}
	}()
	go func() {
		defer close(s.done)
		defer s.stop()
		defer s.idle()
		for a := range answers {
			s.conf.OnAnswer(a)
		}
	}()
}

func (s *Stream) answer(r *vegeta.Result) Answer {
	a := Answer{Seq: r.Seq, Sent: r.Timestamp, Latency: r.Latency, Status: int(r.Code)}
	if a.Status == 0 {
		a.Err = cleanError(r.Error)
	}
	a.Retried, _ = strconv.Atoi(r.Headers.Get(retryHeader))
	if m := s.marker.Load(); m != nil {
		a.Value = m.Value(r.Headers, r.Body)
	}
	a.Side = s.conf.Book.Side(a.Value)
	page := s.choice.take(&a, r.URL)
	a.Failed = Failed(a.Status, page.Before.Status)
	if !a.Failed {
		size, _ := strconv.ParseInt(r.Headers.Get(sizeHeader), 10, 64)
		a.Wrong = expect.Wrong(page.Before, page.Path, expect.Answer{Status: a.Status, Header: r.Headers, Body: r.Body, Size: size})
	}
	return a
}

// Stop stops sending and returns immediately. It may be called more than once.
func (s *Stream) Stop() { s.stop() }

// Done returns a channel that is closed after the last answer was delivered.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Stats returns the counts so far.
func (s *Stream) Stats() Stats {
	return Stats{Answered: s.answered.Load(), Missed: s.missed.Load(), Undelivered: s.undelivered.Load()}
}

// A pacer is a vegeta.Pacer. Unlike vegeta's constant one it stops immediately
// with its context, and it does not catch up with a burst, which would hit a
// target just when it recovers.
type pacer struct {
	ctx    context.Context
	sched  schedule
	rate   *atomic.Int64 // per second
	missed *atomic.Uint64
}

// Pace sleeps until the next probe is due.
func (p *pacer) Pace(elapsed time.Duration, _ uint64) (time.Duration, bool) {
	p.sched.every = time.Second / time.Duration(p.rate.Load())
	wait, missed := p.sched.next(elapsed)
	p.missed.Add(missed)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return 0, p.ctx.Err() != nil
	case <-p.ctx.Done():
		return 0, true
	}
}

// Rate returns the current rate.
func (p *pacer) Rate(time.Duration) float64 { return float64(p.rate.Load()) }

// A schedule is a sequence of due times with independent random gaps, uniform
// over 0 to twice their mean.
//
// Gateways distribute requests round robin: under an even load, a probe at
// every tenth request always reaches the same backend. A random delay on a
// fixed grid does not help, because the grid stays in phase with the load (100
// probes among 300 even requests a second saw 38 % of a share of 50). Gaps that
// add up drift through every phase, so probes see what users see.
type schedule struct {
	every time.Duration
	// rand returns a random duration in 0..n, n excluded.
	rand func(n time.Duration) time.Duration
	due  time.Duration // of the next probe
}

// next returns the wait from elapsed to the next probe, and the number of
// probes skipped before it. It catches up on a delay of up to 50 ms, or one
// interval.
func (s *schedule) next(elapsed time.Duration) (wait time.Duration, missed uint64) {
	late := elapsed - s.due
	if late > max(s.every, 50*time.Millisecond) {
		missed = uint64(late / s.every)
		s.due += time.Duration(missed) * s.every
	}
	wait = max(0, s.due-elapsed)
	s.due += s.rand(2 * s.every)
	return wait, missed
}

// counting is a transport that records in each response the size of its body, and how
// often its request was sent again on another connection. net/http does that by
// itself for a GET, and hides it.
type counting struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (c counting) RoundTrip(req *http.Request) (*http.Response, error) {
	var conns sync.Map // keyed by connection: a hook may run late, for a connection not used
	var n atomic.Int64
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if _, seen := conns.LoadOrStore(i.Conn, true); !seen {
			n.Add(1)
		}
	}}
	res, err := c.Transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err == nil {
		res.Header.Del(retryHeader)
		if n.Load() > 1 {
			res.Header.Set(retryHeader, strconv.FormatInt(n.Load()-1, 10))
		}
		res.Header.Del(sizeHeader)
		res.Body = &sized{ReadCloser: res.Body, header: res.Header}
	}
	return res, err
}

// sized is a body that sets the sizeHeader when it was read to its end.
type sized struct {
	io.ReadCloser
	header http.Header
	n      int64
}

// Read implements io.Reader.
func (b *sized) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if errors.Is(err, io.EOF) {
		b.header.Set(sizeHeader, strconv.FormatInt(b.n, 10))
	}
	return n, err
}
