package perfsite_test

import (
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/perfsite"
)

func start(t *testing.T, o perfsite.Options) *perfsite.Site {
	t.Helper()
	s, err := perfsite.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client follows no redirects and knows no certificate.
var client = &http.Client{
	Timeout:       time.Minute,
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// An answer is what a test looks at.
type answer struct {
	StatusCode    int
	Header        http.Header
	ContentLength int64
}

func ask(t *testing.T, url string) (answer, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "gzip")
	response, err := client.Do(request)
	if err != nil {
		return answer{}, "", err
	}
	defer func() { _ = response.Body.Close() }()
	body := io.Reader(response.Body)
	if response.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, response.ContentLength}, string(text), nil
}

func mustAsk(t *testing.T, url string) (answer, string) {
	t.Helper()
	response, text, err := ask(t, url)
	if err != nil {
		t.Fatal(err)
	}
	return response, text
}

func TestEveryPageAndAllThatItLoads(t *testing.T) {
	t.Parallel()
	s := start(t, perfsite.Options{Version: "7", BlockingScript: 300_000})
	loads := regexp.MustCompile(`(?:href|src)="([^"]+)"`)
	for _, page := range []string{"/", "/workshop", "/atelier", "/health"} {
		response, text := mustAsk(t, s.URL+page)
		if response.StatusCode != 200 || response.Header.Get("X-Version") != "7" || response.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s answers %d %v", page, response.StatusCode, response.Header)
		}
		found := loads.FindAllStringSubmatch(text, -1)
		if len(found) != 9 {
			t.Errorf("%s loads %q", page, found)
		}
		for _, m := range found {
			if response, _ := mustAsk(t, s.URL+m[1]); response.StatusCode != 200 {
				t.Errorf("%s of %s answers %d", m[1], page, response.StatusCode)
			}
		}
	}
	for path, kind := range map[string]string{"/api/health": "application/json", "/api/list": "application/json", "/robots.txt": "text/plain; charset=utf-8"} {
		if response, _ := mustAsk(t, s.URL+path); response.StatusCode != 200 || response.Header.Get("Content-Type") != kind {
			t.Errorf("%s answers %d %v", path, response.StatusCode, response.Header)
		}
	}
	if response, _ := mustAsk(t, s.URL+"/nothing"); response.StatusCode != 404 {
		t.Errorf("/nothing answers %d", response.StatusCode)
	}
}

func TestTheSitemapNamesThePages(t *testing.T) {
	t.Parallel()
	s := start(t, perfsite.Options{})
	_, text := mustAsk(t, s.URL+"/sitemap.xml")
	type location struct {
		Loc string `xml:"loc"`
	}
	var parsed struct {
		URL []location `xml:"url"`
	}
	if err := xml.Unmarshal([]byte(text), &parsed); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range parsed.URL {
		got = append(got, strings.TrimPrefix(u.Loc, s.URL))
	}
	if want := "[/ /workshop /atelier /health]"; fmt.Sprint(got) != want {
		t.Errorf("the sitemap names %v, want %s", got, want)
	}
}

func TestTheBlockingScriptHasItsSize(t *testing.T) {
	t.Parallel()
	_, clean := mustAsk(t, start(t, perfsite.Options{}).URL+"/")
	if strings.Contains(clean, "blocking") {
		t.Error("the clean site has a blocking script")
	}
	planted := start(t, perfsite.Options{BlockingScript: 300_000})
	_, page := mustAsk(t, planted.URL+"/")
	if before, _, found := strings.Cut(page, "/assets/blocking.js"); !found || strings.Contains(before, "stylesheet") {
		t.Errorf("the script is not the first that the page loads:\n%s", page)
	}
	response, text := mustAsk(t, planted.URL+"/assets/blocking.js")
	if n := len(text); n < 299_000 || n > 301_000 {
		t.Errorf("the script has %d bytes", n)
	}
	if response.ContentLength < 60_000 || response.ContentLength > 150_000 {
		t.Errorf("compressed it has %d bytes, unlike code", response.ContentLength)
	}
	if _, again := mustAsk(t, start(t, perfsite.Options{BlockingScript: 300_000}).URL+"/assets/blocking.js"); again != text {
		t.Error("another site has another script")
	}
}

func TestDefectsOfTheScript(t *testing.T) {
	t.Parallel()
	_, clean := mustAsk(t, start(t, perfsite.Options{}).URL+"/assets/app.js")
	for name, c := range map[string]struct {
		options perfsite.Options
		has     string
	}{
		"shift":   {perfsite.Options{LayoutShift: true}, "prepend(banner)"},
		"leak":    {perfsite.Options{MemoryLeak: true}, "kept.push"},
		"handler": {perfsite.Options{SlowHandler: 300 * time.Millisecond}, "performance.now() + 300;"},
	} {
		_, planted := mustAsk(t, start(t, c.options).URL+"/assets/app.js")
		if !strings.HasPrefix(planted, clean) || !strings.Contains(planted, c.has) || strings.Contains(clean, c.has) {
			t.Errorf("%s: the script is\n%s", name, planted)
		}
	}
}

func TestThePictureIsSmall(t *testing.T) {
	t.Parallel()
	_, text := mustAsk(t, start(t, perfsite.Options{}).URL+"/assets/bench.jpg")
	if len(text) > 20_000 {
		t.Errorf("the picture has %d bytes", len(text))
	}
	img, _, err := image.Decode(strings.NewReader(text))
	if err != nil || img.Bounds() != image.Rect(0, 0, 800, 400) {
		t.Errorf("the picture: %v", err)
	}
}

func TestAnswersOfABrokenSite(t *testing.T) {
	t.Parallel()
	if response, _ := mustAsk(t, start(t, perfsite.Options{Status: 503}).URL+"/"); response.StatusCode != 503 {
		t.Errorf("the page answers %d, want 503", response.StatusCode)
	}
	response, _ := mustAsk(t, start(t, perfsite.Options{RedirectLoop: true}).URL+"/workshop")
	if response.StatusCode != 302 || response.Header.Get("Location") != "/workshop" {
		t.Errorf("the page answers %d to %s, want 302 to itself", response.StatusCode, response.Header.Get("Location"))
	}
	s := start(t, perfsite.Options{ErrorRate: 0.05})
	failed := 0
	for range 100 {
		if response, _ := mustAsk(t, s.URL+"/api/health"); response.StatusCode == 500 {
			failed++
		}
	}
	if failed != 5 {
		t.Errorf("%d of 100 requests failed, want 5", failed)
	}
}

func TestConnectionsOfABrokenSite(t *testing.T) {
	t.Parallel()
	if _, _, err := ask(t, start(t, perfsite.Options{Down: true}).URL); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a site that is down: %v", err)
	}
	if _, _, err := ask(t, start(t, perfsite.Options{Drop: true}).URL); !errors.Is(err, io.EOF) {
		t.Errorf("a site that closes connections: %v", err)
	}
	s := start(t, perfsite.Options{TLS: true})
	var unknown x509.UnknownAuthorityError
	if _, _, err := ask(t, s.URL); !errors.As(err, &unknown) {
		t.Errorf("a site with a certificate of its own: %v", err)
	}
	trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer trusting.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := trusting.Do(request)
	if err != nil || response.StatusCode != 200 {
		t.Errorf("whoever trusts it gets %v, %v", response, err)
	}
	if err == nil {
		_ = response.Body.Close()
	}
}

// A delay is at least what was asked for: no claim about the machine.
func TestDelays(t *testing.T) {
	t.Parallel()
	api := start(t, perfsite.Options{APIDelay: 200 * time.Millisecond})
	all := start(t, perfsite.Options{Delay: 200 * time.Millisecond})
	for _, url := range []string{api.URL + "/api/list", api.URL + "/api/health", all.URL + "/"} {
		before := time.Now()
		mustAsk(t, url)
		if took := time.Since(before); took < 200*time.Millisecond {
			t.Errorf("%s answered after %s", url, took)
		}
	}
}
