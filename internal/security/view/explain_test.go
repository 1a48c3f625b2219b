package view

import (
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/security/record"
	"github.com/candlefish/deploy-action/internal/security/securitytest"
)

// As a later job does it: from the file, by each name of a finding.
func TestExplain(t *testing.T) {
	t.Parallel()
	raw, err := record.Marshal(securitytest.Cases()["both"])
	if err != nil {
		t.Fatal(err)
	}
	r, err := record.Unmarshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, name := range []string{"sec-77aa01", "dep-10", "CVE-2021-23337", "cve-2021-23337", "npm-audit/GHSA-35jh-r3h4-6jhm", "wf-5510", "dep-99"} {
		text, n := Explain(r, name)
		if n != 1 {
			t.Errorf("%s: %d findings", name, n)
		}
		all += "$ " + name + "\n" + text
	}
	golden(t, "explain.txt", all)
	for _, name := range []string{"", "dep", "CVE-2021", "nothing"} {
		if text, n := Explain(r, name); n != 0 || text != "" {
			t.Errorf("%q: %d, %s", name, n, text)
		}
	}
	for _, h := range securitytest.Hostiles {
		r := securitytest.Hostile(h)
		text, n := Explain(r, r.Findings[0].ID)
		if n == 0 {
			t.Errorf("%.20q: not found", h)
		}
		inert(t, "explanation", text)
	}
	if text, n := Explain(securitytest.Flood(3000), "CVE-2021-23337"); n != 1000 || !strings.Contains(text, "980 more have that name.") {
		t.Errorf("%d: %d bytes", n, len(text))
	}
}
