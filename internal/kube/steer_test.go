package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

const (
	leasePath  = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
	recordPath = "/api/v1/namespaces/shop/configmaps/web-rollout"
)

// A leaseServer is an API server with one Lease and one record, or none. Any other
// request fails the test.
type leaseServer struct {
	t          *testing.T
	watchable  bool // else a watch is forbidden
	closeWatch bool // a watch ends at once

	mu       sync.Mutex
	lease    *coordinationv1.Lease
	token    int64 // of the record, 0 for no record
	version  int
	watches  []*io.PipeWriter
	requests int
}

func newLeaseServer(t *testing.T, holder string) *leaseServer {
	t.Helper()
	s := &leaseServer{t: t, watchable: true}
	if holder != "-" {
		s.lease = &coordinationv1.Lease{
			TypeMeta:   metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"},
			ObjectMeta: metav1.ObjectMeta{Name: "web-rollout", Namespace: "shop", ResourceVersion: "1"},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder},
		}
		s.version = 1
	}
	return s
}

// holding returns the Lease as its holder has it.
func (s *leaseServer) holding() *Lease {
	return &Lease{cluster: transport(s.serve).cluster(s.t), namespace: "shop", deployment: "web", name: "web-rollout", run: release.Run{ID: "7"}}
}

// request returns the request on the Lease.
func (s *leaseServer) request() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lease.Annotations[annotationRequest]
}

func (s *leaseServer) serve(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	status := func(code int, reason metav1.StatusReason) (*http.Response, error) {
		return jsonAnswer(r, code, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: reason, Code: int32(code)})
	}
	switch {
	case r.URL.Path == leasePath && r.URL.Query().Get("watch") != "":
		if got := r.URL.Query().Get("fieldSelector"); got != "metadata.name=web-rollout" {
			s.t.Errorf("watches %q", got)
		}
		if !s.watchable {
			return status(http.StatusForbidden, metav1.StatusReasonForbidden)
		}
		return s.watch(r), nil
	case r.Method == http.MethodPost && r.URL.Path == leasePath:
		if s.lease != nil {
			return status(http.StatusConflict, metav1.StatusReasonAlreadyExists)
		}
		return s.put(r)
	case r.Method == http.MethodGet && r.URL.Path == recordPath:
		if s.token == 0 {
			return status(http.StatusNotFound, metav1.StatusReasonNotFound)
		}
		data, err := release.Encode(&release.Record{Schema: release.Schema, Token: s.token})
		if err != nil {
			s.t.Error(err)
		}
		return jsonAnswer(r, http.StatusOK, &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, Data: data})
	case r.URL.Path != leasePath+"/web-rollout":
		s.t.Errorf("unexpected %s %s", r.Method, r.URL)
		return status(http.StatusForbidden, metav1.StatusReasonForbidden)
	case s.lease == nil:
		return status(http.StatusNotFound, metav1.StatusReasonNotFound)
	case r.Method == http.MethodGet:
		return jsonAnswer(r, http.StatusOK, s.lease)
	case r.Method == http.MethodPut:
		return s.put(r)
	}
	s.t.Errorf("unexpected %s %s", r.Method, r.URL)
	return status(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed)
}

// put stores the Lease of a request; an update needs its last version.
func (s *leaseServer) put(r *http.Request) (*http.Response, error) {
	var lease coordinationv1.Lease
	if err := json.NewDecoder(r.Body).Decode(&lease); err != nil || r.URL.Query().Get("fieldManager") != FieldManager {
		s.t.Errorf("write by %q: %v", r.URL.Query().Get("fieldManager"), err)
	}
	if s.lease != nil && lease.ResourceVersion != s.lease.ResourceVersion {
		return jsonAnswer(r, http.StatusConflict, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonConflict, Code: http.StatusConflict})
	}
	s.version++
	lease.TypeMeta = metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"}
	lease.ResourceVersion = strconv.Itoa(s.version)
	s.lease = &lease
	for _, w := range s.watches {
		go s.event(w, "MODIFIED", lease)
	}
	return jsonAnswer(r, http.StatusOK, s.lease)
}

// watch begins with the Lease as it is, like the API server without a version.
func (s *leaseServer) watch(r *http.Request) *http.Response {
	body, w := io.Pipe()
	context.AfterFunc(r.Context(), func() { _ = w.CloseWithError(r.Context().Err()) })
	if s.closeWatch {
		_ = w.Close()
	} else {
		s.watches = append(s.watches, w)
		go s.event(w, "ADDED", *s.lease)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Request: r}
}

func (s *leaseServer) event(w io.Writer, kind string, lease coordinationv1.Lease) {
	// A watch that ended takes no events.
	_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": lease})
}

var stop = rollout.Steer{Request: rollout.RequestAbort, By: "run 8"}

func TestARequestReachesTheRunThatDrives(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*leaseServer){
		"by a watch":              func(*leaseServer) {},
		"where a watch is not":    func(s *leaseServer) { s.watchable = false },
		"where a watch ends":      func(s *leaseServer) { s.closeWatch = true },
		"after one without sense": func(s *leaseServer) { s.lease.Annotations = map[string]string{annotationRequest: "{"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newLeaseServer(t, "7")
				change(s)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				steers := s.holding().Requests(ctx)
				time.Sleep(time.Minute) // nothing is asked
				for range 2 {           // the same request once more is another one
					asked := make(chan error)
					go func() { asked <- transport(s.serve).cluster(t).Ask(t.Context(), "shop", "web", stop) }()
					if got := <-steers; got != stop {
						t.Errorf("got %+v", got)
					}
					if err := <-asked; err != nil || s.request() != "" {
						t.Errorf("Ask = %v, left %q", err, s.request())
					}
				}
				s.mu.Lock()
				if s.requests > 3*70 {
					t.Errorf("%d requests in a minute", s.requests)
				}
				s.mu.Unlock()
				cancel()
				synctest.Wait()
			})
		})
	}
}

// A request to pause or to abort ends the run that takes it.
func TestARequestThatEndsTheRunIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newLeaseServer(t, "7")
		ctx, cancel := context.WithCancel(t.Context())
		steers := s.holding().Requests(ctx)
		asked := make(chan error)
		began := time.Now()
		go func() { asked <- transport(s.serve).cluster(t).Ask(t.Context(), "shop", "web", stop) }()
		<-steers
		cancel()
		for range steers {
			t.Error("a second request")
		}
		if left := s.request(); left != "" {
			t.Errorf("the channel is closed, the request is still there: %q", left)
		}
		if err := <-asked; err != nil || time.Since(began) > 5*time.Second {
			t.Errorf("Ask = %v after %s", err, time.Since(began))
		}
	})
}

func TestARequestToARunThatEndsWithoutReadingIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newLeaseServer(t, "7")
		began := time.Now()
		time.AfterFunc(time.Second, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.lease = s.lease.DeepCopy()
			*s.lease.Spec.HolderIdentity = ""
		})
		if err := transport(s.serve).cluster(t).Ask(t.Context(), "shop", "web", stop); !errors.Is(err, ErrNobodyDrives) {
			t.Errorf("Ask = %v, want %v", err, ErrNobodyDrives)
		}
		if took := time.Since(began); took > 2*time.Second || s.request() != "" {
			t.Errorf("took %s, left %q", took, s.request())
		}
	})
}

func TestARequestThatNobodyTakes(t *testing.T) {
	t.Parallel()
	for name, holder := range map[string]string{"no lease": "-", "a free lease": "", "a dead holder": "7"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newLeaseServer(t, holder)
				began := time.Now()
				if err := transport(s.serve).cluster(t).Ask(t.Context(), "shop", "web", stop); !errors.Is(err, ErrNobodyDrives) {
					t.Errorf("Ask = %v, want %v", err, ErrNobodyDrives)
				}
				if took := time.Since(began); holder == "7" && took < leaseDuration || holder != "7" && took > time.Second {
					t.Errorf("took %s", took)
				}
				if s.lease != nil && s.request() != "" {
					t.Errorf("left %q for the next run", s.request())
				}
			})
		})
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("cut off"))
		defer cancel()
		if err := transport(newLeaseServer(t, "7").serve).cluster(t).Ask(ctx, "shop", "web", stop); err == nil {
			t.Error("Ask = nil")
		}
	})
}

func TestNotOlder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"7", "7", true}, {"8", "7", true}, {"7", "8", false},
		{"10", "9", true}, {"9", "10", false}, // numbers, not text
		{"18446744073709551615", "1", true},
		{"", "7", false}, {"7", "", false}, {"x", "7", false}, {"7", "x", false}, {"-1", "0", false},
	} {
		if got := NotOlder(test.a, test.b); got != test.want {
			t.Errorf("NotOlder(%q, %q) = %t", test.a, test.b, got)
		}
	}
	versions := []string{"9", "100", "10", "99"}
	slices.SortFunc(versions, func(a, b string) int {
		if NotOlder(a, b) {
			return 1
		}
		return -1
	})
	if got := fmt.Sprint(versions); got != "[9 10 99 100]" {
		t.Errorf("in order: %s", got)
	}
}
