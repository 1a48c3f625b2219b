package evidence

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func probe() *config.Metric { return &config.Default().Metrics[0] }

// A world decides how many of the canary's, of stable's and of unpinned requests fail
// in a second.
type world func(r *rand.Rand, second int) (canary, stable, lost float64)

// binomial is how many of n fail with probability p.
func binomial(r *rand.Rand, n int, p float64) float64 {
	k := 0.0
	for range n {
		if r.Float64() < p {
			k++
		}
	}
	return k
}

// crossed is in how many of 100 steps of a minute the evidence of any test of failures
// reaches that of one in a thousand, with a look every second.
func crossed(seed uint64, weight float64, pinned bool, w world) int {
	n := 0
	for run := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, run))
		f := NewFailures(probe())
		for s := range 30 {
			_, _, lost := w(r, s)
			at := epoch.Add(time.Duration(s) * time.Second)
			f.Before(Point{At: at, Side: rollout.SideStable, Total: 100})
			f.Before(Point{At: at, Side: rollout.SideUnattributed, Total: lost, Failed: lost})
		}
		began := epoch.Add(30 * time.Second)
		f.Begin(began, weight)
		for s := range 60 {
			canary, stable, lost := w(r, s)
			at := began.Add(time.Duration(s) * time.Second)
			c := Point{At: at, Side: rollout.SideCanary, Total: max(25, canary), Failed: canary, Pinned: pinned}
			if pinned {
				c.Lost = binomial(r, 25, lost/100)
				c.Failed = min(c.Total, c.Failed+c.Lost)
			}
			f.Add(c)
			f.Add(Point{At: at, Side: rollout.SideStable, Total: max(100, stable), Failed: stable})
			f.Add(Point{At: at, Side: rollout.SideUnattributed, Total: lost, Failed: lost})
			if max(f.PastLimit(), f.AgainstStable(), f.Lost()) >= math.Log(1000) {
				n++
				break
			}
		}
	}
	return n
}

// A canary that fails as stable does is not found worse, whatever the failures look
// like.
func TestNoEvidenceWhereBothFailAlike(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]world{
		"1 % on both": func(r *rand.Rand, _ int) (float64, float64, float64) {
			return binomial(r, 25, .01), binomial(r, 100, .01), 0
		},
		"a burst on both": func(r *rand.Rand, s int) (float64, float64, float64) {
			if s >= 20 && s < 26 {
				return binomial(r, 25, .5), binomial(r, 100, .5), 0
			}
			return 0, 0, 0
		},
		"clumps of each version's own": func(r *rand.Rand, _ int) (c, s, _ float64) {
			if r.IntN(15) == 0 {
				c = 5
			}
			if r.IntN(15) == 0 {
				s = 20
			}
			return c, s, 0
		},
		"2 % lost on both": func(r *rand.Rand, _ int) (float64, float64, float64) { return 0, 0, binomial(r, 100, .02) },
		"lost in clumps": func(r *rand.Rand, _ int) (float64, float64, float64) {
			if r.IntN(10) == 0 {
				return 0, 0, binomial(r, 100, .2)
			}
			return 0, 0, 0
		},
	} {
		for _, pinned := range []bool{false, true} {
			if n := crossed(1, .2, pinned, w); n > 2 {
				t.Errorf("%s, pinned %v: found in %d of 100, want almost none at one in a thousand", name, pinned, n)
			}
		}
	}
}

func TestEvidenceOfAWorseCanary(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]world{
		"10 % against none": func(r *rand.Rand, _ int) (float64, float64, float64) { return binomial(r, 25, .1), 0, 0 },
		"10 % against 1 %": func(r *rand.Rand, _ int) (float64, float64, float64) {
			return binomial(r, 25, .1), binomial(r, 100, .01), 0
		},
	} {
		if n := crossed(2, .2, false, w); n < 95 {
			t.Errorf("%s: found in %d of 100, want nearly all", name, n)
		}
	}
}

// Points of the two versions of a slow source come one after the other; what is late
// counts in the first second that is open.
func TestClock(t *testing.T) {
	t.Parallel()
	c := clock{began: epoch}
	over := 0.0
	add := func(seconds int, side rollout.Side) {
		for _, s := range c.add(Point{At: epoch.Add(time.Duration(seconds) * time.Second), Side: side, Total: 1}) {
			over += s.all()
		}
	}
	for s := range 60 {
		add(2*s, rollout.SideStable)
	}
	for s := range 60 {
		add(2*s, rollout.SideCanary)
	}
	add(-5, rollout.SideCanary)
	open := 0.0
	for i, s := range c.open {
		open += s.all()
		if i > 0 && c.open[i-1].at >= s.at {
			t.Errorf("second %d comes after %d", s.at, c.open[i-1].at)
		}
	}
	if over+open != 121 || len(c.open) > openSeconds {
		t.Errorf("%v requests over, %v open in %d seconds, want 121 in all", over, open, len(c.open))
	}
}

func TestPointCheck(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	for name, p := range map[string]Point{
		"NaN failures":         {Total: 5, Failed: nan},
		"infinite requests":    {Total: inf},
		"beyond counting":      {Total: 1e308, Failed: 1e308},
		"below zero":           {Total: -1},
		"more failed than all": {Total: 1, Failed: 2},
		"more wrong than all":  {Total: 1, Wrong: map[Wrong]float64{WrongEmpty: 2}},
		"more lost than all":   {Total: 1, Lost: 2},
		"NaN latencies":        {Latency: []Bucket{{Over: 1, Upto: 2, N: nan}}},
		"a latency of NaN":     {Latency: []Bucket{{Over: Number(nan), Upto: 2, N: 1}}},
		"bounds out of order":  {Latency: []Bucket{{Over: 3, Upto: 2, N: 1}}},
		"from infinity":        {Latency: []Bucket{{Over: Number(inf), Upto: Number(inf), N: 1}}},
	} {
		if p.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := (Point{Total: 5, Failed: 5, Lost: 5, Wrong: map[Wrong]float64{WrongEmpty: 5}, Latency: []Bucket{{Upto: Number(inf), N: 3}}}).Check(); err != nil {
		t.Error(err)
	}
}

// Whatever a source yields, evidence is a number.
func FuzzFailures(f *testing.F) {
	f.Add(5.0, 1.0, 95.0, 1.0, 2.0, uint8(25), true)
	f.Add(0.0, 0.0, 0.0, 0.0, 1e12, uint8(100), false)
	f.Fuzz(func(t *testing.T, total, failed, stable, stableFailed, lost float64, weight uint8, pinned bool) {
		all := NewFailures(probe())
		all.Begin(epoch, float64(weight%101)/100)
		for s := range 40 {
			at := epoch.Add(time.Duration(s) * time.Second)
			for _, p := range []Point{
				{At: at, Side: rollout.SideCanary, Total: total, Failed: failed, Pinned: pinned, Wrong: map[Wrong]float64{WrongEmpty: failed}},
				{At: at, Side: rollout.SideStable, Total: stable, Failed: stableFailed, Pinned: pinned},
				{At: at, Side: rollout.SideUnattributed, Total: lost, Failed: lost},
			} {
				if p.Check() == nil {
					all.Add(p)
				}
			}
		}
		for _, e := range []float64{all.PastLimit(), all.AgainstStable(), all.Lost(), all.Wrong(WrongEmpty)} {
			if math.IsNaN(e) {
				t.Errorf("evidence is no number: %v", []float64{all.PastLimit(), all.AgainstStable(), all.Lost(), all.Wrong(WrongEmpty)})
			}
		}
	})
}
