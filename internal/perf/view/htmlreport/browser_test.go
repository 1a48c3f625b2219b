package htmlreport

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/browser"
	"github.com/candlefish/deploy-action/internal/browser/browsertest"
	"github.com/candlefish/deploy-action/internal/perf/perftest"
	"github.com/candlefish/deploy-action/internal/report/plain/plaintest"
)

// Keep the pictures of the report here, to look at them: PERF_PICTURES=/tmp/x go test.
const pictures = "PERF_PICTURES"

type browsed struct {
	Title            string
	Requests, Errors []string
	Axe              map[string][]string
	Shown            map[string]int
	Wide             map[string]int
	HostileTitle     string
	Overlap          []string
}

// The report as people use it, in Chromium: light, dark, on a phone, filtered, and with
// hostile texts. No request leaves it, and its policy fits it.
func TestReportInBrowser(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 15 s in a browser; go tool mage test runs it")
	}
	browsertest.Need(t)
	site := browsertest.Serve(t, []byte(render(t, perftest.Cases()["worse"])))
	bad := browsertest.Serve(t, []byte(render(t, perftest.Hostile(plaintest.Hostiles[0]+plaintest.Hostiles[1]))))
	modules := browsertest.Accessible(t, browser.Page{URL: site.URL, Name: "report"})
	dir := os.Getenv(pictures)
	if dir == "" {
		dir = t.TempDir()
	}
	out := browsertest.Script(t, filepath.Join("testdata", "browse.mjs"), modules, site.URL+"/", bad.URL+"/", dir)
	var got browsed
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got.Title != title || got.HostileTitle != title || len(got.Requests) > 0 || len(got.Errors) > 0 || len(got.Overlap) > 0 {
		t.Errorf("%+v", got)
	}
	for mode, violations := range got.Axe {
		if len(violations) > 0 {
			t.Errorf("axe-core, %s: %q", mode, violations)
		}
	}
	if diff := cmp.Diff(map[string]int{"all": 9, "loud": 2, "refused": 1}, got.Shown); diff != "" {
		t.Error(diff)
	}
	for mode, n := range got.Wide {
		if n > 0 {
			t.Errorf("%s: %d pixels too wide", mode, n)
		}
	}
}
