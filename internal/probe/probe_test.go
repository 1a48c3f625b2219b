package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/candlefish/deploy-action/internal/rollout"
)

func TestFailed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, baseline int
		want             bool
	}{
		{200, 200, false}, {302, 200, false}, {204, 0, false},
		{0, 200, true}, {0, 0, true}, {500, 0, true}, {502, 200, true}, {503, 503, true},
		{429, 0, true}, {429, 429, true},
		{404, 0, false}, {404, 200, true}, {404, 404, false}, {401, 401, false}, {404, 401, true}, {403, 302, true},
	} {
		if got := Failed(c.status, c.baseline); got != c.want {
			t.Errorf("Failed(%d, %d) = %v, want %v", c.status, c.baseline, got, c.want)
		}
	}
}

func TestParseMarker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, out, err string }{
		{"x-version", "header:X-Version", ""},
		{"header:X-Version", "header:X-Version", ""},
		{"pod:x-pod", "pod:X-Pod", ""},
		{`body:v=(\d+)`, `body:v=(\d+)`, ""},
		{"", "", "not a header name"},
		{"header:", "", "not a header name"},
		{"header:A B", "", "not a header name"},
		{"body:(", "", "missing closing"},
		{"body:x", "", "one capture group"},
		{"body:(a)(b)", "", "one capture group"},
		{"cookie:a", "", "want header:NAME"},
	} {
		m, err := ParseMarker(c.in)
		switch {
		case c.err == "" && err != nil:
			t.Errorf("ParseMarker(%q): %v", c.in, err)
		case c.err == "" && m.String() != c.out:
			t.Errorf("ParseMarker(%q) = %q, want %q", c.in, m, c.out)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("ParseMarker(%q): error %v, want %q in it", c.in, err, c.err)
		}
	}
}

func FuzzParseMarker(f *testing.F) {
	for _, s := range []string{"X-Version", "pod:x", `body:(\w+)`, ":", "body:", "header:é"} {
		f.Add(s, "v=1")
	}
	f.Fuzz(func(t *testing.T, s, body string) {
		m, err := ParseMarker(s)
		if err != nil {
			return
		}
		again, err := ParseMarker(m.String())
		if err != nil || again.String() != m.String() {
			t.Errorf("%q -> %q -> %q, %v", s, m, again, err)
		}
		if v := m.Value(http.Header{}, []byte(body)); len(v) > maxValue {
			t.Errorf("value of %d bytes", len(v))
		}
	})
}

func TestMarkerValue(t *testing.T) {
	t.Parallel()
	h := http.Header{"X-Version": {" 1.2 ", "9"}, "Long": {strings.Repeat("é", 100)}}
	body, err := ParseMarker(`body:"version":"([^"]+)"`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		m    Marker
		want string
	}{
		{"first header value, trimmed", Marker{Header: "X-Version"}, "1.2"},
		{"absent", Marker{Header: "X-Release"}, ""},
		{"zero marker", Marker{}, ""},
		{"body", body, "abc"},
		{"cut at a rune", Marker{Header: "Long"}, strings.Repeat("é", 64)},
	} {
		if got := c.m.Value(h, []byte(`{"version":"abc"}`)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestBook(t *testing.T) {
	t.Parallel()
	var b Book
	want := func(v string, s rollout.Side) {
		t.Helper()
		if got := b.Side(v); got != s {
			t.Errorf("Side(%q) = %v, want %v", v, got, s)
		}
	}
	want("1.0", rollout.SideUnattributed) // nothing learnt
	b.Learn(rollout.SideStable, "1.0", "")
	want("1.0", rollout.SideStable)
	want("1.1", rollout.SideCanary) // only stable is known: anything else is the canary
	want("", rollout.SideUnattributed)
	b.Learn(rollout.SideCanary, "1.1")
	want("1.1", rollout.SideCanary)
	want("1.2", rollout.SideUnattributed) // neither of the two
	b.Learn(rollout.SideCanary, "1.0")
	want("1.0", rollout.SideUnattributed) // on both sides: ambiguous
	if diff := cmp.Diff([]string{"1.0", "1.1"}, b.Values(rollout.SideCanary)); diff != "" {
		t.Error(diff)
	}

	var pods Book
	pods.Strict()
	pods.LearnPrefix(rollout.SideStable, "web-7d9f-")
	if got := pods.Side("web-7d9f-abcde"); got != rollout.SideStable {
		t.Errorf("pod of stable: %v", got)
	}
	if got := pods.Side("web-aaaa-abcde"); got != rollout.SideUnattributed {
		t.Errorf("strict book: %v, want unattributed", got)
	}
	pods.LearnPrefix(rollout.SideCanary, "web-aaaa-", "")
	if got := pods.Side("web-aaaa-abcde"); got != rollout.SideCanary {
		t.Errorf("pod of canary: %v", got)
	}
	if got := (*Book)(nil).Side("x"); got != rollout.SideUnattributed {
		t.Errorf("nil book: %v", got)
	}
}

func headers(kv ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(kv); i += 2 {
		h.Set(kv[i], kv[i+1])
	}
	return h
}

func times(n int, h http.Header) []http.Header { return slices.Repeat([]http.Header{h}, n) }

func TestDiscover(t *testing.T) {
	t.Parallel()
	requestIDs := []http.Header{}
	for _, id := range []string{"a", "b", "c", "d"} {
		requestIDs = append(requestIDs, headers("X-Revision", id))
	}
	for _, c := range []struct {
		name           string
		stable, canary []http.Header
		extra          []string
		want, err      string
	}{
		{name: "version", stable: times(3, headers("X-Version", "1")), canary: times(1, headers("X-Version", "2")), want: "header:X-Version"},
		{name: "canary not known", stable: times(3, headers("X-Version", "1")), want: "header:X-Version"},
		{name: "same version, other pod", stable: times(3, headers("X-Version", "1", "X-Pod", "a")), canary: times(1, headers("X-Version", "1", "X-Pod", "b")), want: "pod:X-Pod"},
		{name: "same on both", stable: times(3, headers("X-Version", "1")), canary: times(1, headers("X-Version", "1")), err: `X-Version is "1" in both versions`},
		{name: "not on every answer", stable: append(times(2, headers("X-Version", "1")), headers()), err: "missing from 1 of 3"},
		{name: "not on the canary", stable: times(2, headers("X-Version", "1")), canary: times(1, headers()), err: "missing from 1 of 1 canary answers"},
		{name: "a request's, not a version's", stable: requestIDs, canary: times(1, headers("X-Revision", "e")), err: "changes with every answer"},
		{name: "two values on stable, canary not known", stable: append(times(3, headers("X-Build", "1")), headers("X-Build", "2")), err: "2 values"},
		{name: "two builds on stable, canary known", stable: append(times(3, headers("X-Build", "1")), headers("X-Build", "2")), canary: times(1, headers("X-Build", "3")), want: "header:X-Build"},
		{name: "own header first", stable: times(2, headers("X-Version", "1", "X-Mine", "1")), canary: times(1, headers("X-Version", "2", "X-Mine", "2")), extra: []string{"x-mine"}, want: "header:X-Mine"},
		{name: "nothing there", stable: times(2, headers("Server", "nginx")), err: "none of the usual"},
		{name: "no answers", err: "did not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, book, err := Discover(c.stable, c.canary, c.extra...)
			if c.err != "" {
				if !errors.Is(err, ErrNoMarker) || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want ErrNoMarker with %q", err, c.err)
				}
				return
			}
			if err != nil || m.String() != c.want {
				t.Fatalf("got %q, %v, want %q", m, err, c.want)
			}
			if got := book.Side(m.Value(c.stable[0], nil)); got != rollout.SideStable {
				t.Errorf("stable's own answer is %v", got)
			}
			if len(c.canary) > 0 {
				if got := book.Side(m.Value(c.canary[0], nil)); got != rollout.SideCanary {
					t.Errorf("the canary's own answer is %v", got)
				}
			}
		})
	}
}

func TestDiscoverPodsAreStrict(t *testing.T) {
	t.Parallel()
	m, book, err := Discover([]http.Header{headers("X-Pod", "a"), headers("X-Pod", "b")}, nil)
	if err != nil || !m.Pod {
		t.Fatalf("%q, %v", m, err)
	}
	if got := book.Side("c"); got != rollout.SideUnattributed {
		t.Errorf("a pod not heard of is %v, want unattributed", got)
	}
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	l := Latencies{{1 * ms, 2}, {3 * ms, 1}}.Merge(Latencies{{2 * ms, 1}, {3 * ms, 4}})
	if diff := cmp.Diff(Latencies{{1 * ms, 2}, {2 * ms, 1}, {3 * ms, 5}}, l); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0, ms}, {0.25, ms}, {0.26, 2 * ms}, {0.375, 2 * ms}, {0.5, 3 * ms}, {1, 3 * ms}} {
		if got := l.Quantile(c.q); got != c.want {
			t.Errorf("Quantile(%v) = %v, want %v", c.q, got, c.want)
		}
	}
	if l.Len() != 8 || l.Max() != 3*ms || (Latencies)(nil).Quantile(.5) != 0 {
		t.Errorf("Len %d, Max %v, empty %v", l.Len(), l.Max(), Latencies(nil).Quantile(.5))
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var ta Tally
	ta.Add(Answer{Sent: t0, Side: rollout.SideStable, Latency: time.Millisecond, Status: 200})
	ta.Begin(0, t0.Add(time.Second))
	ta.Begin(1, t0.Add(10*time.Second))
	for i := range 20 { // late answers of step 0, among those of step 1
		at := t0.Add(time.Second + time.Duration(i)*time.Millisecond)
		ta.Add(Answer{Sent: at, Side: rollout.SideCanary, Latency: 100 * time.Millisecond, Status: 503, Failed: true})
	}
	ta.Add(Answer{Sent: t0.Add(10 * time.Second), Side: rollout.SideCanary, Latency: 20 * time.Millisecond, Status: 200, Retried: 1})
	ta.Add(Answer{Sent: t0.Add(11 * time.Second), Latency: time.Hour, Status: 404})

	if got := ta.Step(Before).Stable.Total; got != 1 {
		t.Errorf("before: %d", got)
	}
	s0 := ta.Step(0)
	if s0.Canary.Total != 20 || s0.Canary.Failed != 20 || s0.Canary.Latency.Len() != 0 {
		t.Errorf("step 0: %+v", s0.Canary)
	}
	if len(s0.First) != 5 || len(s0.Last) != 5 || !s0.First[0].At.Equal(t0.Add(time.Second)) || !s0.Last[4].At.Equal(t0.Add(1019*time.Millisecond)) {
		t.Errorf("failures kept: %+v %+v", s0.First, s0.Last)
	}
	s1 := ta.Step(1)
	if s1.Canary.Total != 1 || s1.Canary.Retried != 1 || s1.Unattributed.Total != 1 {
		t.Errorf("step 1: %+v", s1)
	}
	if got := s1.Canary.Latency.Quantile(.95); got < 20*time.Millisecond || got > 20300*time.Microsecond {
		t.Errorf("p95 of one 20 ms answer: %v", got)
	}
	if got := s1.Unattributed.Latency.Max(); got < longest || got > longest+2*time.Second {
		t.Errorf("clamped latency: %v", got)
	}
	total := ta.Total()
	if total.Total() != 23 || total.Failed() != 20 {
		t.Errorf("total %d failed %d", total.Total(), total.Failed())
	}
	if diff := cmp.Diff(total, s0.Merge(s1).Merge(ta.Step(Before)), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Total differs from merged steps:\n%s", diff)
	}
	if diff := cmp.Diff(Counts{}, ta.Step(7)); diff != "" {
		t.Error(diff)
	}
	b, err := json.Marshal(total)
	if err != nil {
		t.Fatal(err)
	}
	var back Counts
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(total, back, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("through JSON:\n%s", diff)
	}
}

func TestTallyConcurrently(t *testing.T) {
	t.Parallel()
	var ta Tally
	var wg sync.WaitGroup
	t0 := time.Unix(0, 0)
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				ta.Add(Answer{Sent: t0.Add(time.Duration(i) * time.Second), Side: []rollout.Side{rollout.SideUnattributed, rollout.SideStable, rollout.SideCanary}[g%3], Latency: time.Duration(i) * time.Millisecond, Failed: i%50 == 0})
				if i%40 == 0 {
					ta.Total()
					ta.Step(0)
				}
			}
		})
	}
	wg.Wait()
	if c := ta.Total(); c.Total() != 1600 || c.Failed() != 32 {
		t.Errorf("total %d failed %d", c.Total(), c.Failed())
	}
}

func TestCleanError(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`Get "http://h/p?token=s3cret": dial tcp: connection refused`: "dial tcp: connection refused",
		"a\n b":                  "a b",
		strings.Repeat("x", 300): strings.Repeat("x", 200) + "…",
	} {
		if got := cleanError(in); got != want {
			t.Errorf("cleanError(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	s := schedule{every: 10 * ms, rand: func(n time.Duration) time.Duration { return n / 2 }}
	for i, c := range []struct {
		elapsed, wait time.Duration
		missed        uint64
	}{
		{0, 0, 0},
		{1 * ms, 9 * ms, 0},
		{40 * ms, 0, 0}, // 20 ms late: caught up on
		{41 * ms, 0, 0}, // 30 was due
		{42 * ms, 0, 0}, // 40 was due
		{42 * ms, 8 * ms, 0},
		{1060 * ms, 0, 100}, // a second's standstill is not made up for
		{1061 * ms, 9 * ms, 0},
	} {
		wait, missed := s.next(c.elapsed)
		if wait != c.wait || missed != c.missed {
			t.Errorf("%d: next(%v) = %v, %d, want %v, %d", i, c.elapsed, wait, missed, c.wait, c.missed)
		}
	}
}

// A round-robin gateway under an even load, at rates in phase with the probes':
// the probes measure the share that users see.
func TestProbesSeeTheShareOfARoundRobin(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, load := range []int{0, 50, 100, 200, 300, 500, 1000} {
		for _, cycle := range []int{2, 4, 20} { // one request in so many goes to the canary
			t.Run(fmt.Sprintf("%d per second, 1 in %d", load, cycle), func(t *testing.T) {
				s := schedule{every: 10 * time.Millisecond, rand: func(n time.Duration) time.Duration {
					return time.Duration(random.Int64N(int64(n)))
				}}
				const probes = 6000
				var now time.Duration
				canary := 0
				for n := range probes {
					wait, _ := s.next(now)
					now += wait
					before := int(now * time.Duration(load) / time.Second)
					if (before+n)%cycle == 0 {
						canary++
					}
				}
				if share, want := float64(canary)/probes, 1/float64(cycle); math.Abs(share-want) > 0.1*want {
					t.Errorf("measured share %.3f, want %.3f", share, want)
				}
			})
		}
	}
}

func TestASwappedBook(t *testing.T) {
	t.Parallel()
	var b Book
	b.Learn(rollout.SideStable, "1.0")
	b.LearnPrefix(rollout.SideCanary, "web-2-")
	b.Swap()
	sides := func() string { return fmt.Sprintf("%s %s %s", b.Side("1.0"), b.Side("web-2-x"), b.Side("other")) }
	if got := sides(); got != "canary stable unattributed" {
		t.Errorf("swapped: %s", got)
	}
	b.Swap()
	if got := sides(); got != "stable canary unattributed" {
		t.Errorf("swapped twice: %s", got)
	}
	var half Book // only one version is known: any other value is the other one's
	half.Learn(rollout.SideStable, "1.0")
	half.Swap()
	if half.Side("1.0") != rollout.SideCanary || half.Side("1.1") != rollout.SideStable {
		t.Errorf("half a book, swapped: %s, %s", half.Side("1.0"), half.Side("1.1"))
	}
}
