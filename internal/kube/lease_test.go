package kube

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// count returns the requests so far.
func (s *leaseServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// remove deletes the Lease.
func (s *leaseServer) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease = nil
}

// holder returns the Lease's holder, "-" without a Lease.
func (s *leaseServer) holder() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil {
		return "-"
	}
	return *s.lease.Spec.HolderIdentity
}

// take gives the Lease to another run.
func (s *leaseServer) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	holder, token := "8", *s.lease.Spec.LeaseTransitions+1
	s.lease = s.lease.DeepCopy()
	s.lease.Spec.HolderIdentity, s.lease.Spec.LeaseTransitions = &holder, &token
	s.version++
}

// acquire takes the Lease, which is free, for run 7.
func (s *leaseServer) acquire() *Lease {
	s.t.Helper()
	l, err := transport(s.serve).cluster(s.t).Acquire(s.t.Context(), "shop", "web", release.Run{ID: "7"}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

func TestALeaseIsReadAgainUnlessItWasJustSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newLeaseServer(t, "")
		l := s.acquire()
		before := s.count()
		for range 100 {
			if err := l.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if asked := s.count() - before; asked != 0 {
			t.Errorf("100 checks right after the lease was taken sent %d requests", asked)
		}
		l.Abandon() // no renewals from here on
		time.Sleep(leaseFresh)
		s.take()
		if err := l.Check(t.Context()); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("Check = %v, want %v", err, rollout.ErrFenced)
		}
		if leaseFresh >= leaseDuration {
			t.Error("another run may take a lease that this one still believes to have")
		}
	})
}

func TestARenewalNoticesAnotherHolder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newLeaseServer(t, "")
		l := s.acquire()
		defer l.Abandon()
		s.take()
		time.Sleep(leaseRenewal + time.Millisecond)
		synctest.Wait()
		if err := l.Check(t.Context()); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("Check = %v, want %v", err, rollout.ErrFenced)
		}
	})
}

// A second run would not see a run whose lease somebody deleted.
func TestARenewalCreatesALeaseThatIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newLeaseServer(t, "")
		l := s.acquire()
		defer l.Abandon()
		s.remove()
		time.Sleep(leaseRenewal + time.Millisecond)
		synctest.Wait()
		if holder := s.holder(); holder != "7" {
			t.Errorf("the lease's holder is %q, want 7", holder)
		}
		time.Sleep(leaseFresh)
		if err := l.Check(t.Context()); err != nil {
			t.Errorf("Check = %v", err)
		}
	})
}

// Both runs ended as "another run took over" when the second one's token started
// from 1 again, below the one in the record.
func TestALeaseThatIsGoneGoesOnFromTheRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newLeaseServer(t, "")
		first := s.acquire()
		s.token = first.Token + 4 // the record of a run that is still alive
		first.Abandon()
		s.remove()
		second := s.acquire()
		defer second.Abandon()
		if second.Token <= s.token {
			t.Errorf("the second run's token is %d, the record has %d", second.Token, s.token)
		}
		time.Sleep(leaseFresh)
		if err := first.Check(t.Context()); !errors.Is(err, rollout.ErrFenced) {
			t.Errorf("Check of the first run = %v, want %v", err, rollout.ErrFenced)
		}
		if err := second.Check(t.Context()); err != nil {
			t.Errorf("Check of the second run = %v", err)
		}
	})
}
