// Package fields gives up our ownership of fields in managedFields, where they have
// the user's values again: the user's next server-side apply meets no conflict.
package fields

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/kube"
)

// Disown returns the patch that removes our field manager from an object, an
// empty patch if it owns nothing there. The fields and their values stay.
func Disown(obj metav1.Object) jsonpatch.Patch {
	patch := jsonpatch.Guarded(obj.GetResourceVersion())
	fields := obj.GetManagedFields()
	for i := len(fields) - 1; i >= 0; i-- { // from the end: each removal moves the later ones
		if fields[i].Manager == kube.FieldManager && fields[i].Subresource == "" {
			patch = patch.Remove(fmt.Sprintf("/metadata/managedFields/%d", i))
		}
	}
	return patch
}

// GiveUp removes our field manager from the object that get reads and patch
// patches. An object that is gone needs nothing.
func GiveUp[T metav1.Object](ctx context.Context, get func(context.Context) (T, error), patch func(context.Context, []byte) error) error {
	return kube.Retry(ctx, func(ctx context.Context) error {
		obj, err := get(ctx)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if p := Disown(obj); !p.Empty() {
			return patch(ctx, p.JSON())
		}
		return nil
	})
}
