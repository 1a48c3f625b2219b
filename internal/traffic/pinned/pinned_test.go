package pinned

import (
	"slices"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

const (
	stable = rollout.SideStable
	canary = rollout.SideCanary
	nobody = rollout.SideUnattributed
)

func repeat(n int, s rollout.Side) []rollout.Side { return slices.Repeat([]rollout.Side{s}, n) }

// A failure is blamed on a version only while the gateway is known to send its test
// requests there.
func TestFollow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set     bool
		answers []rollout.Side
		want    bool
	}{
		"nothing is known":             {false, nil, false},
		"the preflight has shown it":   {true, nil, true},
		"nine in a row":                {false, repeat(9, canary), false},
		"ten in a row":                 {false, repeat(10, canary), true},
		"failures between them":        {false, slices.Concat(repeat(5, canary), repeat(40, nobody), repeat(5, canary)), true},
		"failures alone":               {false, repeat(100, nobody), false},
		"another version between them": {false, slices.Concat(repeat(9, canary), repeat(1, stable), repeat(9, canary)), false},
		"the route is gone":            {true, slices.Concat(repeat(50, canary), repeat(1, stable)), false},
		"and comes back":               {true, slices.Concat(repeat(1, stable), repeat(10, canary)), true},
		"failures after that":          {true, slices.Concat(repeat(1, stable), repeat(50, nobody)), false},
		"failures of a known one":      {true, repeat(50, nobody), true},
	} {
		var f Follow
		if c.set {
			f.Set(canary)
		}
		got := f.Known(canary)
		for _, by := range c.answers {
			got = f.Answer(canary, by)
		}
		if got != c.want || f.Known(canary) != c.want || f.Known(stable) {
			t.Errorf("%s: known %v, want %v", name, got, c.want)
		}
	}
}

func TestTo(t *testing.T) {
	t.Parallel()
	for weight, want := range map[int][]rollout.Side{0: nil, 1: {canary}, 49: {canary}, 50: {stable, canary}, 51: {stable}, 100: {stable}} {
		if got := To(weight); !slices.Equal(got, want) {
			t.Errorf("To(%d) = %v, want %v", weight, got, want)
		}
	}
}

func TestSettles(t *testing.T) {
	t.Parallel()
	ms := func(vs ...int) []time.Duration {
		var all []time.Duration
		for _, v := range vs {
			all = append(all, time.Duration(v)*time.Millisecond)
		}
		return all
	}
	for name, c := range map[string]struct {
		medians []time.Duration
		want    bool
	}{
		"nothing":                {nil, false},
		"two windows":            {ms(10, 10), false},
		"steady":                 {ms(10, 10, 10), true},
		"noise":                  {ms(100, 90, 95), true},
		"still falls":            {ms(400, 200, 100), false},
		"has just fallen":        {ms(100, 100, 50), false},
		"fell one window ago":    {ms(400, 100, 100), false},
		"fell two windows ago":   {ms(400, 100, 100, 100), true},
		"rises":                  {ms(10, 20, 40), true},
		"falls by a millisecond": {ms(3, 2, 1), true},
		"slow and steady":        {ms(900, 880, 890), true},
	} {
		if got := Settles(c.medians); got != c.want {
			t.Errorf("%s: Settles(%v) = %v, want %v", name, c.medians, got, c.want)
		}
	}
}

// warm feeds answers of a canary that gets faster for so many seconds.
func warm(seconds, cold int, pods []string, paths int) (w Warming, settledAt int) {
	start := time.Unix(0, 0)
	settledAt = -1
	for i := range seconds * 50 {
		at := start.Add(time.Duration(i) * 20 * time.Millisecond)
		latency := 10 * time.Millisecond
		if left := cold - i/50; left > 0 {
			latency *= time.Duration(1 << left)
		}
		w.Answer(i%paths, pods[i%len(pods)], at, latency, false)
		if settledAt < 0 && w.Settled(len(pods), paths) {
			settledAt = i / 50
		}
	}
	return w, settledAt
}

func TestWarming(t *testing.T) {
	t.Parallel()
	many := make([]string, 10)
	for i := range many {
		many[i] = string(rune('a' + i))
	}
	for name, c := range map[string]struct {
		cold, paths int
		pods        []string
		from, to    int // the second in which it settles
	}{
		"warm from the start": {0, 1, []string{"a"}, 2, 3},
		"cold for 5 s":        {5, 1, []string{"a"}, 7, 9},
		"unnamed pods":        {0, 1, slices.Repeat([]string{""}, 10), 3, 4},
		"ten pods":            {0, 1, many, 3, 4},
		"four paths":          {0, 4, []string{"a"}, 4, 6},
	} {
		w, at := warm(20, c.cold, c.pods, c.paths)
		if at < c.from || at > c.to {
			t.Errorf("%s: settled in second %d, want %d to %d", name, at, c.from, c.to)
		}
		if w.Last != 10*time.Millisecond || w.First < w.Last || c.cold > 0 && w.First < 100*time.Millisecond {
			t.Errorf("%s: medians from %s to %s", name, w.First, w.Last)
		}
	}
}

// A pod without requests is not warm, whatever the others are.
func TestAPodWithoutRequestsIsNotWarm(t *testing.T) {
	t.Parallel()
	w, _ := warm(20, 0, []string{"a", "b"}, 1)
	if !w.Settled(2, 1) || w.Settled(3, 1) {
		t.Errorf("two pods have answered: settled for two %v, for three %v", w.Settled(2, 1), w.Settled(3, 1))
	}
	if w.Settled(2, 2) {
		t.Error("a path without requests is settled")
	}
	var failing Warming
	for i := range 1000 {
		failing.Answer(0, "", time.Unix(0, 0).Add(time.Duration(i)*20*time.Millisecond), time.Millisecond, true)
	}
	if failing.Settled(1, 1) || failing.Failed != 1000 || failing.Requests != 1000 {
		t.Errorf("a canary that fails is warm: %+v", failing)
	}
}
