// Package autoscaler keeps the pods of a Deployment while another one has its
// traffic. A HorizontalPodAutoscaler shrinks what is idle: without this, the
// version to go back to would be too small for the traffic.
//
// The lower bound of the autoscaler is raised and its old value kept in an
// annotation of the same object, so that any process can put it back. KEDA owns
// the autoscalers that it makes, so there the ScaledObject's bound is raised.
package autoscaler

import (
	"context"
	"fmt"
	"strconv"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/kube"
)

// annotation has the lower bound from before the release, "" for none.
const annotation = "deploy.candlefish.ai/min-replicas"

// scaledObjects is KEDA's resource, https://keda.sh/docs/latest/reference/scaledobject-spec/.
var scaledObjects = schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}

// A bound is the lower bound of one autoscaler, on the object that people write.
type bound struct {
	kind, name  string
	path        string // of the bound in the object
	set         bool   // whether the object has the bound
	value       int32
	version     string
	annotations map[string]string
	patch       func(ctx context.Context, raw []byte) error
}

// Hold raises the lower bound of the Deployment's autoscalers to at least n pods.
func Hold(ctx context.Context, c *kube.Cluster, namespace, deployment string, n int32) error {
	return each(ctx, c, namespace, deployment, "hold", func(b bound) jsonpatch.Patch {
		if b.set && b.value >= n {
			return jsonpatch.Patch{}
		}
		patch := jsonpatch.Guarded(b.version).Add(b.path, n)
		if _, held := b.annotations[annotation]; held {
			return patch
		}
		before := ""
		if b.set {
			before = strconv.Itoa(int(b.value))
		}
		return patch.Add("/metadata/annotations", kube.With(b.annotations, annotation, before))
	})
}

// Release puts the lower bounds back that Hold raised. A bound that somebody
// removed meanwhile stays removed.
func Release(ctx context.Context, c *kube.Cluster, namespace, deployment string) error {
	return each(ctx, c, namespace, deployment, "release", func(b bound) jsonpatch.Patch {
		before, held := b.annotations[annotation]
		if !held {
			return jsonpatch.Patch{}
		}
		patch := jsonpatch.Guarded(b.version).Remove(jsonpatch.Pointer("metadata", "annotations", annotation))
		if len(b.annotations) == 1 {
			patch = jsonpatch.Guarded(b.version).Remove("/metadata/annotations")
		}
		value, err := strconv.Atoi(before)
		switch {
		case !b.set:
			return patch
		case before == "" || err != nil:
			return patch.Remove(b.path)
		}
		return patch.Add(b.path, value)
	})
}

// each patches the bound of every autoscaler of the Deployment.
func each(ctx context.Context, c *kube.Cluster, namespace, deployment, what string, change func(bound) jsonpatch.Patch) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		list, err := c.Typed.AutoscalingV2().HorizontalPodAutoscalers(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			hpa := &list.Items[i]
			if ref := hpa.Spec.ScaleTargetRef; ref.Kind != "Deployment" || ref.Name != deployment {
				continue
			}
			b, err := boundOf(ctx, c, hpa)
			if err != nil {
				return err
			}
			if patch := change(b); !patch.Empty() {
				if err := b.patch(ctx, patch.JSON()); err != nil {
					return fmt.Errorf("%s %s: %w", b.kind, b.name, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s the pods of deployment %s/%s against its autoscaler: %w", what, namespace, deployment, err)
	}
	return nil
}

// boundOf returns the lower bound of an autoscaler, on its ScaledObject if KEDA
// made it.
func boundOf(ctx context.Context, c *kube.Cluster, hpa *autoscalingv2.HorizontalPodAutoscaler) (bound, error) {
	for _, owner := range hpa.OwnerReferences {
		if owner.Kind == "ScaledObject" {
			return scaledBound(ctx, c, hpa.Namespace, owner.Name)
		}
	}
	return bound{
		kind: "horizontalpodautoscaler", name: hpa.Name, path: "/spec/minReplicas", version: hpa.ResourceVersion, annotations: hpa.Annotations,
		set: hpa.Spec.MinReplicas != nil, value: kube.Deref(hpa.Spec.MinReplicas),
		patch: func(ctx context.Context, raw []byte) error {
			_, err := c.Typed.AutoscalingV2().HorizontalPodAutoscalers(hpa.Namespace).Patch(ctx, hpa.Name, types.JSONPatchType, raw, kube.Patching)
			return err
		},
	}, nil
}

func scaledBound(ctx context.Context, c *kube.Cluster, namespace, name string) (bound, error) {
	objects := c.Dynamic.Resource(scaledObjects).Namespace(namespace)
	o, err := objects.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return bound{}, fmt.Errorf("read scaledobject %s: %w", name, err)
	}
	b := bound{kind: "scaledobject", name: name, path: "/spec/minReplicaCount", version: o.GetResourceVersion(), annotations: o.GetAnnotations()}
	if spec, ok := o.Object["spec"].(map[string]any); ok {
		if n, ok := spec["minReplicaCount"].(int64); ok {
			b.set, b.value = true, int32(n)
		}
	}
	b.patch = func(ctx context.Context, raw []byte) error {
		_, err := objects.Patch(ctx, name, types.JSONPatchType, raw, kube.Patching)
		return err
	}
	return b, nil
}
