package probe

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// collect runs a stream until stop accepts the answers so far.
func collect(t *testing.T, c Config, stop func([]Answer) bool) ([]Answer, Stats) {
	t.Helper()
	var s *Stream
	var as []Answer
	started := make(chan struct{})
	c.OnAnswer = func(a Answer) {
		<-started
		as = append(as, a)
		if stop(as) {
			s.Stop()
		}
	}
	s, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	close(started)
	<-s.Done()
	return as, s.Stats()
}

func atLeast(n int) func([]Answer) bool { return func(as []Answer) bool { return len(as) >= n } }

func TestStream(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	var mu sync.Mutex
	seen := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.Method+" "+r.Host+" "+r.UserAgent()+" "+r.Header.Get("Cache-Control")+" "+r.Header.Get("X-Extra")] = true
		mu.Unlock()
		switch n.Add(1) % 4 {
		case 0:
			w.Header().Set("X-Version", "2")
			w.WriteHeader(http.StatusInternalServerError)
		case 1:
			w.WriteHeader(http.StatusBadGateway) // the gateway's own
		case 2:
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		default:
			w.Header().Set("X-Version", "1")
		}
	}))
	defer srv.Close()
	var book Book
	book.Learn(rollout.SideStable, "1")
	as, stats := collect(t, Config{
		Target: Target{URL: srv.URL, Host: "example.test", Header: http.Header{"X-Extra": {"yes"}}},
		Rate:   500, Marker: Marker{Header: "X-Version"}, Book: &book, Baseline: 200, Version: "1.2.3",
	}, atLeast(40))
	if stats.Answered != uint64(len(as)) || stats.Undelivered != 0 {
		t.Errorf("stats %+v with %d answers delivered", stats, len(as))
	}
	kinds := map[string]int{}
	for _, a := range as {
		switch {
		case a.Status == 500 && a.Side == rollout.SideCanary && a.Failed && a.Value == "2":
			kinds["canary failed"]++
		case a.Status == 502 && a.Side == rollout.SideUnattributed && a.Failed:
			kinds["unsigned"]++
		case a.Status == 302 && a.Side == rollout.SideUnattributed && !a.Failed:
			kinds["redirect"]++
		case a.Status == 200 && a.Side == rollout.SideStable && !a.Failed && a.Err == "" && a.Latency > 0:
			kinds["stable"]++
		default:
			t.Errorf("unexpected %+v", a)
		}
	}
	if len(kinds) != 4 {
		t.Errorf("kinds of answers: %v, want all four", kinds)
	}
	if len(seen) != 1 || !seen["GET example.test candlefish-deploy-action/1.2.3 probe no-cache yes"] {
		t.Errorf("requests seen: %v", seen)
	}
}

func TestStreamBodyMarker(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"version":"v7"}` + strings.Repeat(" ", maxBody)))
	}))
	defer srv.Close()
	m, err := ParseMarker(`body:"version":"(v\d+)"`)
	if err != nil {
		t.Fatal(err)
	}
	as, _ := collect(t, Config{Target: Target{URL: srv.URL}, Rate: 100, Marker: m}, atLeast(1))
	if as[0].Value != "v7" || as[0].Side != rollout.SideUnattributed || as[0].Failed {
		t.Errorf("got %+v", as[0])
	}
}

func TestStreamKeepsSecretsAndSendsTLSName(t *testing.T) {
	t.Parallel()
	var name atomic.Value
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.TLS = &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name.Store(h.ServerName)
		return nil, nil
	}}
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	defer srv.Close()
	tr := srv.Client().Transport.(*http.Transport)
	as, _ := collect(t, Config{
		Target: Target{URL: srv.URL + "/?token=s3cret", Host: "example.com:443", TLS: tr.TLSClientConfig}, Rate: 50,
	}, atLeast(1))
	if as[0].Status != 200 || name.Load() != "example.com" {
		t.Errorf("%+v, server name %v", as[0], name.Load())
	}
	// The certificate is for example.com, not for this name.
	as, _ = collect(t, Config{
		Target: Target{URL: srv.URL + "/?token=s3cret", Host: "other.test", TLS: tr.TLSClientConfig}, Rate: 50,
	}, atLeast(1))
	if !as[0].Failed || as[0].Err == "" || strings.Contains(as[0].Err, "s3cret") {
		t.Errorf("%+v", as[0])
	}
}

func TestStreamNobodyThere(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	as, _ := collect(t, Config{Target: Target{URL: "http://" + addr + "/"}, Rate: 100}, atLeast(3))
	for _, a := range as {
		if !a.Failed || a.Status != 0 || !strings.Contains(a.Err, "refused") || strings.Contains(a.Err, "Get ") {
			t.Errorf("%+v", a)
		}
	}
}

func TestStreamHangingTargetIsBoundedAndCounted(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var open, most atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if n := open.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer open.Add(-1)
		<-release
	}))
	defer srv.Close()
	const inFlight = 4
	var once sync.Once
	s, err := Start(t.Context(), Config{Target: Target{URL: srv.URL}, Rate: 1000, MaxInFlight: inFlight, Timeout: time.Minute,
		OnAnswer: func(Answer) {}})
	if err != nil {
		t.Fatal(err)
	}
	go func() { // let go when the target is full and time has passed
		for open.Load() < inFlight {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond)
		once.Do(func() { close(release) })
	}()
	for s.Stats().Missed == 0 {
		time.Sleep(time.Millisecond)
	}
	s.Stop()
	<-s.Done()
	if most.Load() > inFlight {
		t.Errorf("%d concurrent requests, want at most %d", most.Load(), inFlight)
	}
}

func TestStreamTimeoutAndDrain(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-block }))
	defer srv.Close()
	defer close(block)
	ctx, cancel := context.WithCancel(t.Context())
	var got []Answer
	s, err := Start(ctx, Config{Target: Target{URL: srv.URL}, Rate: 100, Timeout: 50 * time.Millisecond,
		OnAnswer: func(a Answer) { got = append(got, a); cancel() }})
	if err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if n := uint64(len(got)); n == 0 || n != s.Stats().Answered {
		t.Errorf("%d delivered, stats %+v", n, s.Stats())
	}
	for _, a := range got {
		// A request that is open when the stream ends does not fail for that reason:
		// it keeps its whole timeout.
		if !a.Failed || strings.Contains(a.Err, "context canceled") {
			t.Errorf("%+v", a)
		}
	}
}

func TestStreamSlowCallbackDropsAreCounted(t *testing.T) {
	t.Parallel()
	s := &Stream{choice: newChoice(Config{}), conf: Config{}, stop: func() {}, idle: func() {}, done: make(chan struct{})}
	hold := make(chan struct{})
	var delivered int
	s.conf.OnAnswer = func(Answer) { <-hold; delivered++ }
	results := make(chan *vegeta.Result)
	s.deliver(results)
	const n = queue + 100
	for range n {
		results <- &vegeta.Result{Code: 200} // never blocks for good
	}
	close(results)
	close(hold)
	<-s.Done()
	st := s.Stats()
	if st.Answered != n || uint64(delivered)+st.Undelivered != n || st.Undelivered < 90 {
		t.Errorf("%d delivered, stats %+v", delivered, st)
	}
}

func TestStreamRetriedIsSeen(t *testing.T) {
	t.Parallel()
	// Close each connection after reading its second request, without an answer:
	// the client sends it again on a new one.
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				buf := make([]byte, 4096)
				if _, err := c.Read(buf); err != nil {
					return
				}
				if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")); err != nil {
					return
				}
				_, _ = c.Read(buf)
			}()
		}
	}()
	as, _ := collect(t, Config{Target: Target{URL: "http://" + l.Addr().String()}, Rate: 50, MaxInFlight: 1}, func(as []Answer) bool {
		return as[len(as)-1].Retried > 0
	})
	if a := as[len(as)-1]; a.Failed || a.Retried != 1 {
		t.Errorf("%+v", a)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{Target: Target{URL: "ftp://u:s3cret@h/"}, Rate: 1001, Timeout: -1, MaxInFlight: -1})
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{"probe URL", "rate 1001", "timeout", "in flight", "OnAnswer is not set"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error contains the password: %v", err)
	}
	if _, err := Start(t.Context(), Config{Target: Target{URL: "http://h/%zz?s3cret"}, Rate: 1, OnAnswer: func(Answer) {}}); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("bad URL: %v", err)
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", r.Host)
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("short"))
	}))
	defer srv.Close()
	s, err := Fetch(t.Context(), Target{URL: srv.URL, Host: "example.test"}, "")
	if err != nil || s.Status != http.StatusTeapot || string(s.Body) != "short" || s.Header.Get("X-Version") != "example.test" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := Fetch(t.Context(), Target{URL: "nowhere"}, ""); err == nil {
		t.Error("want an error for a bad URL")
	}
	srv.Close()
	if _, err := Fetch(t.Context(), Target{URL: srv.URL + "?s3cret"}, ""); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("no server: %v", err)
	}
}

func TestTheRateIsBounded(t *testing.T) {
	t.Parallel()
	var s Stream
	for set, want := range map[int]int{-1: 1, 0: 1, 1: 1, 300: 300, MaxRate: MaxRate, MaxRate + 1: MaxRate} {
		s.SetRate(set)
		if got := s.Rate(); got != want {
			t.Errorf("SetRate(%d): %d, want %d", set, got, want)
		}
	}
}

// A rate of 1 would take minutes for these answers.
func TestTheRateChangesAtOnce(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	answered := make(chan bool, 1000)
	s, err := Start(t.Context(), Config{Target: Target{URL: srv.URL}, Rate: 1, OnAnswer: func(Answer) { answered <- true }})
	if err != nil {
		t.Fatal(err)
	}
	s.SetRate(MaxRate)
	for range 200 {
		<-answered
	}
	s.Stop()
	<-s.Done()
}

func TestAMarkCountsFromThenOn(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Version", "1") }))
	defer srv.Close()
	book := &Book{}
	book.Learn(rollout.SideStable, "1")
	answers := make(chan Answer, 1000)
	s, err := Start(t.Context(), Config{Target: Target{URL: srv.URL}, Rate: 200, Book: book, OnAnswer: func(a Answer) { answers <- a }})
	if err != nil {
		t.Fatal(err)
	}
	if a := <-answers; a.Value != "" || a.Side != rollout.SideUnattributed {
		t.Errorf("without a marker: %+v", a)
	}
	s.Mark(MarkerIn("X-Version", nil))
	for a := range answers {
		if a.Side == rollout.SideStable {
			break
		}
	}
	s.Stop()
	<-s.Done()
}
