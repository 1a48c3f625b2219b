package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/candlefish/deploy-action/internal/measure"
)

// In runs in which nothing changed, of 11 metrics with 2 subjects each and 5 rounds on
// each side, the share of runs in which anything at all is worse is at most alpha,
// within four standard deviations of a binomial number; without a floor's help.
func TestFalseAlarms(t *testing.T) {
	t.Parallel()
	for name, n := range noises {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			falseAlarms(t, n, 300)
		})
	}
}

// The benchmark holds the same of 2,000 runs, which take minutes and bound the share
// more closely.
func BenchmarkFalseAlarms(b *testing.B) {
	for name, n := range noises {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				const runs = 2000
				b.ReportMetric(float64(falseAlarms(b, n, runs))/runs, "alarms/run")
			}
		})
	}
}

func falseAlarms(t testing.TB, n noise, runs int) int {
	alarms, better := 0, 0
	r, rule := rand.New(rand.NewPCG(11, 12)), DefaultRule()
	rule.Effect = 0
	for range runs {
		drafts, _, _ := decide(run{families: 11, strata: 2, rounds: 5, noise: n, floor: tiny}.series(r), rule)
		has := func(c Change) int {
			if slices.ContainsFunc(drafts, func(d draft) bool { return d.Change == c }) {
				return 1
			}
			return 0
		}
		alarms, better = alarms+has(Worse), better+has(BetterThan)
	}
	most := binomialMost(runs, rule.Alpha)
	t.Logf("%d of %d runs had a false alarm, %d a false improvement; %d are allowed", alarms, runs, better, most)
	if alarms > most || better > most {
		t.Errorf("%d of %d runs had a false alarm and %d a false improvement, at most %d may", alarms, runs, better, most)
	}
	return alarms
}

// Another metric that did change, in one subject or in all, makes no more false alarms
// about those that did not.
func TestFalseAlarmsBesideTrueOnes(t *testing.T) {
	t.Parallel()
	for _, only := range []string{"", "s0"} {
		const runs = 250
		alarms := 0
		r, rule := rand.New(rand.NewPCG(13, 14)), DefaultRule()
		s := run{families: 4, strata: 2, rounds: 6, noise: noises["lognormal"], floor: tiny, only: only, worse: map[string]float64{"m0": 3, "m1": 3}}
		for range runs {
			drafts, _, _ := decide(s.series(r), rule)
			if slices.ContainsFunc(drafts, func(d draft) bool {
				changed := s.worse[d.Key.Metric] > 0 && (only == "" || d.Key.Subject == only)
				return d.Change == Worse && !changed
			}) {
				alarms++
			}
		}
		t.Logf("only %q: %d of %d", only, alarms, runs)
		if most := binomialMost(runs, rule.Alpha); alarms > most {
			t.Errorf("changed subjects %q: %d of %d runs accuse another one, at most %d may", only, alarms, runs, most)
		}
	}
}

// What is planted is found: far above the noise always, in all subjects or, with the
// rounds that Rounds says, in one.
func TestPlantedChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what string
		run  run
	}{
		{"all subjects, 5 rounds", run{families: 12, strata: 2, rounds: 5, worse: map[string]float64{"m3": 1.6}}},
		{"one of two, by Rounds", run{families: 12, strata: 2, rounds: Rounds(12, 2, .05), worse: map[string]float64{"m3": 1.6}, only: "s1"}},
		{"one of eight, by Rounds", run{families: 5, strata: 8, rounds: Rounds(5, 8, .05), worse: map[string]float64{"m3": 1.6}, only: "s1"}},
		{"one of twelve, by Rounds", run{families: 3, strata: 12, rounds: Rounds(3, 12, .05), worse: map[string]float64{"m2": 1.6}, only: "s1"}},
	} {
		c.run.noise = noises["lognormal"]
		r, seen, others := rand.New(rand.NewPCG(15, 16)), 0, 0
		const runs = 40
		for range runs {
			drafts, _, _ := decide(c.run.series(r), DefaultRule())
			for _, d := range drafts {
				planted := c.run.worse[d.Key.Metric] > 0 && (c.run.only == "" || c.run.only == d.Key.Subject)
				if d.Change == Worse && planted {
					seen++
				} else if d.Change == Worse {
					others++
				}
			}
		}
		if c.run.only == "" {
			seen /= c.run.strata
		}
		if seen < runs*9/10 || others > 6 {
			t.Errorf("%s: found in %d of %d runs, and %d others", c.what, seen, runs, others)
		}
	}
}

// A change of CouldSee is found with about the probability that it claims. CouldSee is
// an estimate from one run, so the mean over runs is held: 65 to 95 % for 80 %.
func TestCouldSeeIsCalibrated(t *testing.T) {
	t.Parallel()
	const runs = 60
	for _, c := range []struct {
		noise  string
		run    run
		lo, hi float64
	}{
		{"lognormal", run{families: 5, strata: 1, rounds: 5}, .65, .95},
		{"lognormal", run{families: 5, strata: 2, rounds: 5}, .65, .95},
		{"lognormal", run{families: 11, strata: 1, rounds: 8}, .65, .95},
		{"lognormal", run{families: 2, strata: 1, rounds: 20}, .65, .95},
		{"bimodal", run{families: 5, strata: 1, rounds: 8}, .65, .97},
		{"heavy tails", run{families: 5, strata: 1, rounds: 8}, .6, .97},
		{"quantised", run{families: 5, strata: 1, rounds: 6}, .65, .97},
	} {
		r, seen, tried := rand.New(rand.NewPCG(17, 18)), 0, 0
		c.run.noise, c.run.floor = noises[c.noise], tiny
		for range runs {
			estimates, tested, _ := decide(c.run.series(r), DefaultRule())
			tested[0].see(estimates, DefaultRule(), .05/float64(c.run.families), weights{})
			estimated := estimates[0]
			if math.IsInf(estimated.CouldSee, 1) {
				t.Fatalf("%s %+v: %s", c.noise, c.run, estimated.Why)
			}
			planted := c.run
			planted.worse = nil
			series := planted.series(r)
			for i := range series {
				if series[i].Key.Metric == "m0" {
					for k := range series[i].Head {
						series[i].Head[k].Value += estimated.CouldSee
					}
				}
			}
			drafts, _, _ := decide(series, DefaultRule())
			tried++
			if drafts[0].Change == Worse {
				seen++
			}
		}
		share := float64(seen) / float64(tried)
		t.Logf("%s, %d families, %d subjects, %d rounds: found %.0f %%", c.noise, c.run.families, c.run.strata, c.run.rounds, 100*share)
		if share < c.lo || share > c.hi {
			t.Errorf("%s, %d families, %d subjects, %d rounds: a change of CouldSee is found in %.0f %% of runs, not in %.0f to %.0f %%",
				c.noise, c.run.families, c.run.strata, c.run.rounds, 100*share, 100*c.lo, 100*c.hi)
		}
	}
}

// Subjects share the noise of their rounds completely: as one, they are no more evidence
// than one.
func TestSubjectsOfOneRoundAreNoIndependentEvidence(t *testing.T) {
	t.Parallel()
	r, alarms := rand.New(rand.NewPCG(19, 20)), 0
	const runs = 250
	for range runs {
		base, head := noises["lognormal"](r, 5, machine(r, 5))
		var all []measure.Series
		for _, subject := range []string{"a", "b", "c", "d"} {
			all = append(all, seriesOf("m", subject, tiny, base, head))
		}
		if drafts, _, _ := decide(all, DefaultRule()); drafts[0].Change == Worse {
			alarms++
		}
	}
	if most := binomialMost(runs, .05); alarms > most {
		t.Errorf("%d of %d runs had a false alarm, at most %d may", alarms, runs, most)
	}
}
