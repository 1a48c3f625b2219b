package report

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// Test requests to one version alone are counted apart from users' requests.
func TestTestRequestsHaveTheirOwnCounts(t *testing.T) {
	t.Parallel()
	r := promoted()
	r.TestRequests = &Tests{Stable: Counts{Total: 2400, Failed: 1}, Canary: Counts{Total: 1300, Failed: 130}}
	r.Prewarm = &Prewarm{Took: sec(4.2), Requests: 210, Failed: 2, First: 81.5, Last: 12.25, Settled: true}
	r.StepRecords[0].TestRequests = &Tests{Canary: Counts{Total: 600}}
	r.StepRecords[1].WrongAnswers = WrongAnswers{rollout.SideCanary: {evidence.WrongEmpty: 3, evidence.WrongRedirect: 1200}}
	text := Markdown(r)
	for _, want := range []string{
		"0 of 24,625 requests failed",
		"- Prewarmed for 4.2s with 210 test requests, 2 of them failed; the median fell from 81.5 ms to 12.2 ms\n",
		"- Test requests to one version alone: canary 130 of 1,300 failed, stable 1 of 2,400\n",
		"- Wrong answers at 25 % by canary: 1,200 redirect, 3 empty\n\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	raw, err := JSON(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if *back.TestRequests != *r.TestRequests || *back.Prewarm != *r.Prewarm || back.StepRecords[0].TestRequests.Canary.Total != 600 || back.StepRecords[1].WrongAnswers[rollout.SideCanary][evidence.WrongEmpty] != 3 {
		t.Errorf("the report's JSON says %+v, %+v", back.TestRequests, back.Prewarm)
	}
	if raw, _ := JSON(promoted()); strings.Contains(string(raw), "test_requests") || strings.Contains(Markdown(promoted()), "Test requests") {
		t.Error("a release without test requests reports some")
	}
}

func TestAPrewarmThatDidNotSettle(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]Prewarm{
		"Prewarmed for 30s with 1,500 test requests, 0 of them failed; the median went from 8.0 ms to 9.0 ms; it had not settled when the time was up": {Took: sec(30), Requests: 1500, First: 8, Last: 9},
		"Prewarmed for 30s with 40 test requests, 40 of them failed; it had not settled when the time was up":                                          {Took: sec(30), Requests: 40, Failed: 40},
	} {
		if got := p.sentence(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
