// Package member is one member of a release of several: its configuration, its lease
// with what people ask there, and the operations that drive its rollout.
package member

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/engine"
	"github.com/candlefish/deploy-action/internal/deploy/fleet/result"
	"github.com/candlefish/deploy-action/internal/deploy/forge"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/inputs/members"
	"github.com/candlefish/deploy-action/internal/deploy/steering"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// A Member is one rollout of a fleet. At most one operation drives it at a time.
type Member struct {
	members.Member
	Index int
	Run   engine.Run // what its operations start from
	Host  Host
	// Record is as it was when it was read last, nil for none; Found is of the survey.
	Record *release.Record
	Found  *discover.Found

	closed sync.Once
	lease  *kube.Lease
	// listening ends the goroutine that takes people's requests, listened is closed
	// then.
	listening context.CancelFunc
	listened  chan struct{}

	mu      sync.Mutex
	status  fleet.Status
	image   string      // that serves at the end of the last operation
	running bool        // an operation drives it
	signals chan string // of the operation
	asked   rollout.Request
	by      string
	kick    chan struct{} // asked or the state has changed
	results []outcome
}

// A Host is the fleet of a member.
type Host struct {
	Base    *engine.Run   // the run of the whole fleet
	Changed chan struct{} // signals a change of a member
	// Request takes what a person asks of a member.
	Request func(*Member, rollout.Steer)
	Telling *sync.Mutex // held while GitHub is told how a member ended
}

// Terms are what an operation of a member is bound to.
type Terms struct {
	Group release.Group
	// Hold bounds the waits for the other members.
	Hold time.Duration
}

// New returns a member that nothing was done with.
func New(index int, spec members.Member, host Host) *Member {
	return &Member{Member: spec, Index: index, Host: host, status: fleet.Status{Phase: fleet.Waiting}, kick: make(chan struct{}, 1)}
}

// Configure takes the member's inputs. Its own report is in a folder of its own.
func (m *Member) Configure() error {
	base := m.Host.Base
	folder := filepath.Join(base.Cfg.ReportDir, "members", strings.ReplaceAll(m.Name, "/", "-"))
	values, err := m.Values.Replace(map[string]string{"report-dir": folder}, input.Source{Kind: "default"})
	if err != nil {
		return err
	}
	m.Run = engine.Run{Run: view.Run{ID: base.ID, Action: base.Action, Program: base.Program, Print: m.print}, Targets: base.Targets}
	m.Run.Console = console.Start(base.Action.Redact, m.annotate, console.NewPlain(console.Printer(m.print), nil, nil))
	if err := m.Run.Configure(values); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the report folder: %w", err)
	}
	return nil
}

// Close ends what the member shows. It may be called again.
func (m *Member) Close() {
	if m.Run.Console != nil {
		m.closed.Do(func() {
			m.Run.Console.End()
			m.Run.Console.Close()
		})
	}
}

// Driven reports whether an operation drives the member, and what it was asked last
// and has not taken.
func (m *Member) Driven() (running bool, asked rollout.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.running, m.asked
}

// Began remembers an action that begins now, until the phase shows its effect.
func (m *Member) Began(k fleet.Kind) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Asked = k
}

// An outcome is the result of one operation.
type outcome struct {
	action.Result
	err      error
	reverted bool
}

// print shows text line by line, each with the member's name.
func (m *Member) print(text string) {
	for line := range strings.Lines(text) {
		m.Host.Base.Print("[" + m.Name + "] " + strings.TrimRight(line, "\n"))
	}
}

// annotate shows a warning on the runner's page.
func (m *Member) annotate(warning string) bool {
	a := m.Host.Base.Action
	if a.OnRunner() {
		a.Annotate(action.Annotation{Level: action.Warning, Title: m.Name, Message: warning})
	}
	return a.OnRunner()
}

func (m *Member) Unreachable(why error, until time.Time) {
	m.Run.Console.Await(fmt.Sprintf("the API server to answer (%v)", why), until)
}

// Status returns where the member is.
func (m *Member) Status() fleet.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// Set changes where the member is.
func (m *Member) Set(p fleet.Phase, reason string) {
	m.mu.Lock()
	if m.status.Phase != p {
		m.status = fleet.Status{Phase: p, Since: time.Now(), Asked: m.status.Asked}
		if done(m.status.Asked, p) {
			m.status.Asked = ""
		}
	}
	m.status.Reason = cmp.Or(reason, m.status.Reason)
	m.mu.Unlock()
	Notify(m.kick)
	Notify(m.Host.Changed)
}

// done reports whether a phase shows the effect of an action.
func done(k fleet.Kind, p fleet.Phase) bool {
	switch k {
	case fleet.Rollback: // while it is promoted the way back waits
		return p != fleet.Promoting && p != fleet.Baking
	default:
		return true
	}
}

// Notify signals a change on a channel with room for one.
func Notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Survey reads the cluster and returns all that prevents this member's release.
func (m *Member) Survey(ctx context.Context) error {
	r := m.Run
	if err := r.Cfg.Rules.Prepare(r.Env()); err != nil {
		return err
	}
	if err := r.Permitted(ctx); err != nil {
		return err
	}
	found, err := r.Survey(ctx)
	if err != nil {
		if unfinished(ctx, m) {
			return nil // it is finished first, and surveyed again then
		}
		return err
	}
	m.Found = found
	m.Run.Cfg.Deployment = found.Record.Deployment
	if err := engine.LookAround(ctx, &m.Run, found); err != nil {
		return err
	}
	if found.Previous.Unfinished() || found.Previous.Warm() {
		return nil
	}
	return r.Check(found)
}

// unfinished reports whether an earlier release is to be finished first.
func unfinished(ctx context.Context, m *Member) bool {
	if m.Run.Cfg.Deployment == "" {
		return false
	}
	record, err := m.Run.Cluster.LoadRecord(ctx, m.Run.Cfg.Namespace, m.Run.Cfg.Deployment)
	return err == nil && (record.Unfinished() || record.Warm())
}

// Load reads the member's record.
func (m *Member) Load(ctx context.Context) (err error) {
	m.Record, err = m.Run.Cluster.LoadRecord(ctx, m.Run.Cfg.Namespace, m.Run.Cfg.Deployment)
	return err
}

// GroupOf returns the group of a record if it has left something to do.
func GroupOf(record *release.Record) *release.Group {
	if record == nil || record.Group == nil || !leftSomething(record) {
		return nil
	}
	return record.Group
}

// Acquire takes the lease and listens to people's requests on it.
func (m *Member) Acquire(ctx context.Context) error {
	r := m.Run
	lease, err := r.Acquire(ctx, r.Cfg.Namespace, r.Cfg.Deployment)
	if err != nil {
		return err
	}
	m.lease, m.listened = lease, make(chan struct{})
	listening, stop := context.WithCancel(context.WithoutCancel(ctx))
	m.listening = stop
	go func() {
		defer close(m.listened)
		for s := range lease.Requests(listening) {
			m.Host.Request(m, s)
		}
	}()
	return nil
}

// Release gives the lease back.
func (m *Member) Release(ctx context.Context) {
	if m.lease == nil {
		return
	}
	m.listening()
	<-m.listened
	lease := m.lease
	m.lease = nil
	r := m.Run
	r.ReleaseLease(ctx, lease)
}

// operate drives the member in the background. changes is called when the work has
// ended: it says that there was something to change from its start.
func (m *Member) operate(ctx context.Context, t Terms, work func(*engine.Run) (*view.Delivery, error), changes func() bool) {
	r := m.Run
	signals := make(chan string, 1)
	r.Signals, r.Started = signals, time.Now()
	own := t.Group
	own.Member = m.Name
	r.Group = &engine.Membership{Record: &own, Lease: m.lease, Hold: t.Hold, Requests: m.requests, Watch: m.watch}
	m.mu.Lock()
	m.running, m.signals, m.asked = true, signals, ""
	m.mu.Unlock()
	go func() {
		told := forge.Open(ctx, &r)
		d, err := work(&r)
		m.Host.Telling.Lock() // one commit after the other
		told.Close(ctx, d, err)
		m.Host.Telling.Unlock()
		result, failed := r.Conclude(d, err)
		finish(m, d, err, outcome{Result: result, err: failed, reverted: d != nil && d.State.Reverted}, changes())
	}()
}

// finish takes the end of an operation. changes says that it had something to change
// from its start.
func finish(m *Member, d *view.Delivery, err error, o outcome, changes bool) {
	phase, reason := ended(d, err, changes)
	m.mu.Lock()
	m.results = append(m.results, o)
	m.image = cmp.Or(o.Outputs["image"], m.image)
	m.running, m.signals = false, nil
	m.mu.Unlock()
	m.Set(phase, reason)
}

// ended returns where a member is after an operation.
func ended(d *view.Delivery, err error, changes bool) (fleet.Phase, string) {
	switch {
	case err != nil:
		if status, _ := exit.Of(err); status == exit.AbortFailed || changes {
			return fleet.Failed, err.Error()
		}
		return fleet.Refused, err.Error()
	case d.SaveErr != nil:
		return fleet.Failed, d.SaveErr.Error()
	case d.Unchanged:
		return fleet.Unchanged, ""
	}
	switch s := d.State; {
	case s.Phase == rollout.PhasePromoted && s.Leftover != "":
		return fleet.Warm, s.Reason
	case s.Phase == rollout.PhasePromoted:
		return fleet.Done, ""
	case s.Phase == rollout.PhaseAborted:
		return fleet.Back, s.Reason
	case s.Phase == rollout.PhasePaused:
		return fleet.Paused, s.Reason
	}
	return fleet.Failed, d.State.Reason
}

// watch takes a state of the rollout that an operation drives. The end counts when
// the operation has ended.
func (m *Member) watch(s rollout.State) {
	if p := phaseOf(s); p != "" {
		m.Set(p, s.Reason)
	}
}

// phaseOf returns where a driven rollout is, "" at its end.
func phaseOf(s rollout.State) fleet.Phase {
	switch s.Phase {
	case rollout.PhasePending, rollout.PhaseProgressing:
		if s.Stage == rollout.StageHold {
			return fleet.Holding
		}
		return fleet.Rising
	case rollout.PhasePromoting:
		return fleet.Promoting
	case rollout.PhaseBaking:
		if s.Stage == rollout.StageKept {
			return fleet.Kept
		}
		return fleet.Baking
	case rollout.PhaseCleaning:
		if s.Reverted {
			return fleet.GoingBack
		}
		return fleet.Ending
	case rollout.PhaseReverting, rollout.PhaseAborting:
		return fleet.GoingBack
	default:
		return ""
	}
}

// requests implements engine.Membership: it yields what the group asks of the rollout.
// The way back is asked for again until the state shows it: an operation that has not
// begun its own rollout takes no request.
func (m *Member) requests(ctx context.Context) <-chan rollout.Steer {
	c := make(chan rollout.Steer)
	go func() {
		defer close(c)
		for ctx.Err() == nil {
			if s := pending(m); s.Request != "" {
				select {
				case c <- s:
				case <-ctx.Done():
				}
			}
			select {
			case <-m.kick:
			case <-ctx.Done():
			}
		}
	}()
	return c
}

// pending returns the request to make now. All but the way back is made once.
func pending(m *Member) rollout.Steer {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := rollout.Steer{Request: m.asked, By: m.by}
	goesBack := m.status.Phase == fleet.GoingBack
	if m.asked != rollout.RequestRollback || goesBack {
		m.asked = ""
	}
	if goesBack {
		return rollout.Steer{}
	}
	return s
}

// Ask makes a request to the rollout that an operation drives.
func (m *Member) Ask(r rollout.Request, by string) {
	m.mu.Lock()
	m.asked, m.by = r, by
	m.mu.Unlock()
	Notify(m.kick)
}

// Signal ends the operation as a signal does.
func (m *Member) Signal(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.signals != nil {
		select {
		case m.signals <- name:
		default: // it has one
		}
	}
}

// Start begins the member's release, or goes on with what was left of it: from where
// it is, or with resuming false from its start.
func (m *Member) Start(ctx context.Context, t Terms, resuming bool) {
	phase := m.Status().Phase
	switch {
	case phase == fleet.Warm || phase == fleet.Left && resuming:
		m.Take(ctx, t, rollout.RequestResume)
	default:
		m.Set(fleet.Rising, "")
		m.operate(ctx, t, func(r *engine.Run) (*view.Delivery, error) { return r.Deliver(ctx) }, func() bool { return false })
	}
}

// Take follows a request to the member's recorded release, which nobody drives.
func (m *Member) Take(ctx context.Context, t Terms, request rollout.Request) {
	left := true // unless the record says otherwise
	m.operate(ctx, t, func(r *engine.Run) (*view.Delivery, error) {
		if request == rollout.RequestRollback {
			r.Cfg.Command, r.Group.Record = string(request), nil // a release of the previous image is nobody's member
		}
		record, err := r.Record(ctx, r.Cfg.Namespace, r.Cfg.Deployment)
		if err != nil {
			return nil, err
		}
		left = leftSomething(record)
		d, err := steering.Take(ctx, r, record, m.lease, request)
		if err == nil && d == nil {
			err = errors.New("the release was not driven")
		}
		return d, err
	}, func() bool { return left })
}

// leftSomething reports whether a recorded release has something to end. What refuses
// to go back from one that has not has changed nothing.
func leftSomething(record *release.Record) bool { return record.Unfinished() || record.Warm() }

// Longest returns the longest time that the member's release may take.
func (m *Member) Longest() time.Duration {
	grace := time.Duration(0)
	if m.Found != nil {
		grace = time.Duration(m.Found.Grace) * time.Second
	}
	return inputs.WorstCase(m.Run.Cfg.Plan(grace))
}

// Report describes a member from the results of its operations.
func (m *Member) Report() result.Member {
	s := m.Status()
	c := m.Run.Cfg
	r := result.Member{Name: m.Name, Cluster: m.Cluster, Wave: m.Wave + 1, Namespace: c.Namespace, Deployment: c.Deployment, Phase: s.Phase, Status: result.Words[s.Phase]}
	if s.Phase == fleet.Back || s.Phase == fleet.Refused || s.Phase == fleet.Failed || s.Phase == fleet.Paused {
		r.Reason = s.Reason
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, o := range m.results {
		number := func(name string) float64 {
			n, _ := strconv.ParseFloat(o.Outputs[name], 64) // "" where nothing was measured
			return n
		}
		r.FailedRequests += int64(number("failed-requests"))
		r.TotalRequests += int64(number("total-requests"))
		r.DurationSeconds += number("duration-seconds")
		r.OverheadSeconds += number("overhead-seconds")
		r.RolledBack = r.RolledBack || o.Outputs["rolled-back"] == "true"
		r.Image, r.Report, r.Ended = o.Outputs["image"], o.Outputs["report"], o.Status
		if i == 0 {
			r.PreviousImage = o.Outputs["previous-image"]
		}
	}
	if r.Phase == fleet.Failed {
		r.Ended = result.Worse(r.Ended, exit.CouldNotRun)
	}
	if r.Phase == fleet.Back && r.RolledBack && m.results[len(m.results)-1].reverted {
		r.Status = "rolled-back"
	}
	r.ExitCode = r.Ended.Code()
	return r
}

// Has reports whether a member without a record of the group has its image already.
func (m *Member) Has(ctx context.Context, image string) bool {
	found, err := m.Run.Survey(ctx)
	return err == nil && found.Record.Stable.Image == image
}

// Where says where a member is.
func (m *Member) Where() string {
	s, words := m.Status(), m.Name+": "+string(m.Status().Phase)
	if s.Phase == fleet.Waiting {
		return words + ", not started"
	}
	if r := m.Record; r != nil {
		words += fmt.Sprintf(", %s (%s) at weight %d since %s", r.State.Phase, r.State.Stage, r.State.Weight, r.State.Since.UTC().Format(time.RFC3339))
	}
	return words
}

// Describe returns the member as records have it.
func (m *Member) Describe() release.GroupMember {
	c := m.Run.Cfg
	return release.GroupMember{
		Name: m.Name, Wave: m.Wave, Over: m.Over, Cluster: m.Cluster, Context: c.KubeContext, EKSCluster: c.EKSCluster, Region: c.Region,
		Namespace: c.Namespace, Deployment: c.Deployment, Image: c.Image,
	}
}
