package trialbench

import (
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/devtools/bench/trialbench/recorded"
)

// defaultSteps are the weights in percent.
var defaultSteps = []int{5, 25, 50, 100}

// A row is one kind of rollout.
type row struct {
	name      string
	sick      bool
	perSecond float64 // 0 for the rate of the options
	steps     []int   // nil for defaultSteps
	shape     cause   // of the latencies; nil for lognormal with sigma 0.5
	errors    float64 // share of requests that fail on both versions; 0 for 0.1 %, negative for none
	causes    []cause
	onset     int     // step with which the defect begins
	late      float64 // seconds until the route follows the last weight; 0 for as usual
	last      []cause // what the last release had instead of causes; nil for no last release
}

func (s row) group() string {
	if s.sick {
		return "sick"
	}
	return "healthy"
}

func (s row) withDefaults() row {
	if s.steps == nil {
		s.steps = defaultSteps
	}
	if s.shape == nil {
		s.shape = lognormal(0.5)
	}
	if s.errors == 0 {
		s.errors = 0.001
	}
	return s
}

// healthy is a row whose canary keeps every limit, sick one whose canary does not.
func healthy(name string, causes ...cause) row { return row{name: name, causes: causes} }

func sick(name string, causes ...cause) row { return row{name: name, sick: true, causes: causes} }

// with returns the row with a change.
func (s row) with(change func(*row)) row {
	change(&s)
	return s
}

func (s row) at(perSecond float64) row { return s.with(func(s *row) { s.perSecond = perSecond }) }
func (s row) from(steps ...int) row    { return s.with(func(s *row) { s.steps = steps }) }
func (s row) of(shape cause) row       { return s.with(func(s *row) { s.shape = shape }) }
func (s row) free() row                { return s.with(func(s *row) { s.errors = -1 }) }
func (s row) since(step int) row       { return s.with(func(s *row) { s.onset = step }) }

// after gives the row a last release, which had these causes.
func (s row) after(causes ...cause) row {
	return s.with(func(s *row) { s.last = append([]cause{}, causes...) })
}

func rows() []row {
	var all []row
	for _, part := range [][]row{shapes(), dependent(), failures(), young(), gateways(), releases(), limits(), sickErrors(), sickLatencies(), sickAnswers(), sickLate()} {
		all = append(all, part...)
	}
	return all
}

const one = 1 // percent, the smallest first step

func shapes() []row {
	return []row{
		healthy("lognormal, sigma 0.5"),
		healthy("lognormal, sigma 1").of(lognormal(1)),
		healthy("Pareto 1.5").of(pareto(1.5)),
		healthy("no errors").free(),
		healthy("ties of 1 ms", ties(time.Millisecond)),
		healthy("ties of 10 ms", ties(10*time.Millisecond)),
		healthy("20 requests/s").at(20),
		healthy("200 requests/s").at(200),
		healthy("other path mix: 35 % against 30 % slow paths").of(paths(0.30, 0.35)),
		healthy("1 % first").from(one, 25, 50, 100),
	}
}

func dependent() []row {
	return []row{
		healthy("AR(1) .9 per second, each version's own", wandering(0.9, sway)),
		healthy("AR(1) .98 per second, each version's own", wandering(0.98, sway)),
		healthy("AR(1) .9, wider (sigma 0.25)", wandering(0.9, 0.25)),
		healthy("bursts common to both (5 times slower, 10 % errors)", bursts(5, 0.1)),
		healthy("bursts common to both (10 times slower, 30 % errors)", bursts(10, 0.3)),
		healthy("one stall of 1 s per step, common", stall(moment{step: -1, after: 2, spread: 0.8, length: 1})),
		healthy("pauses of 0.3 s every 10 s, each version's own", pauses(10, 0.3)),
		healthy("day drift, 50 % up and down in 5 minutes", drift(0.5, 300)),
		healthy("waves of load, 80 % up and down in a minute", drift(0.8, 60)),
		healthy("errors in clumps, each version's own, 0.5 %", clumps(0.1, 0.1, 19)),
	}
}

// sway is the width of the wandering speeds.
const sway = 0.15

func failures() []row {
	return []row{
		healthy("1 % errors on both", failing(both, 0.01)),
		healthy("2 % errors on both", failing(both, 0.02)),
		healthy("3 % errors on both", failing(both, 0.03)),
		healthy("2 % errors on both, 20/s", failing(both, 0.02)).at(20),
		healthy("3 % of answers over 2 s on both", over2s(both, 0.03)),
		healthy("2 % without an answer on both", lost(both, 0.02)),
		healthy("stable loses 5 %, the canary nothing", lost(stable, 0.05)),
		healthy("stable loses 5 % from the second step on", lost(stableLater, 0.05)),
		healthy("0.5 % redirects on both", wrong(both, evidence.WrongRedirect, 0.005, 0.3)),
	}
}

func young() []row {
	return []row{
		healthy("cold cache in the canary's first 30 s", filling),
		healthy("JIT: canary 3 times slower in its first 30 s", warming(3)),
		healthy("JIT: canary 10 times slower in its first 30 s", warming(10)),
		healthy("JIT: canary 3 times slower at first, fading in 10 s", easing(3)),
		healthy("JIT: each step's new pods 3 times slower for 30 s", joining(3)),
	}
}

func gateways() []row {
	outages := moment{step: 1, after: 4, spread: 0.7, length: 3}
	restart := moment{step: 0, after: 4, spread: 0.7, length: 1}
	late := moment{step: 3, after: 4, length: 4}
	slowly := func(s *row) { s.late = 12 }
	return []row{
		healthy("gateway restarted for 1 s at 5 %", outage(restart, 1, false)),
		healthy("common outage of 3 s, half of all fail, without a version", outage(outages, 0.5, false)),
		healthy("common outage of 3 s, half of all fail, with a version", outage(outages, 0.5, true)),
		healthy("route 12 s late to 100 %").with(slowly),
		healthy("route 12 s late to 100 %, common outage of 4 s", outage(late, 0.5, true)).with(slowly),
		healthy("route 12 s late to 100 %, common outage of 4 s, no version", outage(late, 0.5, false)).with(slowly),
	}
}

func releases() []row {
	return []row{
		healthy("second release, as fast as the last").after(),
		healthy("second release, all 1.6 times slower than then", slower(both, 1.6)).after(),
		healthy("second release, all 1.6 times slower than then, sigma 0.2", slower(both, 1.6)).of(lognormal(0.2)).after(),
		healthy("second release, all twice as slow as then", slower(both, 2)).after(),
		healthy("second release, all 1.6 times faster than then", slower(both, 1/1.6)).after(),
		healthy("second release, last one in another phase of the day", drift(0.5, 300)).after(drift(0.5, 300)),
	}
}

func limits() []row {
	return []row{
		healthy("canary twice as fast", slower(canary, 0.5)),
		healthy("canary 1.3 times slower (inside the limit)", slower(canary, 1.3)),
		healthy("canary at the limit (1.5 times), independent", slower(canary, 1.5)),
		healthy("canary at the limit, AR(1) .9", slower(canary, 1.5), wandering(0.9, sway)),
		healthy("canary at the limit, AR(1) .98", slower(canary, 1.5), wandering(0.98, sway)),
	}
}

func sickErrors() []row {
	return []row{
		sick("errors 5 %", failing(canary, 0.05)),
		sick("errors 1 %", failing(canary, 0.01)),
		sick("errors 20 %", failing(canary, 0.2)),
		sick("errors 5 %, 1 % first", failing(canary, 0.05)).from(one, 25, 50, 100),
		sick("errors 5 % in clumps, a quarter for 1 s of 5", clumps(0, 0.25, 4)),
		sick("errors 5 % beside 1 % on both", failing(canary, 0.05), failing(both, 0.01)),
		sick("5 % lost (reset, timeout)", lost(canary, 0.05)),
		sick("10 % lost", lost(canary, 0.1)),
		sick("10 % lost, 1 % first", lost(canary, 0.1)).from(one, 25, 50, 100),
		sick("down for 3 s of 30, 502s without a version", crashes(27, 3)),
		sick("10 % lost beside 2 % on both", lost(canary, 0.1), lost(both, 0.02)),
	}
}

func sickLatencies() []row {
	return []row{
		sick("1 % of answers ten times slower", tail(canary, 0.01, 10)),
		sick("5 % of answers ten times slower", tail(canary, 0.05, 10)),
		sick("10 % of answers ten times slower", tail(canary, 0.1, 10)),
		sick("twice as slow", slower(canary, 2)),
		sick("twice as slow, 1 % first", slower(canary, 2)).from(one, 25, 50, 100),
		sick("twice as slow, Pareto 1.5", slower(canary, 2)).of(pareto(1.5)),
		sick("twice as slow, AR(1) .9", slower(canary, 2), wandering(0.9, sway)),
		sick("twice as slow in common bursts", slower(canary, 2), bursts(5, 0.1)),
		sick("three times as slow, for ever", slower(canary, 3)),
	}
}

func sickAnswers() []row {
	return []row{
		sick("empty 200s, ten times faster", wrong(canary, evidence.WrongEmpty, 1, 0.1)),
		sick("redirects to a login page", wrong(canary, evidence.WrongRedirect, 1, 0.3)),
		sick("5 % of answers empty", wrong(canary, evidence.WrongEmpty, 0.05, 0.1)),
		sick("5 % of answers of another type", wrong(canary, evidence.WrongType, 0.05, 1)),
	}
}

// sickLate are defects that show when stable has no traffic any more.
func sickLate() []row {
	end := len(defaultSteps) - 1
	return []row{
		sick("errors 5 % at 100 % only", failing(last, 0.05)).since(end),
		sick("10 % lost at 100 % only", lost(last, 0.1)).since(end),
		sick("twice as slow at 100 % only", slower(last, 2)).since(end),
		sick("twice as slow at 100 % only, second release", slower(last, 2)).since(end).after(),
	}
}

// replays are rows whose latencies were recorded.
func replays(s recorded.Series) []row {
	alone, shared := replayed(s, false), replayed(s, true)
	return []row{
		healthy("recorded, versions side by side").of(shared),
		healthy("recorded, each version's own time").of(alone),
		healthy("recorded, canary 1.3 times slower", slower(canary, 1.3)).of(shared),
		sick("recorded, twice as slow", slower(canary, 2)).of(shared),
		sick("recorded, 1 % of answers ten times slower", tail(canary, 0.01, 10)).of(shared),
		sick("recorded, errors 5 %", failing(canary, 0.05)).of(shared),
	}
}
