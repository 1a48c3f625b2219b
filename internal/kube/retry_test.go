package kube

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestReachWaitsForAnAnswer(t *testing.T) {
	t.Parallel()
	refused := fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	for name, c := range map[string]struct {
		answer func(r *http.Request, since time.Duration) (*http.Response, error)
		waits  bool
		err    string
	}{
		"at once": {answer: func(r *http.Request, _ time.Duration) (*http.Response, error) {
			return jsonAnswer(r, http.StatusOK, map[string]string{"gitVersion": "v1"})
		}},
		"a refusal is an answer": {answer: func(r *http.Request, _ time.Duration) (*http.Response, error) {
			return jsonAnswer(r, http.StatusForbidden, metav1.Status{Status: "Failure", Reason: metav1.StatusReasonForbidden, Code: http.StatusForbidden})
		}},
		"after a while": {waits: true, answer: func(r *http.Request, since time.Duration) (*http.Response, error) {
			if since < reachLimit/2 {
				return nil, refused
			}
			return jsonAnswer(r, http.StatusOK, map[string]string{})
		}},
		"never": {waits: true, err: "reach the API server http://cluster.example: ", answer: func(*http.Request, time.Duration) (*http.Response, error) {
			return nil, refused
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began, waited := time.Now(), 0
				cluster := transport(func(r *http.Request) (*http.Response, error) { return c.answer(r, time.Since(began)) }).cluster(t)
				err := cluster.Reach(t.Context(), func(_ error, until time.Time) {
					waited++
					if until.Sub(began) != reachLimit {
						t.Errorf("the deadline is after %s, want %s", until.Sub(began), reachLimit)
					}
				})
				if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Errorf("Reach = %v, want %q", err, c.err)
				}
				if c.waits != (waited == 1) {
					t.Errorf("it said %d times that it waits", waited)
				}
			})
		})
	}
}

// A list has what a watch does not have yet: that is "not found", and comes.
func TestWhatIsNotThereYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	missing := apierrors.NewNotFound(schema.GroupResource{Group: "apps", Resource: "replicasets"}, "website-1")
	if IsTransient(missing) {
		t.Error("what is missing is waited for")
	}
	if err := fmt.Errorf("note the revision: %w: %w", ErrNotYet, missing); !IsTransient(err) {
		t.Errorf("%v is not waited for", err)
	}
}
