package kube

import (
	"context"
	"fmt"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Permission is one thing that a rollout has to be allowed to do in the
// namespace of its target.
type Permission struct {
	Group, Resource string
	Verbs           []string
	Why             string
}

// Permissions is all that a canary on Gateway API needs, as it would stand in
// a Role. Reading the gateway, wherever it is, spares the entry point's input.
var Permissions = []Permission{
	{"apps", "deployments", []string{"get", "list", "watch", "create", "patch", "delete"}, "Run the canary beside the deployment and hand pods over"},
	{"apps", "replicasets", []string{"get", "list", "watch", "patch"}, "Hand the running pods of a version over without a restart"},
	{"", "pods", []string{"get", "list", "watch", "patch"}, "See what is ready, and label who is stable and who canary"},
	{"", "pods/log", []string{"get"}, "Show the last words of a pod that failed"},
	{"", "services", []string{"get", "list", "watch", "create", "patch", "delete"}, "Give each version endpoints of its own"},
	{"", "configmaps", []string{"get", "create", "update"}, "Keep the rollout's record where any other run can read it"},
	{"discovery.k8s.io", "endpointslices", []string{"list", "watch"}, "Know what a gateway sends to"},
	{"coordination.k8s.io", "leases", []string{"get", "create", "update"}, "Admit one run at a time"},
	{"gateway.networking.k8s.io", "httproutes", []string{"get", "list", "watch", "patch", "create", "delete"}, "Write the weights, see them accepted, and lead marked requests to a canary without weight"},
}

// Missing asks the API server which of the Permissions, and of more, this
// identity lacks in the namespace. It changes nothing.
func (c *Cluster) Missing(ctx context.Context, namespace string, more ...Permission) ([]string, error) {
	var missing []string
	for _, p := range slices.Concat(Permissions, more) {
		for _, verb := range p.Verbs {
			allowed, err := c.allowed(ctx, namespace, p, verb)
			if err != nil {
				return nil, fmt.Errorf("ask for the permission to %s %s in %s: %w", verb, p.name(), namespace, err)
			}
			if !allowed {
				missing = append(missing, verb+" "+p.name())
			}
		}
	}
	return missing, nil
}

// name tells the pods of the metrics API from those of the core one, as
// kubectl does.
func (p Permission) name() string {
	if p.Group == usageResource.Group {
		return p.Resource + "." + p.Group
	}
	return p.Resource
}

func (c *Cluster) allowed(ctx context.Context, namespace string, p Permission, verb string) (bool, error) {
	resource, sub := splitResource(p.Resource)
	var allowed bool
	err := steadily(ctx, func(ctx context.Context) error {
		review, err := c.typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Group: p.Group, Resource: resource, Subresource: sub, Verb: verb,
			}},
		}, metav1.CreateOptions{})
		if err == nil {
			allowed = review.Status.Allowed
		}
		return err
	})
	return allowed, err
}

func splitResource(name string) (resource, sub string) {
	for i := range name {
		if name[i] == '/' {
			return name[:i], name[i+1:]
		}
	}
	return name, ""
}
