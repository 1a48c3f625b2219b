package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// recordSchema is the version of Record's JSON. A record with a newer one is
// refused, never guessed at.
const recordSchema = 1

// Annotations and labels of ours.
const (
	labelTarget     = "deploy.candlefish.ai/deployment" // on our own objects: the user's Deployment
	annotationRun   = "deploy.candlefish.ai/run"
	annotationWarm  = "deploy.candlefish.ai/warm-until" // on the second Deployment, RFC 3339
	annotationFreed = "deploy.candlefish.ai/freed"      // on a ReplicaSet between two owners
)

// A RunID says which run does something, for people and for other runs.
type RunID struct {
	ID      string    `json:"id"`
	URL     string    `json:"url,omitempty"`
	Started time.Time `json:"started"`
}

func (r RunID) String() string {
	if r.URL != "" {
		return r.ID + " (" + r.URL + ")"
	}
	return r.ID
}

// A Slot is one version's ReplicaSet as it was recorded.
type Slot struct {
	ReplicaSet string `json:"replica_set"`
	UID        string `json:"uid"`
	Hash       string `json:"hash"` // its pod-template-hash
	Image      string `json:"image"`
	// Digests are the image digests that the slot's pods run.
	Digests []string `json:"digests,omitempty"`
	Pods    []PodID  `json:"pods,omitempty"`
}

// A PodID identifies one pod and how often its containers restarted.
type PodID struct {
	Name     string `json:"name"`
	UID      string `json:"uid"`
	Restarts int32  `json:"restarts"`
}

// A savedService is the selector of a Service before the first change.
type savedService struct {
	Name     string            `json:"name"`
	Selector map[string]string `json:"selector"`
}

// A Record is all that is known of the newest rollout of one target. It is
// kept in one ConfigMap beside the Deployment and is enough for any other
// process to show, abort or finish the rollout.
type Record struct {
	Schema     int    `json:"schema"`
	Token      int64  `json:"token"` // of the lease it was written under
	Run        RunID  `json:"run"`
	Namespace  string `json:"namespace"`
	Deployment string `json:"deployment"`
	Container  string `json:"container"`
	Service    string `json:"service"`
	// VersionLabel is the label key that carries the role; VersionBefore is
	// its value in the user's template before the rollout, nil if it had
	// none.
	VersionLabel  string         `json:"version_label"`
	VersionBefore *string        `json:"version_before,omitempty"`
	Image         string         `json:"image"`
	Replicas      int32          `json:"replicas"`
	Stable        Slot           `json:"stable"`
	Canary        Slot           `json:"canary,omitzero"`
	Services      []savedService `json:"services"`
	Routes        []savedRoute   `json:"routes"`
	WarmUntil     time.Time      `json:"warm_until,omitzero"`
	// Marker is what the owner of the run needs to tell answers of the two
	// versions apart; this package only keeps it.
	Marker json.RawMessage `json:"marker,omitempty"`
	// Baseline is what the owner of the run keeps for the next release to
	// compare itself with; this package only keeps it.
	Baseline json.RawMessage `json:"baseline,omitempty"`
	// Reach is the value of ReachHeader that leads a request to the canary
	// before it has any weight; "" opens no such way.
	Reach string        `json:"reach,omitempty"`
	Plan  rollout.Plan  `json:"plan"`
	State rollout.State `json:"state"`
}

// SecondName is the name of the second Service, which the canary answers
// through and later the old revision: "<service>-canary".
func (r *Record) SecondName() string { return r.Service + "-canary" }

// secondDeployment is the name of the Deployment of the trial.
func (r *Record) secondDeployment() string { return r.Deployment + "-canary" }

// Unfinished reports whether the rollout left something that the next run has
// to bring to an end before it starts its own.
func (r *Record) Unfinished() bool {
	if r == nil {
		return false
	}
	return !r.State.Phase.Terminal() || r.State.Leftover != ""
}

// Warm reports whether the old revision of a promoted rollout still has its
// slot.
func (r *Record) Warm() bool {
	return r != nil && r.State.Phase == rollout.PhasePromoted && !r.WarmUntil.IsZero()
}

func recordName(deployment string) string { return deployment + "-rollout" }

// LoadRecord reads the record of the target. It returns nil, nil when there
// is none.
func (c *Cluster) LoadRecord(ctx context.Context, namespace, deployment string) (*Record, error) {
	var record *Record
	err := steadily(ctx, func(ctx context.Context) error {
		cm, err := c.typed.CoreV1().ConfigMaps(namespace).Get(ctx, recordName(deployment), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		record, err = decodeRecord(cm)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the rollout record %s/%s: %w", namespace, recordName(deployment), err)
	}
	return record, nil
}

func decodeRecord(cm *corev1.ConfigMap) (*Record, error) {
	var r Record
	if err := json.Unmarshal([]byte(cm.Data["record.json"]), &r); err != nil {
		return nil, fmt.Errorf("decode configmap %s: %w", cm.Name, err)
	}
	if r.Schema != recordSchema {
		return nil, fmt.Errorf("configmap %s has schema %d, this version reads %d", cm.Name, r.Schema, recordSchema)
	}
	return &r, nil
}

// saveRecord writes r under the fencing token of its lease. It returns
// rollout.ErrFenced when a newer run has written.
func (c *Cluster) saveRecord(ctx context.Context, r *Record) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the rollout record: %w", err)
	}
	data := map[string]string{
		"phase":  string(r.State.Phase),
		"weight": fmt.Sprint(r.State.Weight),
		"run":    r.Run.String(),
		"image":  r.Image,
		"reason": r.State.Reason,

		"record.json": string(raw),
	}
	maps := c.typed.CoreV1().ConfigMaps(r.Namespace)
	err = steadily(ctx, func(ctx context.Context) error {
		cm, err := maps.Get(ctx, recordName(r.Deployment), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			_, err = maps.Create(ctx, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: recordName(r.Deployment), Labels: map[string]string{labelTarget: r.Deployment}},
				Data:       data,
			}, metav1.CreateOptions{FieldManager: FieldManager})
			if apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("%w: created meanwhile", errNotYet)
			}
			return err
		}
		if err != nil {
			return err
		}
		if old, err := decodeRecord(cm); err != nil {
			return err
		} else if old.Token > r.Token {
			return fmt.Errorf("%w: run %s", rollout.ErrFenced, old.Run)
		}
		cm.Data = data
		_, err = maps.Update(ctx, cm, metav1.UpdateOptions{FieldManager: FieldManager})
		return err
	})
	if err != nil {
		return fmt.Errorf("record the rollout in configmap %s/%s: %w", r.Namespace, recordName(r.Deployment), err)
	}
	return nil
}

// A Lease admits one run per target. Its Token only grows: whoever holds a
// smaller one is an older run.
type Lease struct {
	Token int64

	cluster   *Cluster
	namespace string
	name      string
	run       RunID
	cancel    context.CancelFunc
	done      chan struct{}
}

// leaseDuration is how long a run that is gone keeps others out;
// leaseRenewal is how often a living one says so.
const (
	leaseDuration = 15 * time.Second
	leaseRenewal  = 3 * time.Second
)

// A HeldError says that another run is alive on the target.
type HeldError struct {
	Holder string
	Target string
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("the rollout of %s is held by run %s, which is alive", e.Target, e.Holder)
}

// Acquire takes the lease of the target, or returns a *HeldError when its
// holder shows a sign of life. A holder that shows none for the lease's
// duration is taken for dead; by this process's clock alone, since clocks of
// different machines disagree. waiting is called once when that wait begins.
func (c *Cluster) Acquire(ctx context.Context, namespace, deployment string, run RunID, waiting func(holder string, until time.Time)) (*Lease, error) {
	l := &Lease{cluster: c, namespace: namespace, name: recordName(deployment), run: run, done: make(chan struct{})}
	leases := c.typed.CoordinationV1().Leases(namespace)
	var seen string // the holder's last sign of life
	var since time.Time
	for {
		err := steadily(ctx, func(ctx context.Context) error {
			lease, err := leases.Get(ctx, l.name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				l.Token = 1
				_, err = leases.Create(ctx, &coordinationv1.Lease{
					ObjectMeta: metav1.ObjectMeta{Name: l.name, Labels: map[string]string{labelTarget: deployment}},
					Spec:       l.spec(),
				}, metav1.CreateOptions{FieldManager: FieldManager})
				if apierrors.IsAlreadyExists(err) {
					return fmt.Errorf("%w: created meanwhile", errNotYet)
				}
				return err
			}
			if err != nil {
				return err
			}
			if holder := deref(lease.Spec.HolderIdentity); holder != "" {
				sign := holder + "@" + lease.Spec.RenewTime.String()
				switch {
				case seen == "":
					seen, since = sign, time.Now()
					if waiting != nil {
						waiting(holder, since.Add(leaseDuration))
					}
				case sign != seen:
					return &HeldError{Holder: holder, Target: namespace + "/" + deployment}
				}
				if time.Since(since) < leaseDuration {
					return errHeldStill
				}
			}
			l.Token = int64(deref(lease.Spec.LeaseTransitions)) + 1
			lease.Spec = l.spec()
			_, err = leases.Update(ctx, lease, metav1.UpdateOptions{FieldManager: FieldManager})
			if apierrors.IsConflict(err) {
				seen = "lost the race" // whoever won it shows a new sign
			}
			return err
		})
		if err == nil {
			break
		}
		if err != errHeldStill {
			return nil, fmt.Errorf("take the lease %s/%s: %w", namespace, l.name, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("take the lease %s/%s: %w", namespace, l.name, ctx.Err())
		case <-time.After(leaseRenewal / 3):
		}
	}
	renew, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	go l.renew(renew)
	return l, nil
}

var errHeldStill = fmt.Errorf("held, and no sign of life seen so far")

func (l *Lease) spec() coordinationv1.LeaseSpec {
	holder, seconds, token := l.run.String(), int32(leaseDuration/time.Second), int32(l.Token)
	now := metav1.NowMicro()
	return coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, LeaseTransitions: &token, AcquireTime: &now, RenewTime: &now}
}

// renew shows a sign of life until the context ends. A renewal that fails is
// tried again at the next turn; if somebody else took the lease meanwhile,
// the token in the record says so to saveRecord.
func (l *Lease) renew(ctx context.Context) {
	defer close(l.done)
	tick := time.NewTicker(leaseRenewal)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			attempt, cancel := context.WithTimeout(ctx, leaseRenewal)
			_ = l.update(attempt, l.run.String())
			cancel()
		}
	}
}

func (l *Lease) update(ctx context.Context, holder string) error {
	leases := l.cluster.typed.CoordinationV1().Leases(l.namespace)
	lease, err := leases.Get(ctx, l.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if int64(deref(lease.Spec.LeaseTransitions)) != l.Token {
		return fmt.Errorf("%w: %s", rollout.ErrFenced, deref(lease.Spec.HolderIdentity))
	}
	now := metav1.NowMicro()
	lease.Spec.RenewTime, lease.Spec.HolderIdentity = &now, &holder
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{FieldManager: FieldManager})
	return err
}

// Check returns rollout.ErrFenced when another run has taken the lease.
func (l *Lease) Check(ctx context.Context) error {
	return steadily(ctx, func(ctx context.Context) error {
		lease, err := l.cluster.typed.CoordinationV1().Leases(l.namespace).Get(ctx, l.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if int64(deref(lease.Spec.LeaseTransitions)) != l.Token {
			return fmt.Errorf("%w: %s", rollout.ErrFenced, deref(lease.Spec.HolderIdentity))
		}
		return nil
	})
}

// Release gives the lease back so that the next run need not wait.
func (l *Lease) Release(ctx context.Context) error {
	l.cancel()
	<-l.done
	if err := steadily(ctx, func(ctx context.Context) error { return l.update(ctx, "") }); err != nil {
		return fmt.Errorf("release the lease %s/%s: %w", l.namespace, l.name, err)
	}
	return nil
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
