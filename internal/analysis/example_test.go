package analysis_test

import (
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A judge may be asked after every answer. Each second the canary gets 25 of 100
// requests and fails three of them; stable fails none.
func ExampleJudge() {
	judge := analysis.NewJudge(config.Default(), 1)
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	judge.Begin(analysis.Begin{Weight: 25, At: began})
	judge.Confirmed(began)
	for elapsed := time.Second; ; elapsed += time.Second {
		now := began.Add(elapsed)
		judge.Add(config.ProbeMetric,
			analysis.Point{At: now, Side: rollout.SideCanary, Total: 25, Failed: 3},
			analysis.Point{At: now, Side: rollout.SideStable, Total: 75})
		result := judge.Look(analysis.Moment{Now: now, Elapsed: elapsed, Dwell: time.Minute})
		fmt.Printf("after %v: %s\n", elapsed, result.Verdict)
		if result.Verdict != rollout.VerdictPending {
			fmt.Println(result.Reason)
			return
		}
	}
	// Output:
	// after 1s: Pending
	// after 2s: Pending
	// after 3s: Failed
	// the canary failed 9 of 75 requests (12 %, 95 % interval 5.64 % to 21.6 %); at the same time stable failed 0 of 225 requests (0 %, 95 % interval 0 % to 1.63 %); limit 2 times as often, from 0.2 % on
}
