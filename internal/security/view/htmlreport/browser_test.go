package htmlreport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/browser"
	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/security/securitytest"
)

// needBrowser installs what is missing, which takes root.
func needBrowser(t *testing.T) {
	t.Helper()
	if (browser.Checker{}).Available() == nil {
		return
	}
	for _, args := range [][]string{{"update", "-q"}, {"install", "-q", "-y", "--no-install-recommends", "chromium", "nodejs", "npm"}} {
		cmd := exec.CommandContext(t.Context(), "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("apt-get %s: %v\n%s", args[0], err, out[max(0, len(out)-4000):])
		}
	}
}

const run = "https://github.com/acme/shop/actions/runs/7"

// serve serves the report of a result, without a policy of its own.
func serve(t *testing.T, r verdict.Result) *httptest.Server {
	t.Helper()
	raw, err := Render(r, run)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(raw)
	}))
	t.Cleanup(s.Close)
	return s
}

// modules returns the folder of the browser's modules, after axe-core has checked a page
// with them.
func modules(t *testing.T, pages ...browser.Page) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "candlefish-deploy-action", "browser")
	results, err := browser.Checker{Cache: cache, Logf: t.Logf}.Run(t.Context(), browser.Options{Pages: pages, Accessibility: true, Out: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != "" || len(r.Violations) > 0 {
			t.Errorf("%s in %s: %s %+v", r.Page, r.Viewport, r.Err, r.Violations)
		}
	}
	lock, err := os.ReadFile("../../../browser/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	return filepath.Join(cache, hex.EncodeToString(sum[:8]))
}

type browsed struct {
	Title, Sorted, Dark string
	Requests, Errors    []string
	Steps               map[string]any
	Axe                 map[string][]string
	Opened              bool
	Wide                int
	WithoutScript       struct {
		Rows        int
		Form, Shown bool
	}
	HostileTitle                 string
	HostileRows, HostileFiltered int
}

// The report as people use it, in Chromium: filters, sorting, keyboard, dark mode, a
// phone, no scripts; and hostile texts. No request leaves the page, and no script
// fails, which a policy that does not fit the page would make it do.
func TestReportInBrowser(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 25 s in a browser; go tool mage test runs it")
	}
	needBrowser(t)
	r := securitytest.Cases()["both"]
	r.Findings = append(r.Findings, securitytest.Workflow(finding.StateNew))
	site := serve(t, r)
	var all verdict.Result
	for i, h := range securitytest.Hostiles {
		one := securitytest.Hostile(h)
		if i == 0 {
			all = one
			continue
		}
		all.Findings, all.Tools = append(all.Findings, one.Findings...), append(all.Tools, one.Tools...)
	}
	bad := serve(t, all)
	dir := modules(t, browser.Page{URL: site.URL, Name: "report"}, browser.Page{URL: bad.URL, Name: "hostile"})
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", "testdata/browse.mjs", dir, chromium, site.URL+"/", bad.URL+"/")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var got browsed
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	inOrder := []any{"sec-77aa01", "dep-10c4e2", "wf-5510", "wf-5510", "dep-99"}
	want := map[string]any{
		"all": inOrder, "text": []any{"dep-10c4e2"}, "nothing": []any{},
		"severity": []any{"dep-10c4e2", "dep-99"}, "severity status": "2 of 5 rows shown",
		"class": []any{"wf-5510", "wf-5510"}, "class status": "2 of 5 rows shown",
		"tool": []any{"sec-77aa01"}, "tool status": "1 of 5 rows shown",
		"state": []any{"dep-99"}, "state status": "1 of 5 rows shown",
		"waived": []any{"wf-5510"}, "waived status": "1 of 5 rows shown",
		"ascending":  []any{"wf-5510", "wf-5510", "dep-10c4e2", "dep-99", "sec-77aa01"},
		"descending": []any{"sec-77aa01", "dep-10c4e2", "dep-99", "wf-5510", "wf-5510"},
		"byTitle":    []any{"sec-77aa01", "dep-10c4e2", "dep-99", "wf-5510", "wf-5510"},
	}
	if diff := cmp.Diff(want, got.Steps); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if len(got.Requests) > 0 || len(got.Errors) > 0 {
		t.Errorf("requests %q, errors %q", got.Requests, got.Errors)
	}
	for mode, violations := range got.Axe {
		if len(violations) > 0 {
			t.Errorf("axe-core, %s: %q", mode, violations)
		}
	}
	if len(got.Axe) != 3 || got.Title != title || got.HostileTitle == "owned" || got.Sorted != "ascending" || !got.Opened || got.Dark != "rgb(13, 17, 23)" || got.Wide > 0 {
		t.Errorf("%+v", got)
	}
	if w := got.WithoutScript; w.Rows != len(inOrder) || w.Form || !w.Shown {
		t.Errorf("without scripts: %+v", w)
	}
	if got.HostileRows != len(all.Findings)+len(all.Fixed) || got.HostileFiltered != len(securitytest.Hostiles) {
		t.Errorf("hostile: %d rows, %d of them critical", got.HostileRows, got.HostileFiltered)
	}
}
