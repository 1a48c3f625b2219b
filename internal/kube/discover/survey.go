package discover

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/router"
)

// A survey is one reading of all relevant objects in the namespace.
type survey struct {
	ns          string
	deployments []appsv1.Deployment
	sets        []appsv1.ReplicaSet
	pods        []corev1.Pod
	services    []corev1.Service
	routers     []served
	labels      map[string]string // of the namespace, nil if they are not known
	direct      []served          // the routers that need no route
	unseen      []string          // what may lead to the Service too, and why it was not read
}

func readSurvey(ctx context.Context, c *kube.Cluster, ns string, of []router.Router) (*survey, error) {
	s := &survey{ns: ns}
	all := metav1.ListOptions{}
	apps, core := c.Typed.AppsV1(), c.Typed.CoreV1()
	lists := []func() (what string, err error){
		func() (string, error) {
			l, err := apps.Deployments(ns).List(ctx, all)
			if err == nil {
				s.deployments = l.Items
			}
			return "deployments", err
		},
		func() (string, error) {
			l, err := apps.ReplicaSets(ns).List(ctx, all)
			if err == nil {
				s.sets = l.Items
			}
			return "replicasets", err
		},
		func() (string, error) {
			l, err := core.Pods(ns).List(ctx, all)
			if err == nil {
				s.pods = l.Items
			}
			return "pods", err
		},
		func() (string, error) {
			l, err := core.Services(ns).List(ctx, all)
			if err == nil {
				s.services = l.Items
			}
			return "services", err
		},
		func() (string, error) {
			err := s.readRoutes(ctx, c, of)
			return "routes", err
		},
	}
	errs := make([]error, len(lists)) // all of them, so a user mends them at once
	_ = kube.Each(ctx, len(lists), len(lists), func(_ context.Context, i int) error {
		if what, err := lists[i](); err != nil {
			errs[i] = fmt.Errorf("list %s in %s: %w", what, ns, err)
		}
		return nil
	})
	return s, errors.Join(errs...)
}

// servicesOf lists the user's Services that select the Deployment's pods.
func (s *survey) servicesOf(d *appsv1.Deployment) []corev1.Service {
	var selecting []corev1.Service
	for _, service := range s.services {
		if service.Labels[kube.LabelTarget] != "" || len(service.Spec.Selector) == 0 {
			continue
		}
		if labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(d.Spec.Template.Labels)) {
			selecting = append(selecting, service)
		}
	}
	return selecting
}
