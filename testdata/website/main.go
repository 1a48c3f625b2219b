// Command website is the application that deliveries are tried on: a small web server that can also behave badly, as its environment says.
//
//	VERSION          what it says it is, in the header X-Version and at /version
//	START_DELAY      time before it listens, such as 5s
//	NEVER_READY      "true": /health always answers 503
//	ERROR_RATE       share of requests, 0 to 1, answered with 500; /health is never one of them
//	ERRORS_AFTER     time before ERROR_RATE counts
//	LOST_RATE        share of requests, 0 to 1, whose answer breaks off
//	REDIRECT         where every request but /health's is redirected to, such as /login
//	EMPTY            "true": answers 200 without a body, but to /health
//	COLD             time added to the first of 50 answers, and evenly less to the others
//	LATENCY          time added to each answer but /health's
//	LATENCY_JITTER   up to so much more, evenly spread
//	LEAK             bytes kept for each request
//	CRASH_AFTER      time after which it exits with status 1
//	EXIT_AFTER       time after which it ends in order, with status 0, as a job does
//	DRAIN            after SIGTERM, time in which it goes on answering, not ready; 3s unless set
//	EXIT_ON_SIGTERM  "now": exit at once, and let requests in flight fail
//
// It listens on :8080, or on LISTEN, for HTTP/1, and for HTTP/2 without TLS, over which it answers gRPC's health checks too.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	log := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	c, err := parse(os.Getenv)
	if err != nil {
		log("%v", err)
		os.Exit(2)
	}
	hostname, err := os.Hostname()
	if err != nil {
		log("%v", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, c, hostname, log); err != nil {
		log("%v", err)
		os.Exit(1)
	}
}

// config is the environment, read.
type config struct {
	version    string
	listen     string
	startDelay time.Duration
	neverReady bool
	errorRate  float64
	healthyFor time.Duration
	lostRate   float64
	redirect   string
	empty      bool
	cold       time.Duration
	latency    time.Duration
	jitter     time.Duration
	leak       int
	crashAfter time.Duration
	exitAfter  time.Duration
	drain      time.Duration
	exitNow    bool
}

// parse reads the environment and reports everything that is wrong with it.
func parse(getenv func(string) string) (config, error) {
	var errs []error
	bad := func(name, want string) {
		errs = append(errs, fmt.Errorf("%s is %q, want %s", name, getenv(name), want))
	}
	duration := func(name, unset string) time.Duration {
		d, err := time.ParseDuration(cmp.Or(getenv(name), unset))
		if err != nil || d < 0 {
			bad(name, "a duration such as 500ms")
		}
		return d
	}
	c := config{
		version:    cmp.Or(getenv("VERSION"), "dev"),
		listen:     cmp.Or(getenv("LISTEN"), ":8080"),
		startDelay: duration("START_DELAY", "0s"),
		healthyFor: duration("ERRORS_AFTER", "0s"),
		redirect:   getenv("REDIRECT"),
		cold:       duration("COLD", "0s"),
		latency:    duration("LATENCY", "0s"),
		jitter:     duration("LATENCY_JITTER", "0s"),
		crashAfter: duration("CRASH_AFTER", "0s"),
		exitAfter:  duration("EXIT_AFTER", "0s"),
		drain:      duration("DRAIN", "3s"),
	}
	share := func(name string) float64 {
		f, err := strconv.ParseFloat(cmp.Or(getenv(name), "0"), 64)
		if err != nil || !(f >= 0 && f <= 1) {
			bad(name, "a number from 0 to 1")
		}
		return f
	}
	c.errorRate, c.lostRate = share("ERROR_RATE"), share("LOST_RATE")
	var err error
	if c.empty, err = strconv.ParseBool(cmp.Or(getenv("EMPTY"), "false")); err != nil {
		bad("EMPTY", "true or false")
	}
	if c.leak, err = strconv.Atoi(cmp.Or(getenv("LEAK"), "0")); err != nil || c.leak < 0 {
		bad("LEAK", "a number of bytes")
	}
	if c.neverReady, err = strconv.ParseBool(cmp.Or(getenv("NEVER_READY"), "false")); err != nil {
		bad("NEVER_READY", "true or false")
	}
	if c.exitNow = getenv("EXIT_ON_SIGTERM") == "now"; !c.exitNow && getenv("EXIT_ON_SIGTERM") != "" {
		bad("EXIT_ON_SIGTERM", "now")
	}
	return c, errors.Join(errs...)
}

// brokenAfter is how much of an answer that breaks off is sent, in bytes.
const brokenAfter = 64 << 10

// errCrash is what CRASH_AFTER ends the program with.
var errCrash = errors.New("crashing, as CRASH_AFTER says")

// run serves until ctx ends, and then drains.
func run(ctx context.Context, c config, hostname string, log func(string, ...any)) error {
	crash := make(<-chan time.Time)
	if c.crashAfter > 0 {
		crash = time.After(c.crashAfter)
	}
	if c.exitAfter > 0 { // as a job does that is done
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, c.exitAfter)
		defer done()
	}
	select {
	case <-time.After(c.startDelay):
	case <-crash:
		return errCrash
	case <-ctx.Done():
		return nil
	}
	site := newSite(c, hostname)
	server := &http.Server{Addr: c.listen, Handler: site, ReadHeaderTimeout: 10 * time.Second, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	log("website %s listens on %s", c.version, c.listen)
	select {
	case err := <-served:
		return err
	case <-crash:
		return errCrash
	case <-ctx.Done():
	}
	if c.exitNow {
		log("exiting at once")
		return nil
	}
	// Whoever routes to this pod learns only after a while that it is going, so go on answering for that while.
	log("draining for %s", c.drain)
	site.draining.Store(true)
	select {
	case <-time.After(c.drain):
	case <-crash:
		return errCrash
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return server.Shutdown(limit)
}

// site answers requests.
type site struct {
	config
	hostname string
	started  time.Time
	random   func() float64 // from [0, 1)
	draining atomic.Bool
	mux      *http.ServeMux
	answers  atomic.Int64 // but /health's

	mu   sync.Mutex
	kept [][]byte
}

func newSite(c config, hostname string) *site {
	s := &site{config: c, hostname: hostname, started: time.Now(), random: rand.Float64, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /health", s.health)
	s.mux.Handle("GET /version", s.misbehave(s.versionText))
	s.mux.Handle("GET /{$}", s.misbehave(s.page))
	s.mux.Handle("POST /grpc.health.v1.Health/Check", s.misbehave(s.grpcHealth))
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Version", s.version)
	w.Header().Set("X-Pod", s.hostname)
	s.mux.ServeHTTP(w, r)
}

func (s *site) health(w http.ResponseWriter, _ *http.Request) {
	if s.neverReady || s.draining.Load() {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ok\n")
}

// grpcHealth answers gRPC's health checks: serving, whatever service is asked for.
func (s *site) grpcHealth(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/grpc")
	w.Write([]byte{0, 0, 0, 0, 2, 8, 1}) // a frame of two bytes: field 1 is SERVING
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
}

func (s *site) versionText(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s.version) }

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Candlefish</title>
<h1>Candlefish</h1>
<p>Version {{.Version}}, served by {{.Pod}}.</p>
</html>
`))

func (s *site) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page.Execute(w, struct{ Version, Pod string }{s.version, s.hostname}) // an error means that the client has gone
}

// misbehave is next with the latency, the errors and the leak that the environment asks for.
func (s *site) misbehave(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.leak > 0 {
			s.keep()
		}
		warm := s.cold * time.Duration(max(0, coldAnswers-s.answers.Add(1)+1)) / coldAnswers
		if d := s.latency + warm + time.Duration(s.random()*float64(s.jitter)); d > 0 {
			select {
			case <-time.After(d):
			case <-r.Context().Done():
				return
			}
		}
		if time.Since(s.started) >= s.healthyFor && s.random() < s.errorRate {
			http.Error(w, "an error, as ERROR_RATE says", http.StatusInternalServerError)
			return
		}
		switch {
		case s.random() < s.lostRate:
			// So much that a gateway passes some of it on: a client repeats a GET
			// whose answer breaks off before it begins, and nobody sees it.
			w.Header().Set("Content-Length", strconv.Itoa(2*brokenAfter))
			io.WriteString(w, strings.Repeat("half of an answer. ", brokenAfter/19))
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case s.redirect != "":
			http.Redirect(w, r, s.redirect, http.StatusFound)
		case s.empty:
			w.WriteHeader(http.StatusOK)
		default:
			next(w, r)
		}
	})
}

// coldAnswers is how many answers COLD slows down.
const coldAnswers = 50

// keep takes memory and never gives it back. Each page is written to, or the kernel would not hand it out.
func (s *site) keep() {
	b := make([]byte, s.leak)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	s.mu.Lock()
	s.kept = append(s.kept, b)
	s.mu.Unlock()
}
