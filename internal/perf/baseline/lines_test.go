package baseline

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/history"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
)

func result(n int, v verdict.Verdict) verdict.Result {
	return verdict.Result{
		Verdict: v, At: monday.Add(time.Duration(n) * time.Minute), Commit: strings.Repeat("abcdef0123", 4), Environment: here, Link: "https://github.com/acme/shop/actions/runs/1",
		Series: []measure.Series{{Key: measure.Key{Meter: "load", Subject: "basic", Metric: "http_reqs"}, Metric: measure.Metric{Unit: "/s", Better: measure.Higher}, Head: []measure.Point{{Value: 5}}}},
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	p := inFolder(t)
	s := p.store()
	got, err := Record(t.Context(), s, Occasion{Event: "pull_request"}, result(1, verdict.Pass))
	if err != nil || got != "The run is not stored in the baseline: the run is of a pull request." || p.get() != "" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err = Record(t.Context(), s, Occasion{}, result(1, verdict.Pass)); err != nil || got != "The run is stored in "+s.Where()+", which has 1 run of this environment." {
		t.Errorf("%q, %v", got, err)
	}
	if got, err = Record(t.Context(), s, Occasion{}, result(2, verdict.Inconclusive)); err != nil || !strings.HasSuffix(got, "which has 2 runs of this environment. It did not pass, so nothing is compared with it.") {
		t.Errorf("%q, %v", got, err)
	}
	for n := range history.MaxEnvironments {
		r := result(3+n, verdict.Pass)
		r.Environment.Cores = 100 + n
		if got, err = Record(t.Context(), s, Occasion{}, r); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasSuffix(got, "The baseline keeps 12 environments: "+here.Key()+" was not used for the longest time and is gone.") {
		t.Errorf("%q", got)
	}
}

// What people see of a baseline, before and after a run is pinned.
func TestShow(t *testing.T) {
	t.Parallel()
	s := inFolder(t).store()
	f, err := s.Load(t.Context())
	if diff := cmp.Diff([]string{"W has no runs."}, Show("W", f)); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for n, v := range []verdict.Verdict{verdict.Pass, verdict.Refused} {
		if _, err := Record(t.Context(), s, Occasion{}, result(n, v)); err != nil {
			t.Fatal(err)
		}
	}
	var pinned history.Run
	err = s.Save(t.Context(), func(f history.File) (history.File, error) {
		f, run, err := f.Pin(here.Key(), "abcdef0", monday.Add(time.Hour))
		pinned = run
		return f, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if f, err = s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"W", "", "ubuntu24 · EPYC · 4 cores · chrome 156",
		"  2 runs, 1 passed, 2026-11-02 03:04 to 2026-11-02 03:05 UTC",
		"  newest: commit abcdef0, 2026-11-02 03:05 UTC, refused, 1 values",
		"  anchor: commit abcdef0, 2026-11-02 03:04 UTC, pass, 1 values, pinned 2026-11-02 04:04 UTC",
	}
	if diff := cmp.Diff(want, Show("W", f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Pinned(here.Key(), pinned); got != "The anchor of ubuntu24 · EPYC · 4 cores · chrome 156 is now commit abcdef0, 2026-11-02 03:04 UTC, pass, 1 values." {
		t.Error(got)
	}
}
