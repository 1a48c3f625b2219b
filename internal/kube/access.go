package kube

import (
	"context"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/router"
)

// A Permission is one permission that a rollout needs in the namespace of its
// target.
type Permission struct {
	Group, Resource string
	Verbs           []string
	Why             string
}

// Permissions lists what a canary rollout needs beside its routes, as rules of
// a Role.
var Permissions = []Permission{
	{"apps", "deployments", []string{"get", "list", "watch", "create", "patch", "delete"}, "Run the canary beside the deployment and hand pods over"},
	{"apps", "replicasets", []string{"get", "list", "watch", "patch", "delete"}, "Hand the running pods of a version over without a restart"},
	{"", "pods", []string{"get", "list", "watch", "patch"}, "Read the readiness of pods and set version labels"},
	{"", "pods", []string{"create"}, "Ask in a dry run whether quotas, limit ranges, pod security and webhooks admit the canary's pods"},
	{"", "pods/log", []string{"get"}, "Fetch logs of failed pods"},
	{"", "services", []string{"get", "list", "watch", "create", "patch", "delete"}, "Give each version its own endpoints"},
	{"", "configmaps", []string{"get", "list", "create", "update", "delete"}, "Store the rollout's record"},
	{"discovery.k8s.io", "endpointslices", []string{"list", "watch"}, "Read the endpoints of the gateway's Services"},
	{"autoscaling", "horizontalpodautoscalers", []string{"list", "patch"}, "Keep the pods of a version while the other one has its traffic"},
	{"coordination.k8s.io", "leases", []string{"get", "watch", "create", "update", "delete"}, "Admit one run at a time, and take requests from other machines"},
}

// RoutePermission returns what a rollout needs on routes of a kind.
func RoutePermission(k router.Kind) Permission {
	return Permission{k.Group, k.Resource, []string{"get", "list", "watch", "patch", "create", "delete"},
		"Write the weights, see them accepted, and route test requests to the canary before it gets traffic"}
}

// OptionalPermissions lists what a rollout uses where it may. It does without
// the rest.
var OptionalPermissions = []Permission{
	{"", "events", []string{"list"}, "Say why a pod does not start; optional"},
	{"gateway.networking.k8s.io", "referencegrants", []string{"list"}, "Find routes of other namespaces that lead to the Service; optional"},
	{"", "resourcequotas", []string{"list"}, "Compare the canary's pods with what quotas have left; optional"},
	{"", "secrets", []string{"get"}, "Ask a private registry for the image with the pods' pull secrets; optional"},
	{"", "serviceaccounts", []string{"get"}, "Find the pull secrets of the pods' service account; optional"},
	{"policy", "poddisruptionbudgets", []string{"list"}, "Warn of disruption budgets that count both versions together; optional"},
	{"networking.k8s.io", "networkpolicies", []string{"list"}, "Find network policies that treat the canary otherwise than stable; optional"},
	{"elbv2.k8s.aws", "targetgroupbindings", []string{"list"}, "Find the target groups of an AWS load balancer; needed with router alb only"},
	{"keda.sh", "scaledobjects", []string{"get", "patch"}, "Keep the pods of a version that KEDA scales; needed with KEDA only"},
}

// Missing asks the API server which of the permissions this identity lacks in
// the namespace, in the order given. It changes nothing. It is often the first
// request of a run, so an API server that cannot be reached ends it soon.
func (c *Cluster) Missing(ctx context.Context, namespace string, permissions ...Permission) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	type question struct {
		Permission
		verb   string
		denied bool
	}
	var questions []question
	for _, p := range permissions {
		for _, verb := range p.Verbs {
			questions = append(questions, question{Permission: p, verb: verb})
		}
	}
	err := Each(ctx, len(questions), AtOnce, func(ctx context.Context, i int) error {
		q := &questions[i]
		allowed, err := c.allowed(ctx, namespace, q.Permission, q.verb)
		if err != nil {
			return fmt.Errorf("ask for the permission to %s %s in %s: %w", q.verb, q.name(), namespace, err)
		}
		q.denied = !allowed
		return nil
	})
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, q := range questions {
		if q.denied {
			missing = append(missing, q.verb+" "+q.name())
		}
	}
	return missing, nil
}

// name returns the resource with its group, as kubectl does, for example
// pods.metrics.k8s.io.
func (p Permission) name() string {
	if p.Group == "metrics.k8s.io" {
		return p.Resource + "." + p.Group
	}
	return p.Resource
}

func (c *Cluster) allowed(ctx context.Context, namespace string, p Permission, verb string) (bool, error) {
	resource, sub := splitResource(p.Resource)
	var allowed bool
	err := Retry(ctx, func(ctx context.Context) error {
		review, err := c.Typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
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
