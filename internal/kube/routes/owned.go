package routes

import (
	"cmp"
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
)

// owned are the objects of a release: it marks them when it creates them, and
// deletes none without its mark.
type owned struct {
	cluster *kube.Cluster
	record  *release.Record
}

func (r owned) client(of kube.Watched) dynamic.ResourceInterface {
	return r.cluster.Dynamic.Resource(kube.ResourceOf(of.Kind)).Namespace(of.Namespace)
}

// mark gives an object of the release its namespace, labels and annotations.
func (r owned) mark(object *unstructured.Unstructured, namespace string) *unstructured.Unstructured {
	object.SetNamespace(namespace)
	labels := kube.With(object.GetLabels(), kube.LabelTarget, r.record.Deployment)
	if namespace != r.record.Namespace {
		labels[kube.LabelNamespace] = r.record.Namespace
	}
	object.SetLabels(labels)
	object.SetAnnotations(kube.With(object.GetAnnotations(), kube.AnnotationRun, r.record.Run.String()))
	return object
}

// isOurs reports whether an object belongs to a release of this target.
func (r owned) isOurs(object *unstructured.Unstructured) bool {
	labels := object.GetLabels()
	return labels[kube.LabelTarget] == r.record.Deployment && cmp.Or(labels[kube.LabelNamespace], object.GetNamespace()) == r.record.Namespace
}

// remove deletes an object of the release, and only that one.
func (r owned) remove(ctx context.Context, of kube.Watched, object *unstructured.Unstructured) error {
	uid := object.GetUID()
	err := r.client(of).Delete(ctx, object.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// besideOf lists what releases of this target have beside a route, preflight
// routes aside.
func (r owned) besideOf(ctx context.Context, route route) ([]unstructured.Unstructured, error) {
	selector := labels.SelectorFromSet(labels.Set{kube.LabelTarget: r.record.Deployment}).String()
	var found []unstructured.Unstructured
	for _, kind := range companionKinds(route) {
		list, err := r.client(kube.Watched{Kind: kind, Namespace: route.namespace}).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return nil, fmt.Errorf("list %s beside it: %w", kind.Resource, err)
		}
		for _, item := range list.Items {
			if r.isOurs(&item) && item.GetName() != preflightName(route.Name) {
				found = append(found, item)
			}
		}
	}
	return found, nil
}
