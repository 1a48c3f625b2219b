package reconcile

import (
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/preview/build"
)

// prepare looks whether there is a build to publish, and adds commit and API address to its
// manifest. It changes nothing of a build that it refuses.
func prepare(d Desired, apiURL string, now time.Time) error {
	if d.Untrusted {
		if err := build.CheckUntrusted(d.Dir, build.Untrusted); err != nil {
			return err
		}
	}
	if err := build.Check(d.Dir); err != nil {
		return err
	}
	return build.WriteManifest(d.Dir, map[string]any{
		"buildId": fmt.Sprintf("preview-%d-%d", d.Number, now.Unix()), "prNumber": d.Number, "commitSha": d.Commit,
		"buildTime": now.UTC().Format(time.RFC3339), "apiUrl": apiURL,
	}, "commitSha", "apiUrl")
}
