package stat

import "math"

const (
	confidence = 0.999
	// evidence is the likelihood ratio at which a change counts as confirmed;
	// evidenceEnd is the one for a target of 0 or 1. From 5 to 0 %, 180 answers in
	// a row without the canary reach 1e4; at 100 answers a second that happens
	// once in 35 minutes although nothing changed.
	evidence    = 1e4
	evidenceEnd = 1e6
	// leastN and leastEnd are the minimum answers to confirm a share inside 0..1,
	// and one of the ends.
	leastN   = 30
	leastEnd = 100
	// mixtureN is the maximum number of answers spent to exclude a half-applied
	// change.
	mixtureN = 500
	// leastP bounds probabilities away from 0 and 1, where a single answer would
	// have infinite weight.
	leastP = 1e-4
)

// A Confirmer detects when the answers show that the data plane follows a
// weight.
//
// A gateway applies a new weight some milliseconds or many seconds after the
// write. Until then its answers show the old share. For each answer the
// Confirmer tests whether the new share explains the answers far better, since
// when, and whether all answers since then agree with it. Three conditions must
// hold together:
//
//   - the likelihood ratio of the new share to the old one, since the most
//     likely moment of the change (CUSUM, Page 1954), is over 10,000 to 1, and
//     over a million to 1 for a target of 0 or 100 %;
//   - the count since that moment is in the 99.9 % interval of the new share;
//   - there are enough answers since then that this interval is disjoint from
//     the old share's and, if 500 answers suffice for that, from the one
//     half-way in between: one of two gateway replicas not yet following.
//
// The sum finds the change quickly however late it is; the interval rejects
// shares above or below the target, which the sum alone would accept. For a
// target of 0 or 100 % one answer of the wrong side restarts the count, and at
// least 100 answers in a row are required, because pods are scaled down after
// this confirmation.
//
// Limitation: it cannot distinguish a half-applied small change from an applied
// one, say 15 % from 25 %, without more answers than a step should cost.
// Nothing is scaled down after such a step, and Progress shows the measured
// share.
//
// The caller passes only answers to requests sent after the weight was written.
// A Confirmer is not safe for concurrent use.
type Confirmer struct {
	from, to           float64
	canary, stable     float64 // log likelihood ratio of one answer, to against from
	minN               int
	enough             float64 // log of the required evidence
	sum                float64 // CUSUM
	n, k               int     // answers and canary answers since the likely change
	window             []bool  // the last minN answers; used if from equals to
	seen, unattributed int
	confirmed          bool
	atN, atK, atAll    int // n, k and seen at the confirmation
}

// NewConfirmer returns a Confirmer for a change of the share from one value to
// another, both 0..1. If they are equal there is no change to detect; it then
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

// NewSettling returns a Confirmer for a share that may have been any other before,
// for a while: the last answers have to agree with it, so many of them that they
// exclude none and, if 500 suffice for that, half of it and twice as much.
func NewSettling(to float64) *Confirmer {
	c := NewConfirmer(to, to)
	if to > 0 {
		c.minN = minAnswers(0, to)
	}
	if twice := 2 * to; twice < 1 {
		if n := firstDisjoint(c.minN, mixtureN+1, to, twice); n <= mixtureN {
			c.minN = n
		}
	}
	return c
}

func clamp(p float64) float64 { return min(max(p, leastP), 1-leastP) }

// minAnswers returns the minimum number of answers for a confirmation.
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

// firstDisjoint returns the smallest n in least..most at which the intervals of
// p and q are disjoint, most if there is none. It may be off by the sawtooth of
// the binomial.
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

// Needed returns the number of answers that a confirmation takes at least.
func (c *Confirmer) Needed() int { return c.minN }

// Observe adds one answer, by the canary or by stable, to a request sent after
// the weight was written. It reports whether the share is confirmed; a
// confirmation is final.
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

// add updates the CUSUM with one answer.
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

// Run returns the number of answers since the most likely moment of the change:
// the answer at which it is 1 is the first that the new share explains better.
func (c *Confirmer) Run() int { return c.n }

// Unattributed counts one answer of an unknown side. It has no other effect.
func (c *Confirmer) Unattributed() { c.unattributed++ }

// Progress is the progress of a Confirmer, in numbers to show.
type Progress struct {
	Confirmed bool
	From, To  float64 // the old share and the expected one
	// N answers, K of them by the canary, since the most likely moment of the
	// change; frozen at the confirmation.
	N, K int
	// MinN is the minimum N for a confirmation.
	MinN int
	// Lo and Hi bound the values of K that agree with To at 99.9 %.
	Lo, Hi int
	// Evidence is the log likelihood ratio of To to From since that moment, as a
	// share of the required one: 0 none, 1 enough. It is 1 if From equals To.
	Evidence float64
	// Seen is the number of attributed answers, Unattributed that of the others.
	// ConfirmedAfter is Seen at the confirmation, 0 before it.
	Seen, Unattributed, ConfirmedAfter int
}

// Share returns K/N, or 0 when there are no answers.
func (p Progress) Share() float64 {
	if p.N == 0 {
		return 0
	}
	return float64(p.K) / float64(p.N)
}

// Progress returns the progress so far.
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
