package kube

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

func TestPermissionNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		of   Permission
		want string
	}{
		{Permission{"", "pods", nil, ""}, "pods"},
		{Permission{"apps", "deployments", nil, ""}, "deployments"},
		{Permission{"metrics.k8s.io", "pods", nil, ""}, "pods.metrics.k8s.io"},
	} {
		if got := test.of.name(); got != test.want {
			t.Errorf("name of %v = %q, want %q", test.of, got, test.want)
		}
	}
}

// A transport answers requests without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (f transport) cluster(t *testing.T) *Cluster {
	t.Helper()
	c, err := ConnectTo(&rest.Config{Host: "http://cluster.example", ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, func(http.RoundTripper) http.RoundTripper { return f })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// jsonAnswer is an answer with a body.
func jsonAnswer(r *http.Request, code int, body any) (*http.Response, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(raw))), Request: r}, nil
}

// The questions are asked side by side: none is answered before AtOnce of them
// have arrived.
func TestPermissionsAreAskedSideBySide(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	arrived, full := 0, make(chan struct{})
	c := transport(func(r *http.Request) (*http.Response, error) {
		var review authorizationv1.SelfSubjectAccessReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			return nil, err
		}
		mu.Lock()
		if arrived++; arrived == AtOnce {
			close(full)
		}
		mu.Unlock()
		<-full
		of := review.Spec.ResourceAttributes
		review.Status.Allowed = of.Namespace == "shop" && of.Resource != "services" && (of.Resource != "pods" || of.Subresource != "log") && of.Verb != "delete"
		return jsonAnswer(r, http.StatusCreated, review)
	}).cluster(t)
	missing, err := c.Missing(t.Context(), "shop", Permissions...)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"delete deployments", "delete replicasets", "get pods/log", "get services", "list services", "watch services", "create services", "patch services", "delete services", "delete configmaps", "delete leases"}
	if !slices.Equal(missing, want) {
		t.Errorf("missing = %q, want %q in this order", missing, want)
	}
}

func TestAnUnansweredPermissionIsAnError(t *testing.T) {
	t.Parallel()
	c := transport(func(r *http.Request) (*http.Response, error) {
		return jsonAnswer(r, http.StatusForbidden, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "no reviews"})
	}).cluster(t)
	if missing, err := c.Missing(t.Context(), "shop", Permissions...); err == nil || !strings.Contains(err.Error(), "no reviews") {
		t.Errorf("missing %q, error %v; want the API server's answer", missing, err)
	}
}
