package result

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// The worst status of a group is the one that needs a person most, and the order of
// the members does not count.
func TestWorse(t *testing.T) {
	t.Parallel()
	order := []exit.Status{exit.Done, exit.GateRefused, exit.Aborted, exit.CouldNotRun, exit.BadInput, exit.AbortFailed}
	if len(order) != len(exit.Statuses()) {
		t.Errorf("%d of %d statuses have an order", len(order), len(exit.Statuses()))
	}
	for i, a := range order {
		for j, b := range order {
			if got := Worse(a, b); got != order[max(i, j)] {
				t.Errorf("Worse(%s, %s) = %s", a, b, got)
			}
		}
	}
}

func TestOutputsAndSummary(t *testing.T) {
	t.Parallel()
	r := Report{Group: "7.1", Outcome: "aborted", FailedRequests: 3, TotalRequests: 900, RolledBack: true, Reason: "eu-1/api: 30 % errors", Members: []Member{
		{Name: "eu-1/api", Wave: 1, Status: "aborted", Phase: fleet.Back, Image: "api:1", PreviousImage: "api:1", FailedRequests: 3, TotalRequests: 400, OverheadSeconds: 2.5, Reason: "a|b\n<script>"},
		{Name: "eu-1/web", Wave: 1, Status: "rolled-back", Phase: fleet.Back, Image: "web:1", PreviousImage: "web:1", TotalRequests: 500, OverheadSeconds: 4},
	}}
	o := r.Outputs("report.json")
	for name, want := range map[string]string{
		"status": "aborted", "phase": "Back", "image": "api:1\nweb:1", "failed-requests": "3", "total-requests": "900", "overhead-seconds": "4.000", "rolled-back": "true", "report": "report.json",
	} {
		if o[name] != want {
			t.Errorf("output %s is %q, want %q", name, o[name], want)
		}
	}
	var members []Member
	if err := json.Unmarshal([]byte(o["members"]), &members); err != nil || len(members) != 2 || members[0].FailedRequests != 3 {
		t.Errorf("output members: %v, %s", err, o["members"])
	}
	r.Members[1].Phase = fleet.Done
	if got := r.Outputs("")["phase"]; got != "Mixed" {
		t.Errorf("phase of two different ones is %q", got)
	}
	summary := r.Markdown()
	if strings.Contains(summary, "<script>") || !strings.Contains(summary, `a\|b`) || !strings.Contains(summary, "| eu-1/web | 1 | rolled-back | 0 | 500 | 4.0 s | web:1 |") {
		t.Errorf("summary:\n%s", summary)
	}
	if text := r.Text(); !strings.Contains(text, "Group 7.1: aborted, 3 of 900 requests failed") || !strings.Contains(text, "Reason: eu-1/api: 30 % errors") {
		t.Errorf("text:\n%s", text)
	}
}
