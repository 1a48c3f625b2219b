package host

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

func TestLockExcludes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path, func() { t.Error("waits for a lock that nobody holds") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Lock(ctx, path, cancel); err == nil || !strings.Contains(err.Error(), "wait for lock "+path) {
		t.Errorf("second lock = %v, want the wait named", err)
	}
	unlock()
	again, err := Lock(t.Context(), path, func() { t.Error("waits for a lock that was given back") })
	if err != nil {
		t.Fatal(err)
	}
	again()
}
