package stat

import "math"

const (
	confidence = 0.999
	// evidence is the likelihood ratio at which a change counts as seen;
	// evidenceEnd is that for a target of 0 or 1. From 5 to 0 % a row of
	// 180 answers without the canary would be 1e4, and turns up once in
	// 35 minutes at 100 a second although nothing changed.
	evidence    = 1e4
	evidenceEnd = 1e6
	// leastN and leastEnd are the fewest answers to confirm a share inside
	// 0..1, and one of the ends.
	leastN   = 30
	leastEnd = 100
	// mixtureN is how many answers telling a half-applied change may cost.
	mixtureN = 500
	// leastP bounds probabilities away from 0 and 1, where one stray answer
	// would have infinite weight.
	leastP = 1e-4
)

// A Confirmer says when the answers show that a data plane follows a weight.
//
// A gateway is told "25 % to the canary" and, some milliseconds or many seconds
// later, does it. Until then its answers still show the share before. It looks at
// each answer and asks: is the new share the better explanation by far,
// since when, and does all that came since agree with it? Three things have to
// hold at once:
//
//   - the likelihood of the new share against the old one, summed up since the
//     most likely moment of the change (CUSUM, Page 1954), is over 10,000 to 1,
//     and over a million to 1 for a target of 0 or 100 %;
//   - the count since that moment lies in the 99.9 % interval of the new share;
//   - there are enough answers since then that the same interval of the old share
//     has no count in common with it and, where 500 answers can tell, neither has
//     that of the half-way mixture: one of two gateway replicas not yet following.
//
// The sum finds the change quickly however late it is; the interval refuses
// shares beyond or short of the target, which the sum alone would take. For a
// target of 0 or 100 % one answer of the wrong side starts everything afresh, and
// at least 100 in a row are asked for: pods are scaled down on this word.
//
// What it cannot do: tell a small change that was applied by half from one that
// was applied, say 15 % from 25 %, without more answers than a step should cost.
// Nothing is scaled down after such a step, and Progress shows the share as seen.
//
// Whoever feeds it makes sure that every answer was sent after the weight was
// written. It is not safe for concurrent use.
type Confirmer struct {
	from, to           float64
	canary, stable     float64 // log likelihood ratio of one answer, to against from
	minN               int
	enough             float64 // log of the evidence asked for
	sum                float64 // CUSUM
	n, k               int     // answers and canary answers since the likely change
	window             []bool  // the last minN answers, where nothing was to change
	seen, unattributed int
	confirmed          bool
	atN, atK, atAll    int // n, k and seen when it was confirmed
}

// NewConfirmer returns a Confirmer for a change of the share from one value to
// another, both 0..1. When they are the same there is nothing to detect, and it
// confirms that the last answers agree with the share.
func NewConfirmer(from, to float64) *Confirmer {
	from, to = min(max(from, 0), 1), min(max(to, 0), 1)
	p0, p1 := clamp(from), clamp(to)
	enough := math.Log(evidence)
	if to == 0 || to == 1 {
		enough = math.Log(evidenceEnd)
	}
	return &Confirmer{
		from: from, to: to, minN: minAnswers(from, to), enough: enough,
		canary: math.Log(p1 / p0), stable: math.Log((1 - p1) / (1 - p0)),
	}
}

func clamp(p float64) float64 { return min(max(p, leastP), 1-leastP) }

// minAnswers returns how many answers a confirmation needs at least.
func minAnswers(from, to float64) int {
	least := leastN
	if to == 0 || to == 1 {
		least = leastEnd
	}
	if from == to {
		return least
	}
	n := firstDisjoint(least, 1<<20, from, to)
	if to > 0 && to < 1 {
		if m := firstDisjoint(n, mixtureN+1, (from+to)/2, to); m <= mixtureN {
			n = m
		}
	}
	return n
}

// firstDisjoint returns the first n in least..most at which p and q can be told
// apart; most when there is none. It may be off by the sawtooth of the binomial.
func firstDisjoint(least, most int, p, q float64) int {
	lo, hi := least-1, least
	for hi < most && !disjoint(hi, p, q) {
		lo, hi = hi, min(2*hi, most)
	}
	for lo+1 < hi {
		if mid := (lo + hi) / 2; disjoint(mid, p, q) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

// Observe takes one answer, sent after the weight was written, by the canary or
// by stable. It returns whether the share is confirmed; once it is, it stays so.
func (c *Confirmer) Observe(canary bool) bool {
	c.seen++
	if c.confirmed {
		return true
	}
	if c.from == c.to {
		c.slide(canary)
	} else {
		c.add(canary)
	}
	if c.n >= c.minN && (c.from == c.to || c.sum >= c.enough) {
		lo, hi := Interval(c.n, c.to, confidence)
		if c.k >= lo && c.k <= hi {
			c.confirmed, c.atN, c.atK, c.atAll = true, c.n, c.k, c.seen
		}
	}
	return c.confirmed
}

// add moves the CUSUM by one answer.
func (c *Confirmer) add(canary bool) {
	if c.to == 0 && canary || c.to == 1 && !canary {
		c.sum, c.n, c.k = 0, 0, 0
		return
	}
	c.n++
	if canary {
		c.k++
		c.sum += c.canary
	} else {
		c.sum += c.stable
	}
	if c.sum <= 0 {
		c.sum, c.n, c.k = 0, 0, 0
	}
}

// slide counts over the last minN answers.
func (c *Confirmer) slide(canary bool) {
	if len(c.window) == c.minN {
		if c.window[0] {
			c.k--
		}
		c.n--
		c.window = append(c.window[:0], c.window[1:]...)
	}
	c.window = append(c.window, canary)
	c.n++
	if canary {
		c.k++
	}
}

// Run is how many answers came since the likeliest moment of the change: the
// answer at which it is 1 was the first that the new share explains better.
func (c *Confirmer) Run() int { return c.n }

// Unattributed takes one answer whose side is not known. It is counted and has no
// other effect.
func (c *Confirmer) Unattributed() { c.unattributed++ }

// Progress is how far a Confirmer is, in numbers to show.
type Progress struct {
	Confirmed bool
	From, To  float64 // the share before and the share awaited
	// N answers, K of them by the canary, came since the most likely moment
	// of the change; frozen when it was confirmed.
	N, K int
	// MinN is the least N to confirm.
	MinN int
	// Lo and Hi bound the K that agrees with To at 99.9 %.
	Lo, Hi int
	// Evidence is the likelihood of To against From since that moment, as a
	// share of what is asked for: 0 none, 1 enough. It is 1 when nothing
	// was to change.
	Evidence float64
	// Seen answers in all, and Unattributed ones beside them. When confirmed,
	// ConfirmedAfter is the value of Seen at that moment.
	Seen, Unattributed, ConfirmedAfter int
}

// Share returns K/N, or 0 when there are no answers.
func (p Progress) Share() float64 {
	if p.N == 0 {
		return 0
	}
	return float64(p.K) / float64(p.N)
}

// Progress returns how far the Confirmer is.
func (c *Confirmer) Progress() Progress {
	p := Progress{Confirmed: c.confirmed, From: c.from, To: c.to, N: c.n, K: c.k, MinN: c.minN,
		Evidence: min(c.sum/c.enough, 1), Seen: c.seen, Unattributed: c.unattributed}
	if c.from == c.to {
		p.Evidence = 1
	}
	if c.confirmed {
		p.N, p.K, p.ConfirmedAfter = c.atN, c.atK, c.atAll
	}
	p.Lo, p.Hi = Interval(p.N, c.to, confidence)
	return p
}
