// Package pace says how fast a probe stream is: slow while it judges, faster until the
// answers show a weight.
package pace

import (
	"time"

	"github.com/candlefish/deploy-action/internal/stat"
	"github.com/candlefish/deploy-action/internal/traffic/pinned"
)

// A weight is confirmed at a rate at which that takes about a second. It is bounded, in
// requests and in the bytes of their answers.
const (
	MaxRate  = 400     // requests per second
	maxBytes = 8 << 20 // per second
)

// A Pace has what the rate of the stream depends on.
type Pace struct {
	Judging int // requests per second while a step is judged
	Size    int // of an answer, in bytes
	Most    int // requests per second while a weight is confirmed, if below MaxRate; 0 for none
}

// Confirming returns the rate that yields so many answers in a second; it is
// never below the rate of judging.
func (p Pace) Confirming(answers int) int {
	limit := MaxRate
	if p.Most > 0 {
		limit = min(limit, p.Most)
	}
	if p.Size > 0 {
		limit = min(limit, maxBytes/p.Size)
	}
	return max(p.Judging, min(answers, limit))
}

// ConfirmTime returns how long the answers that show a change of the weight, in
// percent, at so many entry points take to come at the highest rate of a stream.
func ConfirmTime(from, to, rate, entries int) time.Duration {
	needed := entries * stat.NewConfirmer(float64(from)/100, float64(to)/100).Needed()
	perSecond := Pace{Judging: rate}.Confirming(needed) - rate/pinned.Part // test requests show no share
	return time.Duration(needed) * time.Second / time.Duration(perSecond)
}
