package steering

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/rolling"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A status is what command status prints as JSON: the recorded state of a
// release beside what is live.
type status struct {
	Namespace  string        `json:"namespace"`
	Deployment string        `json:"deployment"`
	Workload   string        `json:"workload,omitempty"` // of a rolling update, as kind/name
	Image      string        `json:"image"`
	Previous   string        `json:"previous_image,omitempty"`
	Run        release.Run   `json:"run"`
	DrivenBy   string        `json:"driven_by,omitempty"` // the run that holds the lease and renews it, if it is alive: a lease outlives its run by seconds
	LeftBy     string        `json:"left_by,omitempty"`   // the run that holds the lease and renews it no more
	RenewedAt  time.Time     `json:"renewed_at,omitzero"` // by the clock of that run
	Phase      rollout.Phase `json:"phase"`
	Stage      rollout.Stage `json:"stage"`
	Step       int           `json:"step"` // from 1
	Steps      int           `json:"steps"`
	Weight     int           `json:"weight"`
	Since      time.Time     `json:"since"`
	Reason     string        `json:"reason,omitempty"`
	Leftover   string        `json:"leftover,omitempty"`
	WarmUntil  time.Time     `json:"warm_until,omitzero"`
	// Active is the colour that serves in a blue-green release, New that of its new
	// version.
	Active string `json:"active_colour,omitempty"`
	New    string `json:"new_colour,omitempty"`
	// LiveWeight is the canary Service's share in the live routes, in percent; -1
	// if no route names it.
	LiveWeight int    `json:"live_weight"`
	LiveImage  string `json:"live_image,omitempty"` // of the Deployment
	// ReadyEndpoints are those of the user's Services, by name.
	ReadyEndpoints map[string]int     `json:"ready_endpoints"`
	Pods           []workload.PodView `json:"pods"`
	Takes          []string           `json:"takes"` // the commands that it takes now
}

// Status shows a release: one line per fact, and all of it as JSON.
func Status(ctx context.Context, r *engine.Run, namespace, name string) (*view.Delivery, error) {
	record, err := r.Cluster.LoadRecord(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	if record == nil {
		if err := present(ctx, r, namespace, name); err != nil {
			return nil, err
		}
		return unrecorded(ctx, r, namespace, name)
	}
	s, err := look(ctx, r, record)
	if err != nil {
		return nil, err
	}
	r.Print(s.text(r))
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the status: %w", err)
	}
	r.Print(string(raw))
	return shown(record), nil
}

// unrecorded shows a target without a record, and what a release left there.
func unrecorded(ctx context.Context, r *engine.Run, namespace, name string) (*view.Delivery, error) {
	left, err := r.Cluster.Ours(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	r.Print(fmt.Sprintf("deployment %s/%s: no release is recorded", namespace, name))
	if len(left) > 0 {
		r.Print("a release left " + leftHint(r, left, namespace, name))
	}
	return &view.Delivery{Asked: true}, nil
}

// leftHint lists what a release without a record left, with the command that ends
// it.
func leftHint(r *engine.Run, left []string, namespace, name string) string {
	return fmt.Sprintf("%s; to end it in favour of what the deployment runs now, type: %s", strings.Join(left, ", "), r.Command(string(rollout.RequestRelease), namespace, name))
}

// look reads what is live of a recorded release.
func look(ctx context.Context, r *engine.Run, record *release.Record) (status, error) {
	st := record.State
	s := status{
		Namespace: record.Namespace, Deployment: record.Deployment, Image: record.Image, Previous: record.PreviousImage, Run: record.Run,
		Phase: st.Phase, Stage: st.Stage, Step: st.Step + 1, Steps: len(record.Plan.Steps), Weight: st.Weight, Since: st.Since,
		Reason: st.Reason, Leftover: string(st.Leftover), WarmUntil: record.WarmUntil, LiveWeight: -1,
	}
	if record.Plan.Strategy == rollout.StrategyBlueGreen {
		s.Active, s.New = record.Active(), record.Colours.New
	}
	var err error
	if err := s.driver(ctx, r); err != nil {
		return s, err
	}
	for _, request := range rollout.Requests() {
		if _, ok := rollout.Allowed(st, request); ok {
			s.Takes = append(s.Takes, string(request))
		}
	}
	if s.DrivenBy == "" && due(record, time.Now()) {
		s.Takes = append(s.Takes, inputs.CommandReap)
	}
	if isRolling(record) {
		err := lookRolling(ctx, r, record, &s)
		return s, err
	}
	target, err := workload.New(ctx, r.Cluster, record, nil)
	if err != nil {
		return s, err
	}
	defer target.Close()
	s.Pods = target.Pods()
	live, err := target.Live(ctx)
	s.LiveImage, s.ReadyEndpoints = live.Image, live.Endpoints
	if err != nil {
		s.Reason = strings.TrimPrefix(s.Reason+"; "+err.Error(), "; ")
		return s, nil
	}
	s.LiveWeight = live.Weight
	return s, nil
}

// present returns an error unless the Deployment exists.
func present(ctx context.Context, r *engine.Run, namespace, name string) error {
	exists, err := workload.Exists(ctx, r.Cluster, namespace, name)
	if err == nil && !exists && rolling.Set(ctx, r.Cluster, namespace, name) == "" {
		err = exit.Refuse("", fmt.Sprintf("deployment %s/%s does not exist", namespace, name))
	}
	return err
}

// driver finds out which run drives the release.
func (s *status) driver(ctx context.Context, r *engine.Run) error {
	holder, renewed, err := r.Cluster.Holder(ctx, s.Namespace, s.Deployment)
	if err != nil {
		return err
	}
	renews, err := r.Cluster.Renews(ctx, s.Namespace, s.Deployment, holder, renewed)
	if err != nil {
		return err
	}
	s.RenewedAt = renewed
	if renews {
		s.DrivenBy = holder
	} else {
		s.LeftBy = holder
	}
	return nil
}

// text is the status for people.
func (s status) text(r *engine.Run) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("release", "%s/%s: %s", s.Namespace, s.Deployment, s.Image)
	if s.Previous != "" {
		line("before it", "%s", s.Previous)
	}
	line("run", "%s, started %s", s.Run, s.Run.Started.Format(time.RFC3339))
	line("phase", "%s (%s) since %s", s.Phase, s.Stage, s.Since.UTC().Format(time.RFC3339))
	if !s.Phase.Terminal() {
		line("step", "%d of %d, weight %d %%", s.Step, s.Steps, s.Weight)
	}
	if s.Reason != "" {
		line("reason", "%s", s.Reason)
	}
	switch {
	case s.DrivenBy != "":
		line("driven by", "run %s, if it is alive: it renewed its lease at %s", s.DrivenBy, s.RenewedAt.UTC().Format(time.RFC3339))
	case s.LeftBy != "":
		line("driven by", "nobody: run %s has not renewed its lease since %s", s.LeftBy, s.RenewedAt.UTC().Format(time.RFC3339))
	case !s.Phase.Terminal():
		line("driven by", "nobody: the next run finishes it")
	}
	if s.LiveImage == "" {
		line("live", "%s does not exist", cmp.Or(s.Workload, "deployment "+s.Deployment))
	} else {
		line("live", "%s has the image %s", cmp.Or(s.Workload, "deployment "+s.Deployment), s.LiveImage)
	}
	if s.LiveWeight >= 0 {
		line("live", "the route gives %d %% to the %s service", s.LiveWeight, s.Deployment+"-canary")
	}
	for _, service := range slices.Sorted(maps.Keys(s.ReadyEndpoints)) {
		line("live", "service %s has %d ready endpoints", service, s.ReadyEndpoints[service])
	}
	if s.Leftover != "" {
		line("left", "%s", s.Leftover)
	}
	if s.New != "" {
		line("colours", "%s serves, the new version is %s", s.Active, s.New)
	}
	if !s.WarmUntil.IsZero() {
		line("warm until", "%s", s.WarmUntil.Format(time.RFC3339))
	}
	for _, p := range s.Pods {
		line("pod", "%s %s, ready %t, %d restarts %s", p.Name, p.Side, p.Ready, p.Restarts, p.Reason)
	}
	for _, takes := range s.Takes {
		if takes != string(rollout.RequestPromoteFull) {
			line("you can type", "%s", r.Command(takes, s.Namespace, s.Deployment))
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// History shows the recorded releases, the newest first.
func History(ctx context.Context, r *engine.Run, namespace, name string) (*view.Delivery, error) {
	record, err := r.Record(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	for _, past := range record.Past() {
		r.Print(fmt.Sprintf("%s  %-9s  %s  by run %s  %s", past.Ended.UTC().Format(time.RFC3339), past.Phase, past.Image, past.Run, past.Reason))
	}
	return shown(record), nil
}

// Forget deletes the record of a release that nothing can use, and its lease. It
// changes nothing else, and names what is left.
func Forget(ctx context.Context, r *engine.Run, namespace, name string) (*view.Delivery, error) {
	lease, err := r.Acquire(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	lease.Abandon()
	left, err := r.Cluster.Ours(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	if err := r.Cluster.Forget(ctx, namespace, name); err != nil {
		return nil, err
	}
	r.Console.Logf("the record and the lease of deployment %s/%s are deleted", namespace, name)
	if len(left) > 0 {
		r.Console.Warn("left in the cluster: " + leftHint(r, left, namespace, name))
	}
	return &view.Delivery{Asked: true}, nil
}

// Reap ends what is due in a namespace: warm versions whose time is over, and
// rollouts that nobody drives any more.
func Reap(ctx context.Context, r *engine.Run) (*view.Delivery, error) {
	records, err := r.Cluster.Records(ctx, r.Cfg.Namespace)
	if err != nil {
		return nil, err
	}
	var failed []error
	reaped := 0
	own := r.Values // without what the records add
	for _, record := range records {
		if r.Cfg.Deployment != "" && record.Deployment != r.Cfg.Deployment || record.Err == nil && !due(record.Record, time.Now()) {
			continue
		}
		reaped++
		r.Values = own
		err := error(record.Err)
		if record.Err == nil {
			err = reapOne(ctx, r, record.Record)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("deployment %s/%s: %w", r.Cfg.Namespace, record.Deployment, err))
		}
	}
	r.Console.Logf("%d of %d recorded releases in namespace %s were due", reaped, len(records), r.Cfg.Namespace)
	if len(failed) > 0 {
		return nil, &exit.Error{Status: exit.CouldNotRun, Err: errors.Join(failed...)}
	}
	return &view.Delivery{Asked: true}, nil
}

// due reports whether a release is to be ended by a reaper. A rollout that a
// person paused is not.
func due(record *release.Record, now time.Time) bool {
	if record.Warm() {
		return now.After(record.WarmUntil)
	}
	return record.Unfinished() && record.State.Phase != rollout.PhasePaused
}

// reapOne ends one release, unless a run drives it.
func reapOne(ctx context.Context, r *engine.Run, record *release.Record) error {
	lease, err := r.Acquire(ctx, record.Namespace, record.Deployment)
	if err != nil {
		var held *kube.HeldError
		if errors.As(err, &held) {
			r.Console.Logf("deployment %s/%s: %s", record.Namespace, record.Deployment, err)
			return nil // it is driven
		}
		return err
	}
	defer r.ReleaseLease(ctx, lease)
	if err := configure(r, record); err != nil {
		return err
	}
	return r.Finish(ctx, record.Namespace, record.Deployment, lease)
}
