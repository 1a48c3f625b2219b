package folder

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A folder that a killed process left goes with the next run, that of a living one
// stays.
func TestMakeRemovesWhatKilledRunsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dead, fresh := filepath.Join(dir, "run-1"), filepath.Join(dir, "run-2")
	for _, path := range []string{filepath.Join(dead, lockName), filepath.Join(dead, "sub", "report.json"), filepath.Join(fresh, "x")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	living, removeLiving, err := Make(dir, "run-")
	if err != nil {
		t.Fatal(err)
	}
	_, remove, err := Make(dir, "run-")
	if err != nil {
		t.Fatal(err)
	}
	exists := func(path string) bool { _, err := os.Stat(path); return err == nil }
	if exists(dead) || !exists(fresh) || !exists(living) {
		t.Errorf("dead %v, not locked yet %v, living %v", exists(dead), exists(fresh), exists(living))
	}
	remove()
	removeLiving()
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// Many runs that begin at once neither hinder nor remove each other's folders.
func TestMakeAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				made, remove, err := Make(dir, "run-")
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(made, "x"), nil, 0o600); err != nil {
					t.Errorf("the folder of a living run: %v", err)
				}
				remove()
			}
		})
	}
	all.Wait()
}
