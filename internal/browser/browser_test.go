package browser

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// installed installs what the checks need where it is missing.
var installed = sync.OnceValue(func() error {
	if (Checker{}).Available() == nil {
		return nil
	}
	packages := []string{"chromium"}
	for program, name := range map[string]string{"node": "nodejs", "npm": "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			packages = append(packages, name)
		}
	}
	for _, args := range [][]string{{"update", "-q"}, append([]string{"install", "-q", "-y", "--no-install-recommends"}, packages...)} {
		cmd := exec.Command("apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, out[max(0, len(out)-keptBytes):])
		}
	}
	return (Checker{}).Available()
})

// needBrowser installs what is missing, which takes root. Under -short, the run without root, it skips the test instead.
func needBrowser(t *testing.T) {
	t.Helper()
	if testing.Short() && (Checker{}).Available() != nil {
		t.Skip("needs Chromium and Node.js; go tool mage test installs them and runs it")
	}
	if err := installed(); err != nil {
		t.Fatal(err)
	}
}

func checker(t *testing.T) Checker {
	t.Helper()
	needBrowser(t)
	return Checker{Logf: t.Logf}
}

const head = `<!doctype html><html lang="en"><head><title>Shop</title><meta name="viewport" content="width=device-width"></head>`

// A site has pages good and bad, and two that change.
type site struct {
	*httptest.Server
	colour atomic.Value
	lines  atomic.Int64
	asked  chan string // paths of the pages that hang
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{asked: make(chan string, 100)}
	s.colour.Store("teal")
	s.lines.Store(1)
	mux := http.NewServeMux()
	page := func(path string, body func() string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, head, "<body><main><h1>Shop</h1>", body(), "</main></body></html>")
		})
	}
	page("/good", func() string { return `<p>Welcome.</p><label>Name <input></label>` })
	page("/bad", func() string { return bad })
	page("/hostile", func() string { return hostile + bad })
	page("/frame", func() string { return `<iframe title="inner" src="/bad"></iframe>` })
	page("/colour", func() string {
		return fmt.Sprintf(`<div style="width:200px;height:200px;background:%s"></div>`, s.colour.Load())
	})
	page("/grows", func() string { return strings.Repeat(`<p style="height:900px">line</p>`, int(s.lines.Load())) })
	page("/endless", func() string { return `<div style="height:400000px">long</div>` })
	page("/moves", func() string { return moves })
	page("/loops", func() string { return `<script>onload = () => { for (;;); }</script>` })
	mux.HandleFunc("GET /hangs", func(_ http.ResponseWriter, r *http.Request) {
		s.asked <- r.URL.Path
		<-r.Context().Done()
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

const (
	bad     = `<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><p style="color:#bbb;background:#fff">Faint.</p><input type="text">`
	hostile = `<script>
		window.axe = {run: async () => ({violations: []})};
		Array.prototype.filter = Array.prototype.map = () => [];
		window.setTimeout = () => {};
	</script>`
	moves = `<style>@keyframes turn { to { transform: rotate(360deg) } } @keyframes blink { 50% { opacity: 0 } }
		div { width: 99px; height: 99px; background: teal; animation: turn 1s linear infinite, blink 700ms infinite }</style>
		<div></div><p id="t"></p><p id="n"></p><input autofocus aria-label="name"><script>
		const tick = () => { t.textContent = new Date().toISOString(); n.textContent = performance.now().toFixed(0) };
		setInterval(tick, 1000); tick();
	</script>`
)

// pages are the site's pages by their paths, each named after its own.
func (s *site) pages(paths ...string) []Page {
	var ps []Page
	for _, p := range paths {
		ps = append(ps, Page{URL: s.URL + p})
	}
	return ps
}

func run(t *testing.T, c Checker, opts Options) map[string]Result {
	t.Helper()
	if opts.Out == "" {
		opts.Out = t.TempDir()
	}
	results, err := c.Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]Result{}
	for _, r := range results {
		by[r.Page+" "+r.Viewport] = r
	}
	return by
}

// size reads a picture to its end.
func size(t *testing.T, path ...string) (width, height int) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%s: %v", filepath.Join(path...), err)
	}
	return img.Bounds().Dx(), img.Bounds().Dy()
}

func TestRun(t *testing.T) {
	t.Parallel()
	c, s, out := checker(t), newSite(t), t.TempDir()
	began := time.Now()
	by := run(t, c, Options{Pages: s.pages("/good", "/bad", "/hostile", "/frame", "/gone", "/endless"), Out: out, Accessibility: true, Visual: true})
	t.Logf("%d views in %v", len(by), time.Since(began).Round(time.Millisecond))
	want := map[string]string{"good": "", "bad": "image-alt label color-contrast", "hostile": "image-alt label color-contrast",
		"frame": "image-alt label color-contrast", "gone": "", "endless": ""}
	if len(by) != 2*len(want) {
		t.Errorf("%d results, want two per page", len(by))
	}
	for _, v := range Viewports() {
		for page, ids := range want {
			r := by[page+" "+v.Name]
			if got := violationIDs(r); got != ids {
				t.Errorf("%s in %s breaks %q, want %q", page, v.Name, got, ids)
			}
			if page == "gone" {
				if r.Err != "it answers 404 Not Found" || r.Picture != "" {
					t.Errorf("gone: %+v", r)
				}
				continue
			}
			if r.Err != "" || r.Baseline || r.Changed || r.Picture != page+"-"+v.Name+".png" {
				t.Errorf("%+v", r)
			}
			w, h := size(t, out, r.Picture)
			if page == "endless" && h != 10000 || page == "good" && (w != v.Width || h != v.Height) {
				t.Errorf("%s is %dx%d", r.Picture, w, h)
			}
		}
	}
	worst := by["bad desktop"].Violations[0]
	if worst.Impact != "critical" || worst.Nodes != 1 || worst.Help == "" || !strings.HasPrefix(worst.URL, "https://dequeuniversity.com/") {
		t.Errorf("%+v", worst)
	}
	checkFiles(t, out, len(by))
}

func violationIDs(r Result) string {
	var ids []string
	for _, v := range r.Violations {
		ids = append(ids, v.ID)
	}
	return strings.Join(ids, " ")
}

// checkFiles looks at the artifacts beside the pictures.
func checkFiles(t *testing.T, out string, views int) {
	t.Helper()
	for name, has := range map[string]string{"results.json": `"picture": "good-mobile.png"`, "bad-desktop.axe.json": `"target"`} {
		raw, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || !json.Valid(raw) || !strings.Contains(string(raw), has) || strings.Contains(string(raw), out) {
			t.Errorf("%s: %v\n%s", name, err, raw)
		}
	}
	var results []Result
	raw, _ := os.ReadFile(filepath.Join(out, "results.json"))
	if err := json.Unmarshal(raw, &results); err != nil || len(results) != views {
		t.Errorf("results.json has %d results (%v), want %d", len(results), err, views)
	}
}

func TestVisualDiff(t *testing.T) {
	t.Parallel()
	c, s, before := checker(t), newSite(t), t.TempDir()
	opts := Options{Pages: s.pages("/colour", "/grows", "/moves", "/good"), Out: before, Visual: true, Viewports: Viewports()[:1], MaxDiff: 0.001}
	run(t, c, opts)
	s.colour.Store("tomato")
	s.lines.Store(2)
	if err := os.WriteFile(filepath.Join(before, "good-desktop.png"), []byte("no picture at all, but long enough"), 0o644); err != nil {
		t.Fatal(err)
	}
	opts.Baseline, opts.Out = before, t.TempDir()
	by := run(t, c, opts)

	if r := by["colour desktop"]; !r.Baseline || !r.Changed || r.Note != "" || r.DiffShare < 0.035 || r.DiffShare > 0.04 {
		t.Errorf("another colour in 200x200 of 1280x800: %+v", r)
	} else if w, h := size(t, opts.Out, r.Diff); w != 1280 || h != 800 {
		t.Errorf("the difference is %dx%d", w, h)
	}
	if r := by["grows desktop"]; !r.Changed || r.DiffShare < 0.3 || !strings.HasPrefix(r.Note, "the picture is 1280x1") || r.Err != "" {
		t.Errorf("another size: %+v", r)
	} else if _, h := size(t, opts.Out, r.Diff); h < 1800 {
		t.Errorf("the difference is %d high, want the larger of both", h)
	}
	if r := by["moves desktop"]; !r.Baseline || r.Changed || r.DiffShare != 0 || r.Diff != "" || r.Err != "" {
		t.Errorf("animations and a clock: %+v", r)
	}
	if r := by["good desktop"]; r.Changed || !strings.Contains(r.Err, "the earlier picture is no PNG") {
		t.Errorf("an earlier picture that is none: %+v", r)
	}
}

// A folder may be baseline and output: each run is compared with the last.
func TestRollingBaseline(t *testing.T) {
	t.Parallel()
	c, s, out := checker(t), newSite(t), t.TempDir()
	opts := Options{Pages: s.pages("/colour"), Out: out, Baseline: filepath.Join(out, ".", "..", filepath.Base(out)), Visual: true,
		Viewports: Viewports()[1:], MaxDiff: 0.5}
	if r := run(t, c, opts)["colour mobile"]; r.Baseline || r.Changed {
		t.Errorf("first: %+v", r)
	}
	s.colour.Store("tomato")
	if r := run(t, c, opts)["colour mobile"]; !r.Baseline || r.Changed || r.DiffShare == 0 || r.Diff != "" {
		t.Errorf("a change that is allowed: %+v", r)
	}
	s.colour.Store("teal")
	opts.MaxDiff = 0
	if r := run(t, c, opts)["colour mobile"]; !r.Changed || r.Diff != "colour-mobile.diff.png" {
		t.Errorf("back again: %+v", r)
	}
	if r := run(t, c, opts)["colour mobile"]; r.Changed {
		t.Errorf("the same: %+v", r)
	}
	if _, err := os.Stat(filepath.Join(out, "colour-mobile.diff.png")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the last run's difference is still there: %v", err)
	}
}

func TestPagesThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	c, s := checker(t), newSite(t)
	pages := append(s.pages("/hangs", "/loops"), Page{URL: "http://127.0.0.1:9/", Name: "refused"})
	by := run(t, c, Options{Pages: pages, Accessibility: true, Visual: true, Viewports: Viewports()[:1], Timeout: 3 * time.Second})
	for page, want := range map[string]string{"hangs": "within 3 s", "loops": "within 3 s", "refused": "ERR_UNSAFE_PORT"} {
		if r := by[page+" desktop"]; !strings.Contains(r.Err, want) {
			t.Errorf("%s: %+v, want %q", page, r, want)
		}
	}
}

// Two runs at once with an empty cache: npm runs once, both are right.
func TestTwoRuns(t *testing.T) {
	t.Parallel()
	s, cache := newSite(t), filepath.Join(t.TempDir(), "cache")
	c := checker(t)
	c.Cache = cache
	var installs atomic.Int64
	c.Logf = func(format string, args ...any) {
		line := fmt.Sprintf(format, args...)
		if strings.HasPrefix(line, "installing") {
			installs.Add(1)
		}
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			results, err := c.Run(t.Context(), Options{Pages: s.pages("/bad"), Out: t.TempDir(), Accessibility: true})
			if err != nil || len(results) != 2 || len(results[0].Violations) != 3 || results[0].Picture != "" {
				t.Errorf("%+v, %v", results, err)
			}
		})
	}
	wg.Wait()
	if installs.Load() != 1 {
		t.Errorf("npm ran %d times, want 1", installs.Load())
	}
	left, err := filepath.Glob(filepath.Join(cache, "*.partial"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %v, %v", left, err)
	}
}

func TestBrowserThatDoesNotStart(t *testing.T) {
	t.Parallel()
	c := checker(t)
	c.Chromium = filepath.Join(t.TempDir(), "chromium")
	if err := os.WriteFile(c.Chromium, []byte("#!/bin/sh\necho no display >&2; exit 7\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	results, err := c.Run(t.Context(), Options{Pages: []Page{{URL: "http://127.0.0.1:1/"}}, Out: t.TempDir(), Visual: true})
	if results != nil || err == nil || !strings.Contains(err.Error(), "no display") {
		t.Errorf("%v, %v; want an error that has what the browser said", results, err)
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	_, err := Checker{}.Run(t.Context(), Options{
		Pages:   []Page{{URL: "file:///etc/passwd", Name: "file"}, {URL: "http://a/x?y"}, {URL: "http://a/x-y"}, {URL: "http://", Name: "none"}},
		MaxDiff: 2, Timeout: -1, Viewports: []Viewport{{"", 0, 5000, false}},
	})
	for _, want := range []string{`page "file"`, `page "none"`, `page "x-y" in viewport "" and`, "at least one check", "no folder", "want 0 to 1", "timeout -1ns", `viewport "": 0x5000`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in: %v", want, err)
		}
	}
	if _, err := (Checker{}).Run(t.Context(), Options{Visual: true, Out: "x"}); err == nil || err.Error() != "no pages to check" {
		t.Errorf("no pages: %v", err)
	}
}

func TestFileName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"home-desktop": "home-desktop", "../../etc/x-mobile": "etc-x-mobile", "über uns-m": "ber-uns-m",
		strings.Repeat("a", 300) + "-mobile": strings.Repeat("a", 143) + "-mobile",
	} {
		if got := fileName(in); got != want {
			t.Errorf("fileName(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	j := job{Views: []view{{Page: "home", Viewport: Viewport{Name: "mobile"}}}}
	if rs, err := j.read([]byte(`{"browser":"156","results":[{"page":"home","viewport":"mobile"}]}` + "\n")); err != nil || len(rs) != 1 {
		t.Errorf("%v, %v", rs, err)
	}
	for _, answer := range []string{"", "null", "warning\n{}", `{"results":[]}`, `{"results":[{"page":"home","viewport":"mobile"}]}{}`,
		`{"results":[{"page":"other","viewport":"mobile"}]}`} {
		if rs, err := j.read([]byte(answer)); err == nil {
			t.Errorf("read(%q) = %v, want an error", answer, rs)
		}
	}
}

func TestAvailable(t *testing.T) {
	needBrowser(t)
	if err := (Checker{Chromium: "/no/such"}).Available(); err == nil || !strings.Contains(err.Error(), "need /no/such; on Debian") {
		t.Errorf("without the browser: %v", err)
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	const all = "the browser checks need node, npm, chromium or chromium-browser or google-chrome; on Debian 13 or later: " +
		"apt-get update && apt-get install --no-install-recommends nodejs npm chromium"
	if err := (Checker{}).Available(); err == nil || err.Error() != all {
		t.Errorf("with nothing: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "node"), []byte("#!/bin/sh\necho v18.20.4\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (Checker{}).Available(); err == nil || !strings.Contains(err.Error(), "node 20 or later (it is 18)") {
		t.Errorf("with an old node: %v", err)
	}
}

// Neither the browser nor the script sees a token of ours.
func TestEnvironment(t *testing.T) {
	t.Setenv("GITHUB_TOKEN", "s3cret")
	if env := strings.Join(environment("/run", "/bin/chromium"), "\n"); strings.Contains(env, "s3cret") || !strings.Contains(env, "HOME=/run") {
		t.Error(env)
	}
}

// The lock file is checked by hashes and names no registry.
func TestLockFile(t *testing.T) {
	t.Parallel()
	var lock struct {
		Packages map[string]struct{ Version, Integrity, Resolved string }
	}
	if err := json.Unmarshal(content("package-lock.json"), &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if name != "" && (p.Version == "" || !strings.HasPrefix(p.Integrity, "sha512-") || p.Resolved != "") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}
