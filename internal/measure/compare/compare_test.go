package compare

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/measure"
)

func one(t *testing.T, s measure.Series, rule Rule) Comparison {
	t.Helper()
	all := Compare([]measure.Series{s}, rule)
	if len(all) != 1 {
		t.Fatalf("%d comparisons of one series", len(all))
	}
	return all[0]
}

func TestCompareOneMetric(t *testing.T) {
	t.Parallel()
	floor := measure.Floor{Absolute: 10, Relative: .05}
	for _, c := range []struct {
		what       string
		base, head []float64
		want       Change
		why        string
	}{
		{"clearly worse", []float64{100, 101, 102, 103, 104}, []float64{120, 121, 122, 123, 124}, Worse, "20 % (20 ms) worse: p = 0.004 after correction for all that was compared"},
		{"clearly better", []float64{120, 121, 122, 123, 124}, []float64{100, 101, 102, 103, 104}, BetterThan, "16 % (20 ms) better: p = 0.004 after correction for all that was compared"},
		{"proven, below the floor", []float64{1000, 1001, 1002, 1003, 1004}, []float64{1020, 1021, 1022, 1023, 1024}, Same, "2 % (20 ms) worse, which is proven and not more than the floor of 10 ms and 5 %"},
		{"noise", []float64{100, 140, 120, 90, 130}, []float64{101, 139, 121, 91, 129}, Same, "No change was proven; this run could have seen a change of "},
		{"a base of 0 has no relative floor", []float64{0, 0, 0, 0, 0}, []float64{11, 11, 11, 11, 11}, Worse, "11 ms worse: p = 0.004"},
		{"nothing varies", []float64{7, 7, 7, 7, 7}, []float64{7, 7, 7, 7, 7}, Same, "No change was proven; this run could have seen a change of 14"},
		{"two rounds", []float64{100, 101}, []float64{900, 901}, NotEnoughData, "2 rounds of head and 2 of base: with 1 metric compared, a change is proven by 5 of each at least"},
		{"one round", []float64{100}, []float64{900}, NotEnoughData, "1 round of head and 1 of base: with 1 metric"},
		{"no base", nil, []float64{1, 2, 3, 4, 5}, NotEnoughData, "There is no base to compare with"},
		{"no head", []float64{1, 2, 3, 4, 5}, nil, NotEnoughData, "No round of head has a value"},
		{"not a number", []float64{1, 2, 3, 4, 5}, []float64{1, 2, 3, 4, math.NaN()}, NotEnoughData, "A value is not a finite number"},
		{"infinite", []float64{1, 2, 3, 4, 5}, []float64{1, 2, 3, 4, math.Inf(1)}, NotEnoughData, "A value is not a finite number"},
	} {
		got := one(t, seriesOf("m", "s", floor, c.base, c.head), DefaultRule())
		if got.Change != c.want || !strings.HasPrefix(got.Why, c.why) {
			t.Errorf("%s: %s, %q, want %s, %q", c.what, got.Change, got.Why, c.want, c.why)
		}
	}
}

// Higher is better for a throughput: the same values, the other way.
func TestDirection(t *testing.T) {
	t.Parallel()
	s := seriesOf("http_reqs", "load", measure.Floor{Relative: .05}, []float64{100, 101, 102, 103, 104}, []float64{80, 81, 82, 83, 84})
	s.Metric.Better = measure.Higher
	got := one(t, s, DefaultRule())
	if got.Change != Worse || got.Shift != -20 || got.Effect != 1 || !(got.Low <= -20 && got.High >= -20) {
		t.Errorf("%+v", got)
	}
	s.Head, s.Base = s.Base, s.Head
	if got := one(t, s, DefaultRule()); got.Change != BetterThan || got.Shift != 20 {
		t.Errorf("%+v", got)
	}
}

func TestOnlyComparedMetrics(t *testing.T) {
	t.Parallel()
	s := seriesOf("m", "s", tiny, []float64{1}, []float64{2})
	s.Metric.Compared = false
	if got := Compare([]measure.Series{s}, DefaultRule()); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestRoundTwice(t *testing.T) {
	t.Parallel()
	s := seriesOf("m", "s", tiny, []float64{1, 2, 3, 4, 5}, []float64{11, 12, 13, 14, 15})
	s.Head[1].Round = 0
	if got := one(t, s, DefaultRule()); got.Change != NotEnoughData || got.Why != "A round has two values." {
		t.Errorf("%s, %q", got.Change, got.Why)
	}
}

func TestExactMetric(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what       string
		base, head []float64
		want       Change
		why        string
	}{
		{"larger", []float64{100000}, []float64{110000}, Worse, "10 % (10 kB) worse"},
		{"smaller", []float64{100000}, []float64{90000}, BetterThan, "10 % (10 kB) better"},
		{"below the floor", []float64{100000}, []float64{100500}, Same, "0.5 % (500 B) worse, not more than the floor of 1.02 kB and 1 % (default for B)"},
		{"the same", []float64{5, 5}, []float64{5}, Same, "No change."},
		{"varying", []float64{100000, 100001}, []float64{200000}, Worse, "100 % (100 kB) worse; the rounds of base differ, 100 kB to 100.001 kB, although this metric should not vary between runs of one version"},
		{"in doubt", []float64{100000, 300000}, []float64{200000}, NotEnoughData, "The rounds do not agree about a change; the rounds of base differ, "},
	} {
		s := seriesOf("raw", "/", measure.Floor{}, c.base, c.head)
		s.Metric.Unit, s.Metric.Exact = measure.Bytes, true
		got := one(t, s, DefaultRule())
		if got.Change != c.want || !strings.HasPrefix(got.Why, c.why) {
			t.Errorf("%s: %s, %q, want %s, %q", c.what, got.Change, got.Why, c.want, c.why)
		}
	}
}

// Exact metrics need no error probability, so they cost others nothing.
func TestExactMetricsAreNoFamilies(t *testing.T) {
	t.Parallel()
	all := run{families: 12, strata: 1, rounds: 5, noise: noises["lognormal"], worse: map[string]float64{"m0": 2}}.series(rand.New(rand.NewPCG(1, 1)))
	for i := range 100 {
		s := seriesOf("raw", string(rune('a'+i)), tiny, []float64{1}, []float64{1})
		s.Metric.Exact = true
		all = append(all, s)
	}
	if got := Compare(all, DefaultRule())[0]; got.Change != Worse {
		t.Errorf("%s, %q", got.Change, got.Why)
	}
}

// With 5 rounds 12 metrics can be proven and 13 can't, whatever their values.
func TestTooManyMetrics(t *testing.T) {
	t.Parallel()
	for families, want := range map[int]Change{12: Worse, 13: NotEnoughData} {
		s := run{families: families, strata: 1, rounds: 5, noise: noises["lognormal"], worse: map[string]float64{"m0": 9}}
		got := Compare(s.series(rand.New(rand.NewPCG(1, 1))), DefaultRule())[0]
		if got.Change != want {
			t.Errorf("%d metrics: %s, %q, want %s", families, got.Change, got.Why, want)
		}
		if want == NotEnoughData && (!strings.Contains(got.Why, "with 13 metrics compared, a change is proven by 6 of each") || !math.IsInf(got.CouldSee, 1)) {
			t.Errorf("%q, %v", got.Why, got.CouldSee)
		}
	}
}

// A metric with fewer rounds than it needs does not take the others' chance.
func TestShortMetricCostsNothing(t *testing.T) {
	t.Parallel()
	all := run{families: 12, strata: 1, rounds: 5, noise: noises["lognormal"], worse: map[string]float64{"m0": 9}}.series(rand.New(rand.NewPCG(1, 1)))
	all = append(all, seriesOf("short", "s0", tiny, []float64{1, 2}, []float64{3, 4}))
	got := Compare(all, DefaultRule())
	if got[0].Change != Worse || got[12].Change != NotEnoughData {
		t.Errorf("%s, %s", got[0].Change, got[12].Change)
	}
}

func TestProvenTogether(t *testing.T) {
	t.Parallel()
	all := run{families: 11, strata: 2, rounds: 5, noise: noises["lognormal"]}.series(rand.New(rand.NewPCG(1, 1)))
	// Each subject has one round that is out of order: 2/252 is too much among 12.
	all = append(all,
		seriesOf("x", "a", tiny, []float64{10, 11, 12, 13, 20}, []float64{19, 21, 22, 23, 24}),
		seriesOf("x", "b", tiny, []float64{10, 20, 12, 13, 11}, []float64{23, 21, 22, 19, 24}))
	got := Compare(all, DefaultRule())
	for _, c := range got[22:] {
		if c.Change != Worse || !strings.HasSuffix(c.Why, "proven for the 2 subjects together, not for this one alone.") {
			t.Errorf("%s, %q", c.Change, c.Why)
		}
	}
}

func TestMissingRounds(t *testing.T) {
	t.Parallel()
	all := run{families: 2, strata: 3, rounds: 7, noise: noises["lognormal"], worse: map[string]float64{"m0": 3}}.series(rand.New(rand.NewPCG(1, 1)))
	all[0].Head, all[1].Base = all[0].Head[2:], slices.Delete(all[1].Base, 3, 4)
	for i, c := range Compare(all, DefaultRule()) {
		if want := map[bool]Change{true: Worse, false: Same}[i < 3]; c.Change != want {
			t.Errorf("%v: %s, %q, want %s", c.Key, c.Change, c.Why, want)
		}
	}
}

func TestRounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ families, strata, want int }{
		{0, 0, 5}, {1, 1, 5}, {5, 2, 5}, {12, 1, 5}, {13, 1, 6}, {12, 2, 6}, {12, 8, 7}, {46, 1, 6}, {1000, 1000, 14},
	} {
		if got := Rounds(c.families, c.strata, .05); got != c.want {
			t.Errorf("Rounds(%d, %d) = %d, want %d", c.families, c.strata, got, c.want)
		}
	}
	if got := Rounds(1, 1, 0); got != 5 {
		t.Errorf("without an alpha: %d", got)
	}
}

func TestFloorOf(t *testing.T) {
	t.Parallel()
	own := measure.Floor{Absolute: 3}
	rule := Rule{Floors: map[string]measure.Floor{"b": own}}
	for _, c := range []struct {
		metric measure.Metric
		want   measure.Floor
		from   string
	}{
		{measure.Metric{Name: "a", Unit: "ms", Floor: measure.Floor{Relative: .2}}, measure.Floor{Relative: .2}, "metric"},
		{measure.Metric{Name: "b", Unit: "ms", Floor: measure.Floor{Relative: .2}}, own, "rule"},
		{measure.Metric{Name: "a", Unit: "ms"}, measure.Floor{Absolute: 10, Relative: .05}, "default for ms"},
		{measure.Metric{Name: "a", Unit: "sec/op"}, measure.Floor{Relative: .05}, "default for other units"},
	} {
		if got, from := rule.FloorOf(c.metric); got != c.want || from != c.from {
			t.Errorf("FloorOf(%+v) = %+v, %q, want %+v, %q", c.metric, got, from, c.want, c.from)
		}
	}
}

// The procedure without strata is Holm's.
func TestProcedureIsHolm(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(21, 22))
	for range 100 {
		s := run{families: 6, strata: 1, rounds: 6, noise: noises["lognormal"], worse: map[string]float64{"m0": 1.5, "m1": 1.2, "m2": 1.1}}
		drafts, _, _ := decide(s.series(r), DefaultRule())
		ps, got := make([]float64, 6), make([]float64, 6)
		for i, d := range drafts {
			ps[i], got[i] = d.P, d.Adjusted
		}
		if want := holm(ps); !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }) {
			t.Errorf("%v are adjusted to %v, Holm says %v", ps, got, want)
		}
	}
}

// holm is the definition: the largest of (m-j)·p(j) so far.
func holm(ps []float64) []float64 {
	adjusted := make([]float64, len(ps))
	for i, p := range ps {
		for _, q := range ps {
			at := 0
			for _, other := range ps {
				if other < q {
					at++
				}
			}
			if q <= p {
				adjusted[i] = max(adjusted[i], min(1, float64(len(ps)-at)*q))
			}
		}
	}
	return adjusted
}

// decided is one without CouldSee.
func decided(s measure.Series) draft {
	drafts, _, _ := decide([]measure.Series{s}, DefaultRule())
	return drafts[0]
}

func TestProperties(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(23, 24))
	for range 60 {
		n := 5 + r.IntN(4)
		base, head := noises["lognormal"](r, n, machine(r, n))
		a := decided(seriesOf("m", "s", tiny, base, head))
		back := decided(seriesOf("m", "s", tiny, head, base))
		if a.Shift != -back.Shift || a.Effect != -back.Effect || a.Low != -back.High || a.High != -back.Low {
			t.Errorf("the other way is not the reverse: %+v %+v", a, back)
		}
		shuffled := slices.Clone(head)
		r.Shuffle(n, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again := decided(seriesOf("m", "s", tiny, base, shuffled))
		if again.P != a.P || again.Shift != a.Shift || again.Change != a.Change {
			t.Errorf("the order of rounds matters: %+v %+v", a, again)
		}
		plus := func(values []float64, by float64) []float64 {
			moved := make([]float64, len(values))
			for i, v := range values {
				moved[i] = v + by
			}
			return moved
		}
		both := decided(seriesOf("m", "s", tiny, plus(base, 512), plus(head, 512)))
		if both.P != a.P || math.Abs(both.Shift-a.Shift) > 1e-9 {
			t.Errorf("a constant on both sides matters: %+v %+v", a, both)
		}
		last := 1.0
		for by := 0.0; by < 400; by += 20 {
			p := decided(seriesOf("m", "s", tiny, base, plus(head, by))).P
			if p > last {
				t.Errorf("p grows with the shift: %v after %v", p, last)
			}
			last = p
		}
	}
}

// The same run has the same result, to the last digit.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	series := run{families: 3, strata: 2, rounds: 9, noise: noises["quantised"]}.series(rand.New(rand.NewPCG(3, 1)))
	if diff := cmp.Diff(Compare(series, DefaultRule()), Compare(series, DefaultRule())); diff != "" {
		t.Error(diff)
	}
}

func TestSees(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Comparison{
		"this run could have seen a change of 8 % (120 ms)": {Base: 1500, CouldSee: 120, Metric: measure.Metric{Unit: measure.Milliseconds}},
		"this run could have seen a change of 0.02":         {CouldSee: .02, Metric: measure.Metric{Unit: measure.Shift}},
		"this run could not have seen a change":             {CouldSee: math.Inf(1)},
		"this run would have seen any change":               {},
		"this run could have seen a change of 3 % (3 ns)":   {Base: 1e-7, CouldSee: 3e-9, Metric: measure.Metric{Unit: "s"}},
	} {
		if got := c.Sees(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, uint8(1), uint8(0))
	f.Add(make([]byte, 200), uint8(3), uint8(7))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\xf8\x7f\x00\x00\x00\x00\x00\x00\xf0\x7f12345678"), uint8(2), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, subjects, kind uint8) {
		var series []measure.Series
		for i := range int(subjects%3) + 1 {
			s := seriesOf(string(rune('a'+i%2)), string(rune('a'+i/2)), measure.Floor{}, nil, nil)
			s.Metric.Exact, s.Metric.Better = kind&1 == 1 && i == 0, []measure.Better{measure.Lower, measure.Higher}[kind>>1&1]
			for k, v := range values(data, i, kind>>2&1 == 1) {
				if k%2 == 0 && len(s.Head) < 5 {
					s.Head = append(s.Head, measure.Point{Round: k, Value: v})
				} else if len(s.Base) < 5 {
					s.Base = append(s.Base, measure.Point{Round: k, Value: v})
				}
			}
			series = append(series, s)
		}
		for _, c := range Compare(series, DefaultRule()) {
			if !(c.P >= 0 && c.P <= 1 && c.Adjusted >= c.P*(1-1e-9) && c.Adjusted <= 1) && !strings.Contains(c.Why, "together") {
				t.Errorf("p = %v, adjusted %v", c.P, c.Adjusted)
			}
			if !(c.Low <= c.Shift && c.Shift <= c.High) || !(c.CouldSee >= 0) || !(math.Abs(c.Effect) <= 1) || c.Why == "" || c.Change == "" {
				t.Errorf("%+v", c)
			}
		}
	})
}

// values cuts numbers out of data: bytes, or floats with all that they can be.
func values(data []byte, skip int, floats bool) []float64 {
	var all []float64
	for i := skip; i < len(data); i++ {
		if !floats {
			all = append(all, float64(data[i]))
		} else if i+8 <= len(data) {
			all = append(all, math.Float64frombits(binary.LittleEndian.Uint64(data[i:])))
			i += 7
		}
	}
	return all
}
