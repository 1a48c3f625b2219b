package kube

import "testing"

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
