package kube

import (
	"context"
	"fmt"
	"maps"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
)

// The options of our writes, with our field manager.
var (
	Creating = metav1.CreateOptions{FieldManager: FieldManager}
	Patching = metav1.PatchOptions{FieldManager: FieldManager}
)

// LastWriter returns the field manager of the newest change to obj that is not
// ours and not to the status.
func LastWriter(obj metav1.Object) string {
	var newest time.Time
	name := "another writer"
	for _, f := range obj.GetManagedFields() {
		if f.Manager == FieldManager || f.Subresource != "" || f.Time == nil || f.Time.Time.Before(newest) {
			continue
		}
		newest, name = f.Time.Time, fmt.Sprintf("field manager %q", f.Manager)
	}
	return name
}

// With returns a copy of m with one more key.
func With(m map[string]string, key, value string) map[string]string {
	c := maps.Clone(m)
	if c == nil {
		c = map[string]string{}
	}
	c[key] = value
	return c
}

// Disown returns the patch that removes our field manager from an object, an
// empty patch if it owns nothing there. The fields and their values stay.
func Disown(obj metav1.Object) jsonpatch.Patch {
	patch := jsonpatch.Guarded(obj.GetResourceVersion())
	fields := obj.GetManagedFields()
	for i := len(fields) - 1; i >= 0; i-- { // from the end: each removal moves the later ones
		if fields[i].Manager == FieldManager && fields[i].Subresource == "" {
			patch = patch.Remove(fmt.Sprintf("/metadata/managedFields/%d", i))
		}
	}
	return patch
}

// GiveUp removes our field manager from the object that get reads and patch
// patches. An object that is gone needs nothing.
func GiveUp[T metav1.Object](ctx context.Context, get func(context.Context) (T, error), patch func(context.Context, []byte) error) error {
	return Retry(ctx, func(ctx context.Context) error {
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
