package stat

import "math"

// span is the widest bet of a Wager: the odds of a hit are taken to be up to
// e^span times those of its null.
const span = 12

// A Wager is evidence that accumulates over blocks of events, each of which has a
// share of hits of its own under the null hypothesis. It spreads an even stake over
// odds that are 1 to e^span times those of the null, so that its stake is a
// nonnegative supermartingale however the null changes from block to block:
// exp(-Evidence) is a p-value that is valid at every look (Ville 1939; the bets are
// those of Evidence, on odds ratios). The zero Wager has seen nothing.
type Wager struct{ logs [bets]float64 }

// odds are what a Wager bets on.
var odds = func() (all [bets]float64) {
	for i := range all {
		all[i] = math.Exp(span * (float64(i) + .5) / bets)
	}
	return all
}()

// Add takes hits and misses, each of which is a hit with probability null at most.
// A null of 0 or 1 says nothing.
func (w *Wager) Add(null, hits, misses float64) {
	if !(null > 0 && null < 1) || hits+misses <= 0 {
		return
	}
	for i, o := range odds {
		under := math.Log(1 + (o-1)*null) // the bet is on a share of o·null/under
		w.logs[i] += hits*(span*(float64(i)+.5)/bets-under) - misses*under
	}
}

// Evidence returns the logarithm of the stake, 0 at the start.
func (w Wager) Evidence() float64 {
	most := w.logs[0]
	for _, l := range w.logs {
		most = max(most, l)
	}
	sum := 0.0
	for _, l := range w.logs {
		sum += math.Exp(l - most)
	}
	return most + math.Log(sum/bets)
}

// NullShare returns the highest probability that an event belongs to the first of
// two streams with so many requests each, if the first one has events at most ratio
// times as often; 0 or 1 if one of them has no requests.
func NullShare(first, second, ratio float64) float64 {
	if first <= 0 {
		return 0
	}
	return first * ratio / (first*ratio + second)
}

// A Dispersion says how much events come in clumps. It compares the share of events in
// each block of time with that in the block before, and with what independent events
// would show: successive differences (von Neumann 1941) see clumps, and not that the
// share has changed for good. The zero Dispersion has seen nothing.
type Dispersion struct {
	differences float64 // squared, each over its variance at a rate of 1
	last        [2]float64
	events      float64
	trials      float64
	blocks      float64
}

// Add takes the events of one block among its requests. A block without requests
// says nothing.
func (d *Dispersion) Add(requests, events float64) {
	if requests <= 0 {
		return
	}
	if d.blocks > 0 {
		difference := events/requests - d.last[1]/d.last[0]
		d.differences += difference * difference / (1/requests + 1/d.last[0])
	}
	d.last = [2]float64{requests, events}
	d.events += events
	d.trials += requests
	d.blocks++
}

// Index returns how many times more the share of events varies between neighbouring
// blocks than it would if they were independent; so many events count as one. It is
// never below 1, which is also the answer with fewer than two blocks or no events.
func (d Dispersion) Index() float64 {
	if d.blocks < 2 || d.events <= 0 {
		return 1
	}
	rate := d.events / d.trials
	return max(1, d.differences/(rate*max(1-rate, .1))/(d.blocks-1))
}
