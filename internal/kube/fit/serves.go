package fit

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/router"
)

// Serves reports whether the cluster has a kind of object. Where it does not say,
// a list of the objects does.
func Serves(ctx context.Context, c *kube.Cluster, kind router.Kind) bool {
	exists := true
	_ = kube.Retry(ctx, func(context.Context) error {
		list, err := c.Typed.Discovery().ServerResourcesForGroupVersion(GroupVersion(kind))
		if apierrors.IsNotFound(err) {
			exists = false
			return nil
		}
		if err == nil {
			exists = slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == kind.Resource })
		}
		return err
	})
	return exists
}

// GroupVersion returns the group and version of a kind as the API's paths have them.
func GroupVersion(kind router.Kind) string {
	return strings.TrimPrefix(kind.Group+"/"+kind.Version, "/")
}
