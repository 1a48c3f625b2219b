package baseline

import (
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Relearning follows stable's values up to the first weight. Pods of an earlier
// version that a rolling update has just replaced may still answer when they are
// learnt: then every later answer would look like the canary's. A value that no longer
// answers is forgotten: the canary may have it.
type Relearning struct {
	Answers int
	Last    map[string]int // by value, the number of the answer that had it last
	Changed bool           // there was a value that was not known
}

// Answer takes the value of one answer, "" for none, and the side that it is of as far as
// the book knows.
func (r *Relearning) Answer(book *probe.Book, value string, side rollout.Side) {
	if value == "" {
		return
	}
	if r.Last == nil {
		r.Last = map[string]int{}
	}
	r.Answers++
	r.Last[value] = r.Answers
	if side == rollout.SideCanary {
		r.Changed = true
		book.Learn(rollout.SideStable, value)
	}
	if !r.Changed {
		return
	}
	for _, known := range book.Values(rollout.SideStable) {
		if r.Last[known] <= r.Answers-Answers {
			book.Forget(rollout.SideStable, known)
		}
	}
}
