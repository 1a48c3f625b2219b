package netlify

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var told []time.Time
		r := reporter{report: func(Progress) { told = append(told, time.Now()) }}
		begun := time.Now()
		r.phase(PhaseUploading, 3, 99)
		go r.run(ctx)
		time.Sleep(time.Minute)
		stop()
		synctest.Wait()
		last := begun
		for _, at := range append(told, time.Now()) {
			if at.Sub(last) > 4*time.Second {
				t.Errorf("nothing was told for %s", at.Sub(last))
			}
			last = at
		}
		if len(told) < 15 {
			t.Errorf("told %d times in a minute", len(told))
		}
	})
}
