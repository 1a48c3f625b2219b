package htmlreport

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/report/plain/plaintest"
	"github.com/candlefish/deploy-action/internal/security/securitytest"
)

var update = flag.Bool("update", false, "rewrite testdata")

func TestRender(t *testing.T) {
	t.Parallel()
	for name, r := range securitytest.Cases() {
		raw, err := Render(r, run)
		if err != nil {
			t.Fatal(err)
		}
		got := string(raw)
		got = got[strings.Index(got, "<main>"):strings.Index(got, "</main>")]
		path := filepath.Join("testdata", name+".main.html")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got), -update rewrites:\n%s", path, diff)
		}
	}
}

func TestZeroResultIsNoPass(t *testing.T) {
	t.Parallel()
	raw, err := Render(verdict.Result{}, "")
	if text := string(raw); err != nil || !strings.Contains(text, "inconclusive") || strings.Contains(text, "passed") || strings.Contains(text, "none found") {
		t.Errorf("%v\n%s", err, raw)
	}
}

func TestManyFindings(t *testing.T) {
	t.Parallel()
	raw, err := Render(securitytest.Flood(30000), run)
	if err != nil || !strings.Contains(string(raw), "20,000 more are in security-report.json") || bytes.Count(raw, []byte("<tr data-severity")) != maxRows {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	t.Logf("30,000 findings: %d kB", len(raw)>>10)
}

func TestHostileTextInHTML(t *testing.T) {
	t.Parallel()
	clean, err := Render(securitytest.Cases()["both"], run)
	if err != nil {
		t.Fatal(err)
	}
	tags := func(html []byte) int { return bytes.Count(html, []byte("<")) }
	for _, h := range plaintest.Hostiles {
		got, err := Render(securitytest.Hostile(h), run)
		if err != nil {
			t.Fatal(err)
		}
		if tags(got) > tags(clean) {
			t.Errorf("%q adds elements: %d, not %d", plain.Text(h, 20), tags(got), tags(clean))
		}
		text := string(got)
		for _, bad := range []string{"href=\"javascript", "href=\"#ZgotmplZ", "owned'</", "<img", "<svg", "\u202e"} {
			if strings.Contains(text, bad) {
				t.Errorf("%q: the page has %q", plain.Text(h, 20), bad)
			}
		}
		if len(got) > 400_000 {
			t.Errorf("%q: %d bytes", plain.Text(h, 20), len(got))
		}
	}
}
