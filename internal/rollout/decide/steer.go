package decide

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// steered follows a person's request during the rise.
func steered(p rollout.Plan, s rollout.State, o rollout.Observation) (rollout.State, rollout.Action, bool) {
	by := fmt.Sprintf("%s by %s", o.Request, o.By)
	switch o.Request {
	case rollout.RequestPause:
		s.Asked = true
		return stop(end(s, o, rollout.PhasePaused, by))
	case rollout.RequestAbort, rollout.RequestRollback:
		return stop(startAbort(p, s, o, by))
	case rollout.RequestPromoteFull:
		s.Full = true
	case rollout.RequestPromote:
		s.Skip = true
	default:
		return s, rollout.Action{}, false
	}
	if s.Stage != rollout.StageDwell && s.Stage != rollout.StagePause && s.Stage != rollout.StageHold {
		return s, rollout.Action{}, false // it counts from the next dwell on
	}
	return stop(advance(p, s, o))
}
