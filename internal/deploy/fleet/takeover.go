package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/fleet/member"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/inputs/members"
	"github.com/candlefish/deploy-action/internal/deploy/steering"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// Of returns the fleet of the unfinished group that a target's record names, nil for
// none.
func Of(ctx context.Context, base *engine.Run, namespace, name string) (*Fleet, error) {
	record, err := base.Cluster.LoadRecord(ctx, namespace, name)
	if err != nil {
		var unreadable *kube.UnreadableError
		if errors.As(err, &unreadable) {
			return nil, nil // the run itself says what to do about it
		}
		return nil, err
	}
	g := member.GroupOf(record)
	if g == nil {
		return nil, nil
	}
	return of(ctx, base, base.Values, g, nil)
}

// of returns the fleet of a recorded group. known has the inputs that connect to the
// clusters, by their names in the group.
func of(ctx context.Context, base *engine.Run, values input.Values, g *release.Group, known map[string]map[string]string) (*Fleet, error) {
	own := &members.Group{Together: g.Together, Bake: g.Bake, OnFailure: g.OnFailure}
	for _, gm := range g.Members {
		settings := map[string]string{"namespace": gm.Namespace, "deployment-name": gm.Deployment}
		if gm.Image != "" {
			settings["image"] = gm.Image
		}
		maps.Copy(settings, connection(gm, known))
		v, err := values.Without(members.Inputs()...).Replace(settings, input.Source{Kind: "record"})
		if err != nil {
			return nil, err
		}
		own.Members = append(own.Members, members.Member{Name: gm.Name, Cluster: gm.Cluster, Wave: gm.Wave, Over: gm.Over, Values: v})
	}
	f, err := New(ctx, base, own)
	if err != nil {
		status, _ := exit.Of(err)
		return f, &exit.Error{Status: status, Err: fmt.Errorf("connect to the members of the group that run %s left: %w", g.ID, err),
			Hint: "give the input clusters as that run had it; to end one member alone, type: " + base.Command("release", base.Cfg.Namespace, values.String("deployment-name"))}
	}
	f.group = *g
	f.group.Member = ""
	f.holds()
	return f, nil
}

// connection returns the inputs that connect to a member's cluster.
func connection(gm release.GroupMember, known map[string]map[string]string) map[string]string {
	switch {
	case gm.Cluster == "":
		return nil
	case known[gm.Cluster] != nil:
		return known[gm.Cluster]
	case gm.EKSCluster != "":
		return map[string]string{"eks-cluster": gm.EKSCluster, "aws-region": gm.Region}
	case gm.Context != "":
		return map[string]string{"kube-context": gm.Context}
	}
	return map[string]string{"kube-context": gm.Cluster}
}

// known returns the inputs that connect to the clusters of the fleet.
func known(f *Fleet) map[string]map[string]string {
	known := map[string]map[string]string{}
	for _, m := range f.members {
		settings := map[string]string{}
		for _, name := range []string{"kubeconfig", "kube-context", "eks-cluster", "aws-region"} {
			if text := m.Values.String(name); text != "" {
				settings[name] = text
			}
		}
		known[m.Cluster] = settings
	}
	delete(known, "")
	return known
}

// settle ends the unfinished groups that members belong to and that this one does not
// continue: all of their members go back, or to their end if all were promoted.
func (f *Fleet) settle(ctx context.Context) error {
	if err := f.each(func(m *member.Member) error { return m.Load(ctx) }); err != nil {
		return err
	}
	ended := map[string]bool{}
	for _, m := range f.members {
		g := member.GroupOf(m.Record)
		if g == nil || g.Continues(&f.group) || ended[g.ID] {
			continue
		}
		ended[g.ID] = true
		old, err := of(ctx, f.base, m.Values, g, known(f))
		if err == nil {
			err = old.End(ctx)
		}
		if old != nil {
			old.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// End brings a group that nobody drives to its end: forward if all its members were
// promoted, else back.
func (f *Fleet) End(ctx context.Context) error {
	f.logf("found the unfinished group of run %s; finishing it first", f.group.ID)
	if err := f.take(ctx, func() { f.state = fleet.State{Failure: "replaced by run " + f.base.ID.String(), All: true} }); err != nil {
		return err
	}
	for _, m := range f.members {
		if s := m.Status(); s.Phase == fleet.Failed {
			return &exit.Error{Status: exit.AbortFailed, Err: fmt.Errorf("finish the group of run %s: %s: %s", f.group.ID, m.Name, s.Reason)}
		}
	}
	return ctx.Err()
}

// take drives a recorded group from where it is. otherwise is called unless all members
// have the new version already.
func (f *Fleet) take(ctx context.Context, otherwise func()) error {
	if err := f.acquire(ctx); err != nil {
		return err
	}
	defer f.release(ctx)
	if err := f.each(func(m *member.Member) error { return m.Load(ctx) }); err != nil {
		return err
	}
	all := true
	for i, m := range f.members {
		phase := release.MemberPhase(m.Record, f.group.ID)
		if phase == fleet.Waiting && m.Has(ctx, f.group.Members[i].Image) {
			phase = fleet.Unchanged
		}
		if phase == fleet.Paused && f.resuming {
			phase = fleet.Left
		}
		m.Set(phase, "")
		all = all && (phase == fleet.Warm || phase == fleet.Done || phase == fleet.Unchanged)
		f.logf("%s", m.Where())
	}
	if !all && otherwise != nil {
		otherwise()
	}
	return f.coordinate(ctx)
}

// Command carries out the command of the inputs on a recorded group.
func (f *Fleet) Command(ctx context.Context) (action.Result, error) {
	err := f.each(func(m *member.Member) error { return m.Run.Cluster.Reach(ctx, m.Unreachable) })
	switch {
	case err != nil:
	case f.base.Cfg.Command == inputs.CommandStatus:
		err = show(ctx, f)
	default:
		err = f.steer(ctx)
	}
	return f.conclude(err)
}

// recorded replaces a fleet that the inputs name by the unfinished group that the
// records of its members name, if there is one.
func recorded(ctx context.Context, f *Fleet) (*Fleet, error) {
	for _, m := range f.members {
		if m.Run.Cfg.Deployment == "" {
			_, name, err := m.Run.Target(ctx, nil)
			if err != nil {
				return f, err
			}
			m.Run.Cfg.Deployment = name
		}
		if err := m.Load(ctx); err != nil {
			return f, err
		}
		if g := member.GroupOf(m.Record); g != nil && len(f.group.Members) == 0 {
			left, err := of(ctx, f.base, m.Values, g, known(f))
			if err != nil && left != nil {
				left.Close()
			}
			return left, err
		}
	}
	return f, nil
}

// show prints every member's status.
func show(ctx context.Context, f *Fleet) error {
	var errs []error
	for _, m := range f.members {
		r := m.Run
		_, name, err := r.Target(ctx, nil)
		if err == nil {
			r.Cfg.Deployment = name
			m.Run.Cfg.Deployment = name
			if err = m.Load(ctx); err == nil {
				_, err = steering.Status(ctx, &r, r.Cfg.Namespace, name)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.Name, err))
			continue
		}
		id := f.group.ID
		if m.Record != nil && m.Record.Group != nil {
			id = m.Record.Group.ID
		}
		m.Set(release.MemberPhase(m.Record, id), "")
		f.logf("%s", m.Where())
	}
	return joined(errs)
}

// steer follows a request to the group: the run that drives it does, or else this one.
func (f *Fleet) steer(ctx context.Context) error {
	g, err := recorded(ctx, f)
	if err != nil {
		return err
	}
	if g != f {
		defer func() {
			f.state = g.state // what is reported
			g.Close()
		}()
	}
	request := rollout.Request(f.base.Cfg.Command)
	if len(g.group.Members) == 0 {
		return afterwards(ctx, f, request)
	}
	if g != f {
		f.Close()
		f.members, f.group = g.members, g.group
	}
	driven, err := driven(ctx, g)
	if err != nil {
		return err
	}
	if driven != nil {
		// A run that was killed just now looks alive until its lease expires.
		if err := askDriver(ctx, g, driven, request); !errors.Is(err, kube.ErrNobodyDrives) {
			return err
		}
	}
	by := fmt.Sprintf("%s by run %s", request, f.base.ID)
	switch request {
	case rollout.RequestAbort, rollout.RequestRollback:
		g.state = fleet.State{Failure: by, All: true}
	case rollout.RequestPromote:
		g.group.Bake, g.resuming = 0, true
	case rollout.RequestResume:
		g.resuming = true
	default:
		return exit.Refuse("type: "+command(g, "resume")+", "+command(g, "promote")+" or "+command(g, "rollback"), fmt.Sprintf("%s: nobody drives the group of run %s", request, g.group.ID))
	}
	return g.take(ctx, nil)
}

// afterwards follows a request to members without an unfinished group: each on its
// own, or all back to the versions from before.
func afterwards(ctx context.Context, f *Fleet, request rollout.Request) error {
	if request != rollout.RequestRollback {
		return f.each(func(m *member.Member) error {
			r := m.Run
			_, err := steering.Steer(ctx, &r, r.Cfg.Namespace, r.Cfg.Deployment)
			return err
		})
	}
	if err := f.acquire(ctx); err != nil {
		return err
	}
	defer f.release(ctx)
	for _, m := range f.members {
		m.Set(fleet.Warm, "") // what is not warm any more is released again
		f.group.Members = append(f.group.Members, m.Describe())
	}
	f.state = fleet.State{Failure: fmt.Sprintf("%s by run %s", request, f.base.ID), All: true}
	return f.coordinate(ctx)
}

// driven returns a member whose lease a run renews, nil if there is none.
func driven(ctx context.Context, f *Fleet) (*member.Member, error) {
	driven := make([]bool, len(f.members))
	err := f.each(func(m *member.Member) error {
		c := m.Run.Cfg
		holder, renewed, err := m.Run.Cluster.Holder(ctx, c.Namespace, c.Deployment)
		if err == nil {
			driven[m.Index], err = m.Run.Cluster.Renews(ctx, c.Namespace, c.Deployment, holder, renewed)
		}
		return err
	})
	if i := slices.Index(driven, true); i >= 0 && err == nil {
		return f.members[i], nil
	}
	return nil, err
}

// askDriver asks the run that drives the group, and waits until the group has followed.
func askDriver(ctx context.Context, f *Fleet, m *member.Member, request rollout.Request) error {
	c := m.Run.Cfg
	err := m.Run.Cluster.Ask(ctx, c.Namespace, c.Deployment, rollout.Steer{Request: request, By: "run " + f.base.ID.String()})
	if err != nil || request == rollout.RequestPromote {
		return err
	}
	until := time.Now().Add(f.hold)
	f.logf("waiting for the run that drives the group to %s, until %s", request, until.UTC().Format(time.TimeOnly))
	for {
		moving := false
		if err := f.each(func(m *member.Member) error { return m.Load(ctx) }); err != nil {
			return err
		}
		for _, m := range f.members {
			p := release.MemberPhase(m.Record, f.group.ID)
			m.Set(p, "")
			moving = moving || p == fleet.Left || p == fleet.Warm && request != rollout.RequestPause
		}
		switch {
		case !moving:
			return nil
		case time.Now().After(until):
			return fmt.Errorf("the run that drives the group took the request to %s, but members are still on their way", request)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// command returns what a person types to run a command on the group: any member names
// it.
func command(f *Fleet, name string) string {
	m := f.members[0]
	line := m.Run.Command(name, m.Run.Cfg.Namespace, m.Run.Cfg.Deployment)
	where := ""
	for _, input := range []string{"kubeconfig", "kube-context", "eks-cluster", "aws-region"} {
		if text := m.Values.String(input); text != "" && (m.Cluster != "" || m.Values.Source(input).Kind == "flag") {
			where += fmt.Sprintf(" --%s=%s", input, text)
		}
	}
	if where != "" && f.base.Action.Getenv(action.EnvMage) != "" {
		return fmt.Sprintf("%s -flags=%q", line, where[1:])
	}
	return line + where
}
