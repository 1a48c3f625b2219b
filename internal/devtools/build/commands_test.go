package build

import (
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// The table says yes where a release takes the request, names only commands that
// it takes, and has every phase.
func TestCommandTable(t *testing.T) {
	t.Parallel()
	phases := map[rollout.Phase]bool{}
	for _, row := range lifeStates() {
		phases[row.state.Phase] = true
		for _, r := range rollout.Requests() {
			cell := commandCell(row.state, r)
			if _, ok := rollout.Allowed(row.state, r); ok != (cell == yes) {
				t.Errorf("%s, %s: the cell says %q, Allowed says %t", row.name, r, cell, ok)
			}
			if command, named := strings.CutPrefix(cell, "type "); named {
				if i := slices.IndexFunc(rollout.Requests(), func(r rollout.Request) bool { return shown(r) == command }); i < 0 || !takes(row.state, rollout.Requests()[i]) {
					t.Errorf("%s, %s: the cell names %s, which is refused too", row.name, r, command)
				}
			}
			if cell == no {
				t.Errorf("%s, %s: the cell gives no reason", row.name, r)
			}
		}
	}
	for _, phase := range []rollout.Phase{
		rollout.PhasePending, rollout.PhaseProgressing, rollout.PhasePaused, rollout.PhasePromoting, rollout.PhaseBaking, rollout.PhaseReverting,
		rollout.PhaseCleaning, rollout.PhasePromoted, rollout.PhaseAborting, rollout.PhaseAborted, rollout.PhaseFailed,
	} {
		if !phases[phase] {
			t.Errorf("the table has no row for the phase %s", phase)
		}
	}
}
