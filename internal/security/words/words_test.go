package words_test

import (
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/security/securitytest"
	"github.com/candlefish/deploy-action/internal/security/words"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"one\r\n two\tthree": "one two three",
		"\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x1b\\ \x1b[2Jx": "red link x",
		"a\u202eb\u2066c\u200bd\ufeffe\U000E0041f\x00g\x9bh":                             "abcdefg�h",
		"👩\u200d🔧 ü":            "👩\u200d🔧 ü",
		"\xff":                  "�",
		"12345678901234567890x": "12345678901234567890…",
	} {
		if got := words.Plain(text, 20); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := words.Plain(strings.Repeat("\x1b[31m \u202e", 100_000)+"end", 5); got != "" {
		t.Errorf("nothing to see in what counts: %q", got)
	}
}

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
		words.Number(1234567): "1,234,567", words.Number(-1234): "-1,234", words.Number(999): "999",
		words.Count(1, "finding"): "1 finding", words.Count(0, "finding"): "0 findings",
		words.Took(90 * time.Second): "1m30s", words.Took(1234 * time.Millisecond): "1.2s",
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
