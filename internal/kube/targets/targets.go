// Package targets waits until a load balancer outside of the cluster sends requests
// to the pods of a Service. Their readiness does not say so: the balancer registers
// their addresses some time later, and then checks them itself.
package targets

import (
	"context"
	"fmt"
	"slices"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/router"
)

// Bindings are the kinds by which the AWS Load Balancer Controller and EKS Auto Mode
// record which target group has the pods of a Service.
var Bindings = []router.Kind{
	{Group: "elbv2.k8s.aws", Version: "v1beta1", Resource: "targetgroupbindings", Name: "TargetGroupBinding"},
	{Group: "eks.amazonaws.com", Version: "v1", Resource: "targetgroupbindings", Name: "TargetGroupBinding"},
}

// A Health knows the targets of a load balancer.
type Health interface {
	// Missing says which of the addresses a target group sends no requests to, "" for
	// none.
	Missing(ctx context.Context, group string, addresses []string) (string, error)
	// Delay is how long a target that is removed finishes its open requests.
	Delay(ctx context.Context, group string) (time.Duration, error)
}

// Groups lists the target groups of a Service.
func Groups(ctx context.Context, c *kube.Cluster, namespace, service string) ([]string, error) {
	var groups []string
	for _, kind := range Bindings {
		l, err := c.Dynamic.Resource(kube.ResourceOf(kind)).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list %s in %s: %w", kind.Resource, namespace, err)
		}
		for i := range l.Items {
			name, _, _ := unstructured.NestedString(l.Items[i].Object, "spec", "serviceRef", "name")
			group, _, _ := unstructured.NestedString(l.Items[i].Object, "spec", "targetGroupARN")
			if name == service && group != "" {
				groups = append(groups, group)
			}
		}
	}
	slices.Sort(groups)
	return groups, nil
}

// interval is the pause between two questions: no event tells of a target's health.
const interval = 5 * time.Second

// Await returns when every target group of a Service sends requests to all of its
// ready pods. The deadline is ctx's; its error says what is missing.
func Await(ctx context.Context, c *kube.Cluster, w *kube.Watch, namespace, service string, h Health, after func(time.Duration) <-chan time.Time) error {
	for {
		why, err := missing(ctx, c, w, namespace, service, h)
		if err == nil && why == "" {
			return nil
		}
		if err != nil {
			why = err.Error()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until the load balancer sends requests to the pods of service %s/%s: %w: %s", namespace, service, ctx.Err(), why)
		case <-after(interval):
		}
	}
}

func missing(ctx context.Context, c *kube.Cluster, w *kube.Watch, namespace, service string, h Health) (string, error) {
	groups, err := Groups(ctx, c, namespace, service)
	if err != nil {
		return "", err
	}
	if len(groups) == 0 {
		return "its controller has made no target group for the Service", nil
	}
	for _, group := range groups {
		if why, err := h.Missing(ctx, group, ready(w.EndpointSlices(service))); why != "" || err != nil {
			return why, err
		}
	}
	return "", nil
}

// ready lists the addresses of ready endpoints.
func ready(list []*discoveryv1.EndpointSlice) []string {
	var addresses []string
	for _, slice := range list {
		for _, e := range slice.Endpoints {
			if kube.Deref(e.Conditions.Ready) && len(e.Addresses) > 0 && !slices.Contains(addresses, e.Addresses[0]) {
				addresses = append(addresses, e.Addresses[0])
			}
		}
	}
	return addresses
}
