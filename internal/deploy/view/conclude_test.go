package view

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A release that was promoted and then interrupted did run; one whose survey failed
// did not.
func TestAPromotedReleaseCouldRun(t *testing.T) {
	t.Parallel()
	interrupted := &Delivery{
		Found: &discover.Found{Record: &release.Record{Namespace: "shop", Deployment: "web", Image: "web:2"}},
		State: rollout.State{Phase: rollout.PhasePromoted, Interrupted: true, Reason: "the new revision serves all traffic; interrupted by SIGTERM while it was judged on"},
	}
	for name, c := range map[string]struct {
		d    *Delivery
		err  error
		want string
	}{
		"interrupted in the bake": {interrupted, nil, "deploy: promoted, but not all is done or proven (exit status 1)"},
		"no cluster":              {nil, io.ErrUnexpectedEOF, "deploy: could not run (exit status 1)"},
	} {
		step := actiontest.NewStep(t, map[string]string{"image": "web:2", "report-dir": t.TempDir()})
		got := step.Run(func(env action.Env, args []string) int {
			return action.Run(env, args, inputs.Spec(), func(_ context.Context, a *action.Action, v input.Values) (action.Result, error) {
				out := console.Start(a.Redact, nil, console.NewPlain(io.Discard, nil, nil))
				defer out.Close()
				r := &Run{Cfg: inputs.ConfigOf(v), Console: out, Action: a, Print: a.Print, Started: time.Now()}
				return r.Conclude(c.d, c.err)
			})
		})
		if !strings.Contains(got.Log, c.want) || got.Code != 1 {
			t.Errorf("%s: exit status %d, want 1; %q is not in:\n%s", name, got.Code, c.want, got.Log)
		}
		if c.d != nil && (strings.Contains(got.Raw+got.Summary, "could not run") || got.Outputs["status"] != "promoted") {
			t.Errorf("%s: status %s; could not run, says:\n%s", name, got.Outputs["status"], got.Raw+got.Summary)
		}
	}
}
