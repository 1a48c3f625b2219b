package probe

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/probe/expect"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

const pinHeader = "X-Pin"

// pinning is a gateway that knows the pins of two versions and sends everything else
// to stable. It refuses what no stream sends.
func pinning(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, ok := map[string]string{"": "stable", "a": "stable", "b": "canary"}[r.Header.Get(pinHeader)]
		if !ok || r.Method != http.MethodGet || strings.Contains(r.RequestURI, "#") {
			t.Errorf("%s %s with the pin %q", r.Method, r.RequestURI, r.Header.Get(pinHeader))
		}
		w.Header().Set("X-Version", to)
		w.Header().Set("X-Path", r.URL.Path)
		if r.URL.Path == "/missing" {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestAStreamAsksForPagesByWeightAndPinsItsShare(t *testing.T) {
	t.Parallel()
	srv := pinning(t)
	page := func(path string, weight, status int) Page {
		return Page{URL: srv.URL + path, Path: expect.Path{Path: path, Weight: weight}, Before: release.Answers{Path: path, Status: status}}
	}
	book := &Book{}
	book.Learn(rollout.SideStable, "stable")
	book.Learn(rollout.SideCanary, "canary")
	pages := []Page{page("/home#user", 3, 200), page("/missing", 1, 404), page("/api?a=1", 4, 200)}
	c := Config{
		Target: Target{URL: srv.URL}, Pages: pages, Rate: 1000, Marker: Marker{Header: "X-Version"}, Book: book,
		Pins: map[rollout.Side]http.Header{rollout.SideStable: {pinHeader: {"a"}}, rollout.SideCanary: {pinHeader: {"b"}}},
	}
	var stream *Stream
	var as []Answer
	started := make(chan struct{})
	c.OnAnswer = func(a Answer) {
		<-started
		if as = append(as, a); len(as) == 1000 {
			stream.Stop()
		}
	}
	stream, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	stream.Pin(Pinning{PerSecond: 200, To: []rollout.Side{rollout.SideCanary, rollout.SideStable}})
	close(started)
	<-stream.Done()
	got, failed := map[rollout.Side]int{}, 0
	paths := make([]int, len(pages))
	for _, a := range as {
		got[a.Pinned]++
		paths[a.Page]++
		if a.Failed || len(a.Wrong) > 0 {
			failed++
		}
		if a.Pinned != "" && a.Side != a.Pinned || a.Pinned == "" && a.Side != rollout.SideStable {
			t.Fatalf("an answer of %s to a request for %q", a.Side, a.Pinned)
		}
	}
	if failed > 0 {
		t.Errorf("%d of %d failed or are wrong: each path has a baseline of its own", failed, len(as))
	}
	// A fifth is pinned, half of it to each; the first requests went out before Pin.
	for _, side := range []rollout.Side{rollout.SideStable, rollout.SideCanary} {
		if n := got[side]; n < len(as)/10-5 || n > len(as)/10+1 {
			t.Errorf("%d of %d requests were for %s alone, want a tenth", n, len(as), side)
		}
		if open := stream.Open(side); open != 0 {
			t.Errorf("%d requests for %s are open at the end", open, side)
		}
	}
	for i, share := range []float64{3. / 8, 1. / 8, 4. / 8} {
		if have := float64(paths[i]) / float64(len(as)); have < share-.08 || have > share+.08 {
			t.Errorf("%s got %.3f of the requests, want %.3f", pages[i].Path.Path, have, share)
		}
	}
}

// The size of a body counts to its end, beyond what is kept of it, packed or not.
func TestAStreamSaysWhatIsWrongWithAnAnswer(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("candlefish "), 30<<10) // 330 KiB
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(body) // into memory
	_ = z.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		switch r.URL.Path {
		case "/whole":
			_, _ = w.Write(body)
		case "/packed":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed.Bytes())
		case "/chunked":
			for part := range slices.Chunk(body, 64<<10) {
				_, _ = w.Write(part)
				w.(http.Flusher).Flush()
			}
		case "/short":
			_, _ = w.Write(body[:70<<10])
		case "/login":
			http.Redirect(w, r, "/whole", http.StatusFound)
		}
	}))
	t.Cleanup(srv.Close)
	want := map[string][]evidence.Wrong{
		"/whole": nil, "/packed": nil, "/chunked": nil, "/short": {evidence.WrongSmaller}, "/login": {evidence.WrongRedirect}, "/empty": {evidence.WrongEmpty},
	}
	c := Config{Target: Target{URL: srv.URL}, Rate: 100}
	size := int64(len(body))
	for path := range want {
		before := release.Answers{Path: path, Status: 200, Type: "text/plain", Smallest: size, Largest: size}
		c.Pages = append(c.Pages, Page{URL: srv.URL + path, Path: expect.Path{Path: path, Weight: 1}, Before: before})
		sample, err := Fetch(t.Context(), Target{URL: srv.URL + path}, "")
		if err != nil {
			t.Fatal(err)
		}
		if whole := want[path] == nil; whole && sample.Size != size {
			t.Errorf("%s has %d bytes, want %d", path, sample.Size, size)
		}
	}
	seen := map[string]bool{}
	as, _ := collect(t, c, func(as []Answer) bool {
		seen[c.Pages[as[len(as)-1].Page].Path.Path] = true
		return len(seen) == len(want)
	})
	tally := Tally{}
	for _, a := range as {
		path := c.Pages[a.Page].Path.Path
		if a.Failed || !slices.Equal(a.Wrong, want[path]) {
			t.Errorf("%s: failed %v, wrong %v, want %v", path, a.Failed, a.Wrong, want[path])
		}
		tally.Add(a)
	}
	all := tally.Total().Merge(tally.Total()).All()
	if all.Failed != 0 || len(all.Wrong) != 3 || all.Wrong[evidence.WrongRedirect] < 2 {
		t.Errorf("the tally, twice: %+v", all)
	}
	if diff := cmp.Diff(int64(2*len(as)), all.Total); diff != "" {
		t.Errorf("total (-want +got):\n%s", diff)
	}
}
