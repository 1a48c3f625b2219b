package words_test

import (
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/security/securitytest"
	"github.com/candlefish/deploy-action/internal/security/words"
)

// A list of packages is no answer to whether one of them is vulnerable.
func TestNamesAloneAreNoScan(t *testing.T) {
	t.Parallel()
	in := securitytest.Input(securitytest.HealthyTools())
	for _, name := range []string{"npm-audit", "osv-scanner"} {
		securitytest.Set(in.Tools, name, func(t *verdict.Tool) {
			t.Health, t.Why, t.Coverage = verdict.NotApplicable, "no lock file", verdict.Unknown()
		})
	}
	c := words.Claims(verdict.Judge(in))[1]
	if c.Class != finding.ClassDependency || c.Found != "not scanned" || c.Seen != "inventory (812 of 812 packages), names only" {
		t.Errorf("%+v", c)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		words.Detected(verdict.Speed{}):                                                                  "There are no findings to measure it by.",
		words.Detected(verdict.Speed{Undated: 2}):                                                        "Not known: 2 findings without a known date of publication.",
		words.Detected(verdict.Speed{Within: 1, Dated: 3, Undated: 1}):                                   "First seen within 24 hours after publication: 1 of 3 findings. Not counted: 1 finding without a known date of publication.",
		words.Database(verdict.Tool{}, securitytest.Now):                                                 "–",
		words.Database(verdict.Tool{Database: securitytest.Now.Add(-5 * time.Hour)}, securitytest.Now):   "2026-11-29 (5 h old)",
		words.Database(verdict.Tool{Database: securitytest.Now.Add(-216 * time.Hour)}, securitytest.Now): "2026-11-21 (9 days old)",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A class whose tools the level leaves out was not scanned, although something else of
// it had nothing to do.
func TestLeftOutIsNotNothingToScan(t *testing.T) {
	t.Parallel()
	r := verdict.Result{Tools: []verdict.Tool{
		{Name: "eslint", Class: finding.ClassCode, Health: verdict.LeftOut, Why: "it is not part of level quick"},
		{Name: "sarif", Class: finding.ClassCode, Health: verdict.NotApplicable, Why: "no SARIF file was given"},
	}}
	for _, c := range words.Claims(r) {
		if c.Class == finding.ClassCode && (c.Found != "not scanned" || c.Seen != "it is not part of level quick") {
			t.Errorf("%+v", c)
		}
	}
}
