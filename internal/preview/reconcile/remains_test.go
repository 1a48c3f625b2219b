package reconcile

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRemainsAreTakenUp knows what AWS did not delete after the stack is gone: the next
// removal names it again, and the sweep finds it until it is gone.
func TestRemainsAreTakenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		k := w.reconciler()
		if _, err := k.Up(t.Context(), desired(t, sha1)); err != nil {
			t.Fatal(err)
		}
		w.pulls[7].Open = false
		w.left = []string{"AWS::S3::Bucket assets: it is locked"}
		for range 2 {
			r, err := k.Down(t.Context(), Key{repo, 7}, "6.1", "")
			if err != nil || len(r.Failed()) != 1 || !strings.Contains(r.API.Detail, "it is locked") || strings.Contains(w.comments[7], "Nothing is left") {
				t.Fatalf("%v: %+v\n%s", err, r.API, w.comments[7])
			}
		}
		w.left = nil
		s, err := k.Sweep(t.Context(), repo, true, "7.1", "")
		if err != nil || len(s.Orphans) != 1 || len(s.Orphans[0].Remains) != 1 || s.Orphans[0].Stack {
			t.Fatalf("%v: %+v", err, s)
		}
		if s.Orphans[0].Removed == nil || len(s.Orphans[0].Removed.Failed()) > 0 || len(w.remains) > 0 {
			t.Errorf("%+v, left %v", s.Orphans[0].Removed, w.remains)
		}
		time.Sleep(time.Second)
		if s, err := k.Sweep(t.Context(), repo, true, "8.1", ""); err != nil || len(s.Orphans) != 0 {
			t.Errorf("afterwards: %v: %+v", err, s)
		}
	})
}
