// Package toolboxtest gives tests the real tools of the gates.
package toolboxtest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/toolbox"
)

// Need installs tools that are not there yet into the user's cache, which all tests
// share, and returns them by name, verified. It fails the test when it cannot; under
// -short it skips it.
func Need(t testing.TB, names ...string) map[string]toolbox.Tool {
	t.Helper()
	if testing.Short() {
		t.Skipf("it runs %q; not under -short", names)
	}
	box, err := toolbox.Open("", "", os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	// A build of the largest takes longer than a test may; it goes on in the next one,
	// since the compiler's cache is kept.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	found := map[string]toolbox.Tool{}
	var missing []string
	for _, name := range names {
		if tool, err := box.Find(ctx, name); err == nil {
			found[name] = tool
		} else {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return found
	}
	if err := box.Install(ctx, missing, func(line string) { t.Log(line) }); err != nil {
		t.Fatal(err)
	}
	for _, name := range missing {
		if found[name], err = box.Find(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	return found
}
