// Package fleet runs a release of several members: it drives each member's own rollout
// by the engine, as rollout/fleet decides, and reports all of them as one. It also
// takes a group over from a process that is gone.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy/connecting"
	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/fleet/member"
	"github.com/candlefish/deploy-action/internal/deploy/fleet/result"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/inputs/members"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// A Fleet is one run of a group.
type Fleet struct {
	base    *engine.Run
	group   release.Group
	members []*member.Member
	// hold bounds how long a member waits for the others.
	hold time.Duration
	// resuming: what was left goes on where it is, instead of from the start.
	resuming bool
	// changed signals a change of a member, or something that a person asked for.
	changed chan struct{}

	until time.Time // the last wait that was shown

	telling sync.Mutex // see member.Host

	mu    sync.Mutex
	state fleet.State
}

// New returns the fleet of the members that the inputs name, without a request to a
// cluster. All that is wrong with their inputs is in one error.
func New(ctx context.Context, base *engine.Run, g *members.Group) (*Fleet, error) {
	f := &Fleet{base: base, changed: make(chan struct{}, 1)}
	f.group = release.Group{ID: base.ID.ID, Together: g.Together, Bake: g.Bake, OnFailure: g.OnFailure}
	clusters := map[connecting.Options]*kube.Cluster{}
	var problems input.Problems
	var wrong []error
	for i, spec := range g.Members {
		m, err := newMember(ctx, f, i, spec, clusters)
		var own input.Problems
		switch {
		case errors.As(err, &own):
			problems = append(problems, own...)
		case err != nil:
			wrong = append(wrong, fmt.Errorf("%s: %w", spec.Name, err))
		}
		f.members = append(f.members, m)
	}
	if len(problems) > 0 {
		return f, problems
	}
	rates(f)
	return f, joined(wrong)
}

// newMember returns a member with its configuration and its connection.
func newMember(ctx context.Context, f *Fleet, i int, spec members.Member, clusters map[connecting.Options]*kube.Cluster) (*member.Member, error) {
	m := member.New(i, spec, member.Host{Base: f.base, Changed: f.changed, Request: f.request, Telling: &f.telling})
	if err := m.Configure(); err != nil {
		return m, err
	}
	c := m.Run.Cfg
	o := connecting.Options{Kubeconfig: c.Kubeconfig, Context: c.KubeContext, EKSCluster: c.EKSCluster, Region: c.Region}
	if clusters[o] == nil {
		var err error
		if clusters[o], err = connecting.Connect(ctx, o); err != nil {
			return m, err
		}
	}
	m.Run.Cluster = clusters[o]
	return m, nil
}

// maxRate bounds the probes of all members that rise at the same time, per second.
const maxRate = 1000

// rates bounds the probe streams of the members of a wave in their sum.
func rates(f *Fleet) {
	for _, m := range f.members {
		n := 0
		for _, other := range f.members {
			if other.Wave <= m.Wave { // earlier waves are judged on
				n++
			}
		}
		c := &m.Run.Cfg
		c.ProbeRate, c.ConfirmRate = max(1, min(c.ProbeRate, maxRate/n)), max(1, maxRate/n)
	}
}

// Close ends what the members show.
func (f *Fleet) Close() {
	for _, m := range f.members {
		m.Close()
	}
}

// terms are what the operations of the members are bound to.
func (f *Fleet) terms() member.Terms { return member.Terms{Group: f.group, Hold: f.hold} }

// logf shows a line about the whole group.
func (f *Fleet) logf(format string, args ...any) {
	f.base.Print("[group] " + fmt.Sprintf(format, args...))
}

// each calls do for all members side by side and returns their errors, each with the
// member's name.
func (f *Fleet) each(do func(*member.Member) error) error {
	errs := make([]error, len(f.members))
	var wg sync.WaitGroup
	for i, m := range f.members {
		wg.Go(func() {
			if err := do(m); err != nil {
				status, hint := exit.Of(err)
				errs[i] = &exit.Error{Status: status, Err: fmt.Errorf("%s: %w", m.Name, err), Hint: hint}
			}
		})
	}
	wg.Wait()
	return joined(slices.DeleteFunc(errs, func(err error) bool { return err == nil }))
}

// joined returns errors as one, with the worst status and the first hint of them.
func joined(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	all := &exit.Error{Err: errors.Join(errs...)}
	for _, err := range errs {
		status, hint := exit.Of(err)
		all.Status = result.Worse(all.Status, status)
		if all.Hint == "" {
			all.Hint = hint
		}
	}
	return all
}

// Run does what the inputs ask of the group that they name.
func Run(ctx context.Context, base *engine.Run) (action.Result, error) {
	g, problems := members.Parse(base.Values, os.ReadFile)
	if err := problems.Err(); err != nil {
		return action.Result{}, err
	}
	f, err := New(ctx, base, g)
	if f != nil {
		defer f.Close()
	}
	if err == nil {
		err = f.each(func(m *member.Member) error { return m.Run.Cluster.Reach(ctx, m.Unreachable) })
	}
	if err != nil {
		return f.conclude(err)
	}
	switch base.Cfg.Command {
	case inputs.CommandDeploy:
		return f.conclude(f.deliver(ctx))
	case inputs.CommandStatus:
		return f.conclude(show(ctx, f))
	}
	return f.conclude(f.steer(ctx))
}

// deliver releases the group: all members are surveyed, then their leases taken, then
// what an earlier group left is ended or gone on with.
func (f *Fleet) deliver(ctx context.Context) error {
	if f.base.Cfg.PlanOnly {
		return plan(ctx, f)
	}
	if err := f.each(func(m *member.Member) error { return m.Survey(ctx) }); err != nil {
		return err
	}
	describe(f)
	if err := f.settle(ctx); err != nil {
		return err
	}
	if err := f.acquire(ctx); err != nil {
		return err
	}
	defer f.release(ctx)
	if err := f.recall(ctx); err != nil {
		return err
	}
	return f.coordinate(ctx)
}

// acquire takes the leases of all members, or none: the first one alone, which two
// runs of the same group both need, then the others.
func (f *Fleet) acquire(ctx context.Context) error {
	first := slices.MinFunc(f.members, func(a, b *member.Member) int { return strings.Compare(a.Name, b.Name) })
	err := first.Acquire(ctx)
	if err == nil {
		err = f.each(func(m *member.Member) error {
			if m == first {
				return nil
			}
			return m.Acquire(ctx)
		})
	}
	if err != nil {
		f.release(ctx)
	}
	return err
}

// release gives all leases back.
func (f *Fleet) release(ctx context.Context) {
	for _, m := range f.members {
		m.Release(ctx)
	}
}

// recall takes over where the members are, if their records are of a group that this
// one continues.
func (f *Fleet) recall(ctx context.Context) error {
	if err := f.each(func(m *member.Member) error { return m.Load(ctx) }); err != nil {
		return err
	}
	for _, m := range f.members {
		if g := member.GroupOf(m.Record); g != nil && g.Continues(&f.group) {
			f.logf("going on with the group that run %s left", g.ID)
			f.group.ID = g.ID
			break
		}
	}
	for _, m := range f.members {
		phase := release.MemberPhase(m.Record, f.group.ID)
		if phase == fleet.Back { // it went back in an earlier run; this one tries again
			phase = fleet.Waiting
		}
		if phase == fleet.Paused { // whoever goes on asks for it
			phase = fleet.Left
		}
		m.Set(phase, "")
	}
	return nil
}
