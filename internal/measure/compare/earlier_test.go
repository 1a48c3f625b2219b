package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/history"
)

// jobs are runs that passed, with the medians of one metric.
func jobs(s measure.Series, medians ...float64) history.Environment {
	e := history.Environment{}
	for i, m := range medians {
		e.Runs = append(e.Runs, history.Run{At: time.Unix(int64(i), 0), Verdict: history.Passed, Values: []history.Value{{
			Meter: s.Key.Meter, Subject: s.Key.Subject, Metric: s.Key.Metric, Unit: s.Metric.Unit, Better: s.Metric.Better, Median: m, Rounds: 5,
		}}})
	}
	return e
}

func headOf(v float64) measure.Series {
	return seriesOf("lcp", "/", measure.Floor{Absolute: 10, Relative: .05}, nil, []float64{v - 1, v, v, v, v + 1})
}

func TestBaseline(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		head    float64
		earlier []float64
		want    Change
		why     string
	}{
		{"slower than ever", 1400, []float64{1000, 1010, 990, 1005, 995}, Worse, "40 % (400 ms) worse: p = "},
		{"within", 1008, []float64{1000, 1010, 990, 1005, 995}, Same, "No change was proven; this run could have seen a change of "},
		{"better", 600, []float64{1000, 1010, 990, 1005, 995}, BetterThan, "40 % (400 ms) better: p = "},
		{"below the floor", 1040, []float64{1000, 1001, 999, 1000, 1000}, Same, "4 % (40 ms) worse, which is proven and not more than the floor of 10 ms and 5 %."},
		{"jobs differ much", 1400, []float64{700, 1300, 900, 1200, 1000}, Same, "No change was proven"},
		{"nothing varied", 1100, []float64{1000, 1000, 1000, 1000, 1000}, Worse, "10 % (100 ms) worse: p = 0 "},
		{"too few", 1400, []float64{1000, 1000, 1000}, NotEnoughData, "There are 3 earlier jobs of this environment that passed, 2 more needed."},
		{"none", 1400, nil, NotEnoughData, "There are 0 earlier jobs of this environment that passed, 5 more needed."},
	} {
		s := headOf(c.head)
		got := Baseline([]measure.Series{s}, jobs(s, c.earlier...), DefaultRule())[0]
		if got.Change != c.want || !strings.HasPrefix(got.Why, c.why) || got.Against != AgainstBaseline {
			t.Errorf("%s: %s, %q, want %s, %q", c.what, got.Change, got.Why, c.want, c.why)
		}
	}
}

// Jobs that did not pass are none, nor are values of another unit; and a job with fewer
// rounds than the earlier ones varies more than they did.
func TestBaselineUsesWhatIsComparable(t *testing.T) {
	t.Parallel()
	s := headOf(1400)
	e := jobs(s, 1000, 1010, 990, 1005, 995, 1000)
	e.Runs[0].Verdict = "refused"
	e.Runs[1].Values[0].Unit = measure.Bytes
	if got := Baseline([]measure.Series{s}, e, DefaultRule())[0]; got.BaseN != 4 || got.Change != NotEnoughData {
		t.Errorf("%d jobs, %s", got.BaseN, got.Change)
	}
	s.Head = s.Head[:2]
	if got := Baseline([]measure.Series{s}, jobs(s, 1, 2, 3, 4, 5), DefaultRule())[0]; got.Why != "Head has 2 rounds, the earlier jobs have 5 or more." {
		t.Errorf("%q", got.Why)
	}
}

func TestAnchor(t *testing.T) {
	t.Parallel()
	s := headOf(1130)
	drift := []float64{1000, 1012, 1025, 1035, 1050, 1060, 1075, 1085, 1100, 1110, 1120}
	e := jobs(s, drift...)
	if got := Baseline([]measure.Series{s}, e, DefaultRule())[0]; got.Change != Same {
		t.Errorf("a step of the drift is %s against the baseline: %q", got.Change, got.Why)
	}
	if got := Anchor([]measure.Series{s}, e, DefaultRule())[0]; got.Change != NotEnoughData || got.Why != "No run of this environment is pinned." {
		t.Errorf("%s, %q", got.Change, got.Why)
	}
	e.Anchor = &e.Runs[0]
	got := Anchor([]measure.Series{s}, e, DefaultRule())[0]
	if got.Change != Worse || got.Head != 1110 || got.HeadN != 5 || got.Base != 1000 || got.Against != AgainstAnchor {
		t.Errorf("%+v", got)
	}
	e.Runs = e.Runs[:1]
	if got := Anchor([]measure.Series{s}, e, DefaultRule())[0]; got.Change != NotEnoughData || got.Why != "With this one there are 2 jobs of this environment that passed, 1 more needed." {
		t.Errorf("%s, %q", got.Change, got.Why)
	}
	e.Anchor = &history.Run{}
	if got := Anchor([]measure.Series{s}, e, DefaultRule())[0]; got.Why != "The pinned run has no value of it." {
		t.Errorf("%q", got.Why)
	}
}

// A job whose environment did not change is rarely worse than those before it, or than
// the anchor: 11 metrics of 2 subjects.
func TestFalseAlarmsAgainstEarlierJobs(t *testing.T) {
	t.Parallel()
	for name, compare := range map[string]func([]measure.Series, history.Environment, Rule) []Comparison{"baseline": Baseline, "anchor": Anchor} {
		r, alarms := rand.New(rand.NewPCG(31, 32)), 0
		const runs = 300
		job := func() history.Run {
			return history.RunOf(time.Unix(0, 0), "", "", history.Passed, run{families: 11, strata: 2, rounds: 5, noise: noises["lognormal"], floor: tiny}.series(r))
		}
		for range runs {
			e := history.Environment{}
			for range 8 {
				e.Runs = append(e.Runs, job())
			}
			e.Anchor = &e.Runs[0]
			got := compare(run{families: 11, strata: 2, rounds: 5, noise: noises["lognormal"], floor: tiny}.series(r), e, DefaultRule())
			if slices.ContainsFunc(got, func(c Comparison) bool { return c.Change == Worse }) {
				alarms++
			}
		}
		t.Logf("%s: %d of %d", name, alarms, runs)
		if most := binomialMost(runs, .05); alarms > most {
			t.Errorf("%s: %d of %d runs had a false alarm, at most %d may", name, alarms, runs, most)
		}
	}
}

func FuzzEarlier(f *testing.F) {
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), true)
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, false)
	f.Fuzz(func(t *testing.T, data []byte, floats bool) {
		medians := values(data, 0, floats)
		if len(medians) == 0 || len(medians) > history.Kept {
			return
		}
		s := headOf(0)
		s.Head = points(medians[:1])
		e := jobs(s, medians[1:]...)
		if len(e.Runs) > 0 {
			e.Anchor = &e.Runs[0]
		}
		for _, c := range slices.Concat(Baseline([]measure.Series{s}, e, DefaultRule()), Anchor([]measure.Series{s}, e, DefaultRule())) {
			if !(c.P >= 0 && c.P <= 1 && c.Low <= c.Shift && c.Shift <= c.High && c.CouldSee >= 0) || math.IsNaN(c.CouldSee) || c.Why == "" {
				t.Errorf("%+v", c)
			}
		}
	})
}
