package htmlreport

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/browser"
	"github.com/candlefish/deploy-action/internal/browser/browsertest"
	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain/plaintest"
	"github.com/candlefish/deploy-action/internal/security/securitytest"
)

const run = "https://github.com/acme/shop/actions/runs/7"

// serve serves the report of a result.
func serve(t *testing.T, r verdict.Result) *httptest.Server {
	t.Helper()
	raw, err := Render(r, run)
	if err != nil {
		t.Fatal(err)
	}
	return browsertest.Serve(t, raw)
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
	browsertest.Need(t)
	r := securitytest.Cases()["both"]
	r.Findings = append(r.Findings, securitytest.Workflow(finding.StateNew))
	site := serve(t, r)
	var all verdict.Result
	for i, h := range plaintest.Hostiles {
		one := securitytest.Hostile(h)
		if i == 0 {
			all = one
			continue
		}
		all.Findings, all.Tools = append(all.Findings, one.Findings...), append(all.Tools, one.Tools...)
	}
	bad := serve(t, all)
	dir := browsertest.Accessible(t, browser.Page{URL: site.URL, Name: "report"}, browser.Page{URL: bad.URL, Name: "hostile"})
	out := browsertest.Script(t, "testdata/browse.mjs", dir, site.URL+"/", bad.URL+"/")
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
	if got.HostileRows != len(all.Findings)+len(all.Fixed) || got.HostileFiltered != len(plaintest.Hostiles) {
		t.Errorf("hostile: %d rows, %d of them critical", got.HostileRows, got.HostileFiltered)
	}
}
