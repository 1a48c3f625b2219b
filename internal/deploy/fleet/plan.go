package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/exit"
)

// plan shows the plan of every member and of the group, with everything that prevents
// a start. It changes nothing.
func plan(ctx context.Context, f *Fleet) error {
	var errs []error
	for _, m := range f.members { // one after the other: each has a page to show
		r := m.Run
		d, err := r.Deliver(ctx)
		if d != nil && d.Found != nil {
			m.Found, m.Run.Cfg.Deployment = d.Found, d.Found.Record.Deployment
		}
		if err != nil {
			status, hint := exit.Of(err)
			errs = append(errs, &exit.Error{Status: status, Err: fmt.Errorf("%s: %w", m.Name, err), Hint: hint})
		}
	}
	describe(f)
	return joined(errs)
}

// describe completes the group by the Deployments that were found, and shows its order.
func describe(f *Fleet) {
	f.group.Members = nil
	for _, m := range f.members {
		f.group.Members = append(f.group.Members, m.Describe())
	}
	f.holds()
	order := "one after the other"
	if f.group.Together {
		order = "side by side; none is promoted before all of its wave have passed their last step"
	}
	f.logf("%d members: %s", len(f.members), order)
	for wave := range waves(f) {
		var names []string
		for _, m := range f.members {
			if m.Wave == wave {
				names = append(names, m.Name)
			}
		}
		bake := ""
		if wave > 0 && f.group.Bake > 0 {
			bake = fmt.Sprintf(", %s after wave %d has baked", f.group.Bake, wave)
		}
		f.logf("wave %d: %s%s", wave+1, strings.Join(names, ", "), bake)
	}
	f.logf("when a member fails: %s; worst-case duration %s", f.group.OnFailure, worst(f).Round(time.Minute))
	if m := f.members[len(f.members)-1]; m.Run.Cfg.ProbeRate < f.base.Cfg.ProbeRate {
		f.logf("the probes of all members together are bounded to %d a second: %d a second for each", maxRate, m.Run.Cfg.ProbeRate)
	}
}

func waves(f *Fleet) int { return f.members[len(f.members)-1].Wave + 1 }

// worst returns the longest time that the group may take: its waves one after the
// other, and in each the slowest cluster.
func worst(f *Fleet) time.Duration {
	total := f.group.Bake * time.Duration(waves(f)-1)
	for wave := range waves(f) {
		clusters := map[string][]time.Duration{}
		for _, m := range f.members {
			if m.Wave == wave {
				clusters[m.Cluster] = append(clusters[m.Cluster], m.Longest())
			}
		}
		var slowest time.Duration
		for _, members := range clusters {
			slowest = max(slowest, chain(f, members))
		}
		total += slowest
	}
	return total
}

// chain returns how long the members of one cluster take: in order their sum, together
// the longest with the hand-overs of the others.
func chain(f *Fleet, members []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range members {
		sum += d
	}
	if !f.group.Together {
		return sum
	}
	return slices.Max(members) + time.Duration(len(members)-1)*2*inputs.Finish
}

// holds bounds the waits of the members for each other by the longest time that the
// group may take.
func (f *Fleet) holds() { f.hold = worst(f) }
