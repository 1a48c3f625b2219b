package view

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/release"
)

// first says what an earlier release left that ends before a new one begins; nothing if
// it has ended.
func first(earlier *release.Record) []string {
	switch {
	case earlier.Warm():
		return []string{fmt.Sprintf("this release first ends the warm time of run %s", earlier.Run)}
	case earlier.Unfinished():
		return []string{fmt.Sprintf("this release first ends the unfinished one of %s by run %s (%s)", earlier.Image, earlier.Run, earlier.State.Phase)}
	}
	return nil
}
