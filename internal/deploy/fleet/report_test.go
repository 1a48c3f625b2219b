package fleet

import (
	"testing"

	"github.com/candlefish/deploy-action/internal/deploy/fleet/result"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// The reason of a group names what kept members from going back, once.
func TestWhyAGroupCouldNotGoBack(t *testing.T) {
	t.Parallel()
	refused := result.Member{Name: "web", Phase: fleet.Refused, Reason: "nothing to go back to"}
	back := result.Member{Name: "api", Phase: fleet.Back, Reason: "asked"}
	for want, failure := range map[string]string{
		"rollback by run 7; web: nothing to go back to": "rollback by run 7",
		"web: nothing to go back to":                    "web: nothing to go back to",
	} {
		if got := why(failure, []result.Member{refused, back}); got != want {
			t.Errorf("why(%q) = %q, want %q", failure, got, want)
		}
	}
}
