package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestMain lets the test binary stand in for the program.
func TestMain(m *testing.M) {
	if os.Getenv("WEBSITE_TEST_MAIN") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func newTestSite(t *testing.T, pairs ...string) *site {
	t.Helper()
	c, err := parse(env(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return newSite(c, "pod-1")
}

func get(s *site, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		env  []string
		path string
		code int
		body string
	}{
		{"page", nil, "/", 200, "Version v7, served by pod-1"},
		{"health", nil, "/health", 200, "ok"},
		{"version", nil, "/version", 200, "v7"},
		{"unknown path", nil, "/nothing", 404, ""},
		{"never ready", []string{"NEVER_READY", "true"}, "/health", 503, "not ready"},
		{"never ready still serves", []string{"NEVER_READY", "true"}, "/", 200, ""},
		{"always wrong", []string{"ERROR_RATE", "1"}, "/", 500, "ERROR_RATE"},
		{"always wrong version", []string{"ERROR_RATE", "1"}, "/version", 500, "ERROR_RATE"},
		{"redirected", []string{"REDIRECT", "/login"}, "/", 302, "/login"},
		{"redirected is healthy", []string{"REDIRECT", "/login"}, "/health", 200, "ok"},
		{"empty", []string{"EMPTY", "true"}, "/", 200, ""},
		{"always wrong is healthy", []string{"ERROR_RATE", "1"}, "/health", 200, "ok"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := get(newTestSite(t, append(test.env, "VERSION", "v7")...), test.path)
			if w.Code != test.code || !strings.Contains(w.Body.String(), test.body) {
				t.Errorf("GET %s = %d %q, want %d with %q", test.path, w.Code, w.Body, test.code, test.body)
			}
			if v, p := w.Header().Get("X-Version"), w.Header().Get("X-Pod"); v != "v7" || p != "pod-1" {
				t.Errorf("GET %s: X-Version %q, X-Pod %q, want v7 and pod-1", test.path, v, p)
			}
		})
	}
}

func TestErrorRate(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, "ERROR_RATE", "0.25")
	for _, test := range []struct {
		random float64
		code   int
	}{{0, 500}, {0.24, 500}, {0.25, 200}, {0.99, 200}} {
		s.random = func() float64 { return test.random }
		if got := get(s, "/").Code; got != test.code {
			t.Errorf("with %v: status %d, want %d", test.random, got, test.code)
		}
	}
}

func TestLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestSite(t, "LATENCY", "2s", "LATENCY_JITTER", "1s")
		s.random = func() float64 { return 0.5 }
		began := time.Now()
		get(s, "/")
		if took := time.Since(began); took != 2500*time.Millisecond {
			t.Errorf("GET / took %s, want 2.5s", took)
		}
		began = time.Now()
		get(s, "/health")
		if took := time.Since(began); took != 0 {
			t.Errorf("GET /health took %s, want no latency", took)
		}
	})
}

func TestLeak(t *testing.T) {
	t.Parallel()
	s := newTestSite(t, "LEAK", "10000")
	get(s, "/")
	get(s, "/version")
	get(s, "/health")
	var kept int
	for _, b := range s.kept {
		kept += len(b)
	}
	if kept != 20000 {
		t.Errorf("kept %d bytes after two requests, want 20000", kept)
	}
}

func TestDrainingIsNotReady(t *testing.T) {
	t.Parallel()
	s := newTestSite(t)
	s.draining.Store(true)
	if got := get(s, "/health").Code; got != 503 {
		t.Errorf("/health while draining = %d, want 503", got)
	}
	if got := get(s, "/").Code; got != 200 {
		t.Errorf("/ while draining = %d, want 200", got)
	}
}

func TestStartDelayAndCrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := parse(env("START_DELAY", "1h", "CRASH_AFTER", "1m"))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		// It would fail to listen, so that it crashes at the right time shows that it does not listen before.
		c.listen = "no such address"
		if err := run(t.Context(), c, "pod-1", t.Logf); !errors.Is(err, errCrash) || time.Since(began) != time.Minute {
			t.Errorf("run = %v after %s, want %v after 1m", err, time.Since(began), errCrash)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c.crashAfter = 0
		if err := run(ctx, c, "pod-1", t.Logf); err != nil {
			t.Errorf("run ended during its start delay = %v, want nil", err)
		}
	})
}

func TestParseReportsAll(t *testing.T) {
	t.Parallel()
	bad := []string{"START_DELAY", "soon", "ERROR_RATE", "NaN", "LATENCY", "-1s", "LATENCY_JITTER", "x", "LEAK", "-1",
		"NEVER_READY", "perhaps", "CRASH_AFTER", "5", "DRAIN", "a", "EXIT_ON_SIGTERM", "later"}
	_, err := parse(env(bad...))
	if err == nil {
		t.Fatal("parse accepts nonsense")
	}
	for i := 0; i < len(bad); i += 2 {
		if !strings.Contains(err.Error(), bad[i]+" is ") {
			t.Errorf("error does not name %s: %v", bad[i], err)
		}
	}
}

// process is the program, run for real.
type process struct {
	*exec.Cmd
	url string
	log *bufio.Scanner
}

func start(t *testing.T, pairs ...string) *process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "WEBSITE_TEST_MAIN=1", "LISTEN="+address)
	for i := 0; i < len(pairs); i += 2 {
		cmd.Env = append(cmd.Env, pairs[i]+"="+pairs[i+1])
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd, "http://" + address, bufio.NewScanner(stderr)}
}

// says reads the program's log up to a line with text.
func (p *process) says(t *testing.T, text string) {
	t.Helper()
	for p.log.Scan() {
		if strings.Contains(p.log.Text(), text) {
			return
		}
	}
	t.Fatalf("the program ended without saying %q", text)
}

// begin sends a request and returns when the program has it in hand.
func (p *process) begin(t *testing.T) <-chan error {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	for err != nil && t.Context().Err() == nil { // it says that it listens a moment before it does
		conn, err = net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	}
	if err != nil {
		t.Fatal(err)
	}
	// An answer to /health on the same connection shows that the server reads it; then comes the slow one.
	r := bufio.NewReader(conn)
	conn.Write([]byte("GET /health HTTP/1.1\r\nHost: x\r\n\r\n"))
	if _, err := http.ReadResponse(r, nil); err != nil {
		t.Fatal(err)
	}
	r.Discard(r.Buffered())
	conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	done := make(chan error, 1)
	go func() {
		defer conn.Close()
		resp, err := http.ReadResponse(r, nil)
		if err == nil && resp.StatusCode != 200 {
			err = errors.New(resp.Status)
		}
		done <- err
	}()
	return done
}

func TestSIGTERMDrains(t *testing.T) {
	t.Parallel()
	p := start(t, "LATENCY", "300ms", "DRAIN", "1s")
	p.says(t, "listens")
	answer := p.begin(t)
	p.Process.Signal(syscall.SIGTERM)
	p.says(t, "draining")
	if err := <-answer; err != nil {
		t.Errorf("request in flight: %v", err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("exit: %v, want status 0", err)
	}
}

func TestSIGTERMExitsNow(t *testing.T) {
	t.Parallel()
	p := start(t, "LATENCY", "1h", "EXIT_ON_SIGTERM", "now")
	p.says(t, "listens")
	answer := p.begin(t)
	p.Process.Signal(syscall.SIGTERM)
	if err := p.Wait(); err != nil {
		t.Errorf("exit: %v, want status 0", err)
	}
	if err := <-answer; err == nil {
		t.Error("the request in flight was answered, want it cut off")
	}
}

func TestCrashExitsWithStatus1(t *testing.T) {
	t.Parallel()
	p := start(t, "CRASH_AFTER", "1ms")
	p.says(t, "crashing")
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("exit: %v, want status 1", err)
	}
}

func TestBadEnvironmentExitsWithStatus2(t *testing.T) {
	t.Parallel()
	p := start(t, "ERROR_RATE", "2")
	p.says(t, `ERROR_RATE is "2"`)
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("exit: %v, want status 2", err)
	}
}

func TestAnAnswerThatIsLost(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newTestSite(t, "LOST_RATE", "1"))
	defer server.Close()
	res, err := http.Get(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the answer is %q, %v, want one that breaks off", body, err)
	}
	if w := get(newTestSite(t, "EMPTY", "true"), "/"); w.Body.Len() != 0 {
		t.Errorf("the empty answer is %q", w.Body)
	}
}

func TestAColdStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestSite(t, "COLD", "500ms")
		took := func() time.Duration { start := time.Now(); get(s, "/"); return time.Since(start) }
		if d := took(); d != 500*time.Millisecond {
			t.Errorf("the first answer takes %s, want 500ms", d)
		}
		for range coldAnswers {
			took()
		}
		if d := took(); d != 0 {
			t.Errorf("a warm one takes %s", d)
		}
	})
}
