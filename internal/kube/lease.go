package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Lease admits one run per target. Its Token only grows: a smaller one
// belongs to an older run.
type Lease struct {
	Token int64

	cluster    *Cluster
	namespace  string
	deployment string
	name       string
	run        release.Run
	cancel     context.CancelFunc
	done       chan struct{}

	mu   sync.Mutex
	seen time.Time // when this process last asked and the lease was its own
}

// leaseDuration is the time after which a lease without renewal expires;
// leaseRenewal is the renewal interval.
const (
	leaseDuration = 15 * time.Second
	leaseRenewal  = 3 * time.Second
	// leaseFresh is the time for which a lease that was seen is not read again. It
	// is far below leaseDuration: nobody else takes a lease so soon after its
	// renewal.
	leaseFresh = 2 * leaseRenewal
)

// A HeldError says that another run holds the target's lease and renews it.
type HeldError struct {
	Holder string
	Target string
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("run %s is active and holds the rollout of %s", e.Holder, e.Target)
}

// Acquire takes the target's lease, or returns a *HeldError if its holder
// renews it. It takes over from a holder that does not renew it for
// leaseDuration, measured by this process's clock: clocks of different machines
// disagree. It calls waiting once, before it waits for a renewal.
func (c *Cluster) Acquire(ctx context.Context, namespace, deployment string, run release.Run, waiting func(holder string, until time.Time)) (*Lease, error) {
	l := &Lease{cluster: c, namespace: namespace, deployment: deployment, name: release.ObjectName(deployment), run: run, done: make(chan struct{})}
	b := bid{Lease: l, waiting: waiting}
	for {
		began := time.Now()
		err := Retry(ctx, b.take)
		if err == nil {
			l.see(began)
			break
		}
		if !errors.Is(err, errHeldStill) {
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

// A bid is one run's attempt to take a lease.
type bid struct {
	*Lease
	waiting func(holder string, until time.Time)
	seen    string // the holder's last renewal
	since   time.Time
}

// take takes the lease if it is free, or returns errHeldStill while it waits
// for the holder's renewal.
func (b *bid) take(ctx context.Context) error {
	leases := b.cluster.Typed.CoordinationV1().Leases(b.namespace)
	lease, err := leases.Get(ctx, b.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		if b.Token, err = b.recorded(ctx); err != nil {
			return err
		}
		b.Token++
		return b.create(ctx)
	}
	if err != nil {
		return err
	}
	if err := b.held(lease); err != nil {
		return err
	}
	b.Token = int64(Deref(lease.Spec.LeaseTransitions)) + 1
	lease.Spec = b.spec()
	delete(lease.Annotations, annotationRequest) // it was for the holder before
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{FieldManager: FieldManager})
	if apierrors.IsConflict(err) {
		b.seen = "lost the race" // the winner renews it
	}
	return err
}

// recorded returns the token of the record, 0 without a readable one: a lease that
// somebody deleted does not start from 1 again, or the run that wrote the record
// would count as the newer one.
func (b *bid) recorded(ctx context.Context) (int64, error) {
	record, err := b.cluster.LoadRecord(ctx, b.namespace, b.deployment)
	var unreadable *UnreadableError
	switch {
	case errors.As(err, &unreadable):
		return 0, nil // nobody can write it either
	case err != nil || record == nil:
		return 0, err
	}
	return record.Token, nil
}

// held returns an error while the lease has a holder that renews it or may
// still renew it.
func (b *bid) held(lease *coordinationv1.Lease) error {
	holder := Deref(lease.Spec.HolderIdentity)
	if holder == "" {
		return nil
	}
	renewal := holder + "@" + lease.Spec.RenewTime.String()
	switch {
	case b.seen == "":
		b.seen, b.since = renewal, time.Now()
		if b.waiting != nil {
			b.waiting(holder, b.since.Add(leaseDuration))
		}
	case renewal != b.seen:
		return &HeldError{Holder: holder, Target: b.namespace + "/" + b.deployment}
	}
	if time.Since(b.since) < leaseDuration {
		return errHeldStill
	}
	return nil
}

var errHeldStill = fmt.Errorf("held, no renewal so far")

// create creates the lease with this run as its holder.
func (l *Lease) create(ctx context.Context) error {
	_, err := l.cluster.Typed.CoordinationV1().Leases(l.namespace).Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: l.name, Labels: map[string]string{LabelTarget: l.deployment}},
		Spec:       l.spec(),
	}, metav1.CreateOptions{FieldManager: FieldManager})
	if apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%w: another client created it", ErrNotYet)
	}
	return err
}

func (l *Lease) spec() coordinationv1.LeaseSpec {
	holder, seconds, token := l.run.String(), int32(leaseDuration/time.Second), int32(l.Token)
	now := metav1.NowMicro()
	return coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, LeaseTransitions: &token, AcquireTime: &now, RenewTime: &now}
}

// renew renews the lease until the context ends. It retries a failed renewal at
// the next interval. If another run has taken the lease meanwhile, Store.Save
// detects it by the token in the record.
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
	began := time.Now()
	leases := l.cluster.Typed.CoordinationV1().Leases(l.namespace)
	lease, err := leases.Get(ctx, l.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		l.see(time.Time{})
		if holder == "" {
			return nil // a person or this run deleted it
		}
		// A person deleted it: without it a second run would not see this one.
		return l.create(ctx)
	}
	if err != nil {
		return err
	}
	if int64(Deref(lease.Spec.LeaseTransitions)) != l.Token {
		l.see(time.Time{})
		return fmt.Errorf("%w: %s", rollout.ErrFenced, Deref(lease.Spec.HolderIdentity))
	}
	now := metav1.NowMicro()
	lease.Spec.RenewTime, lease.Spec.HolderIdentity = &now, &holder
	if _, err = leases.Update(ctx, lease, metav1.UpdateOptions{FieldManager: FieldManager}); err == nil && holder != "" {
		l.see(began)
	}
	return err
}

func (l *Lease) see(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = at
}

// fresh reports whether the lease was seen a short time ago, by both clocks: the
// monotonic one stands still while a machine sleeps, the other one may be set.
func (l *Lease) fresh() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	wall := now.Round(0).Sub(l.seen.Round(0))
	return now.Sub(l.seen) < leaseFresh && wall < leaseFresh && wall >= 0
}

// Check returns rollout.ErrFenced when another run has taken the lease. It sends
// no request soon after a renewal.
func (l *Lease) Check(ctx context.Context) error {
	if l.fresh() {
		return nil
	}
	began := time.Now()
	return Retry(ctx, func(ctx context.Context) error {
		lease, err := l.cluster.Typed.CoordinationV1().Leases(l.namespace).Get(ctx, l.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if int64(Deref(lease.Spec.LeaseTransitions)) != l.Token {
			return fmt.Errorf("%w: %s", rollout.ErrFenced, Deref(lease.Spec.HolderIdentity))
		}
		l.see(began)
		return nil
	})
}

// Abandon ends the renewals and leaves the lease as it is.
func (l *Lease) Abandon() {
	l.cancel()
	<-l.done
}

// Release frees the lease, so the next run need not wait.
func (l *Lease) Release(ctx context.Context) error {
	l.Abandon()
	if err := Retry(ctx, func(ctx context.Context) error { return l.update(ctx, "") }); err != nil {
		return fmt.Errorf("release the lease %s/%s: %w", l.namespace, l.name, err)
	}
	return nil
}

// Deref returns what p points to, the zero value for nil.
func Deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}
