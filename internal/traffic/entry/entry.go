// Package entry divides the probes of a release among its entry points: each gateway
// learns a weight by itself, so each shows it by its own answers.
package entry

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Point is an entry point, with the Host header of its requests, "" for that of the
// URL. GRPC: it takes gRPC requests.
type Point struct {
	URL, Host string
	GRPC      bool
}

// String names the entry point for people.
func (p Point) String() string {
	if p.Host == "" {
		return p.URL
	}
	return fmt.Sprintf("%s (host %s)", p.URL, p.Host)
}

// Reachable returns the entry points that answer from here, and why the others do not.
func Reachable(ctx context.Context, points []Point, fetch func(context.Context, Point) (probe.Sample, error)) (answering []Point, silent []string) {
	for _, p := range points {
		sample, err := fetch(ctx, p)
		switch {
		case err != nil:
			silent = append(silent, fmt.Sprintf("%s: %v", p, err))
		case sample.Status >= http.StatusBadRequest:
			silent = append(silent, fmt.Sprintf("%s: it answers with status %d", p, sample.Status))
		default:
			answering = append(answering, p)
		}
	}
	return answering, silent
}

// A Division says which pages of a stream belong to which entry point: the first
// Pages to the first one. The zero Division is one entry point.
type Division struct{ Pages, Points int }

// Number returns the number of entry points.
func (d Division) Number() int { return max(1, d.Points) }

// Of returns the index of the entry point that an answer is from.
func (d Division) Of(a probe.Answer) int {
	if d.Points <= 1 {
		return 0
	}
	return a.Page / d.Pages
}

// A Settlement counts the answers by version after the promotion, while the canary
// Service points at the old revision.
type Settlement struct {
	Since    time.Time // zero while it does not
	Old, New int
	By       Division
	fresh    map[int]int // New, by entry point
}

// Answer adds one answer and reports whether the loop should decide again.
func (s *Settlement) Answer(a probe.Answer) bool {
	if s.Since.IsZero() || a.Sent.Before(s.Since) {
		return false
	}
	switch a.Side {
	case rollout.SideStable:
		s.Old++
	case rollout.SideCanary:
		s.New++
		if s.fresh == nil {
			s.fresh = map[int]int{}
		}
		s.fresh[s.By.Of(a)]++
	case rollout.SidePrevious, rollout.SideUnattributed:
	}
	return s.Old == 1 || s.New%10 == 0
}

// Least returns the answers by the new version at the entry point that has the fewest.
func (s *Settlement) Least() int {
	least := s.New
	if s.By.Number() == 1 {
		return least // counters say nothing of entry points
	}
	for at := range s.By.Number() {
		least = min(least, s.fresh[at])
	}
	return least
}
