package routes

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/fields"
	"github.com/candlefish/deploy-action/internal/router"
)

// A companion is an object that a release keeps beside a route.
type companion struct {
	of     kube.Watched
	object *unstructured.Unstructured
}

// String names the companion as messages do.
func (c companion) String() string {
	return fmt.Sprintf("%s %s/%s", c.of.Kind, c.of.Namespace, c.object.GetName())
}

// A writtenObject is this process's last write of a companion, the reference for
// drift.
type writtenObject struct {
	companion
	version string // the resource version after the write
}

func companionKinds(r route) []router.Kind {
	if c, ok := r.router.(router.Companied); ok {
		return c.CompanionKinds()
	}
	return nil
}

// companions returns what a route needs beside it for a split, with our labels.
func (r *Set) companions(route route, live router.Object, to router.Split) ([]companion, error) {
	of, ok := route.router.(router.Companied)
	if !ok {
		return nil, nil
	}
	objects, err := of.Companions(live, route.Route, to)
	var list []companion
	for _, o := range objects {
		object := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(o.Object)}
		list = append(list, companion{kube.Watched{Kind: o.Kind, Namespace: route.namespace}, r.mark(object, route.namespace)})
	}
	return list, err
}

// writeBeside gives a route what it needs beside it, before its own patch. A route
// as the user wrote it needs nothing: what exists then leads to stable alone, until
// Remove.
func (r *Set) writeBeside(ctx context.Context, route route, live router.Object, to router.Split) error {
	original := to.Weight == router.Original
	if original {
		to.Weight = 0
	}
	wanted, err := r.companions(route, live, to)
	if err != nil {
		return err
	}
	for _, c := range wanted {
		if err := r.writeCompanion(ctx, c, !original); err != nil {
			return fmt.Errorf("write %s beside it: %w", c, err)
		}
	}
	return nil
}

// writeCompanion creates a companion, or changes the one of this target that
// exists.
func (r *Set) writeCompanion(ctx context.Context, c companion, create bool) error {
	client := r.client(c.of)
	live, err := client.Get(ctx, c.object.GetName(), metav1.GetOptions{})
	created := apierrors.IsNotFound(err)
	switch {
	case created && !create:
		return nil
	case created:
		live, err = client.Create(ctx, c.object, kube.Creating)
		if apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("%w: another client created it", kube.ErrNotYet)
		}
	case err == nil && !r.isOurs(live):
		return fmt.Errorf("it exists and does not belong to this rollout: rename it")
	case err == nil:
		if patch := changes(live, c.object); !patch.Empty() {
			live, err = client.Patch(ctx, c.object.GetName(), types.JSONPatchType, patch.JSON(), kube.Patching)
		}
	}
	if err != nil {
		return err
	}
	if created { // before the watch has it, it would look deleted
		err := r.watch.Until(ctx, func(context.Context) error {
			if r.watch.Object(c.of, c.object.GetName()) == nil {
				return fmt.Errorf("%w: the watch is behind", kube.ErrNotYet)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.beside[c.String()] = writtenObject{c, live.GetResourceVersion()}
	return nil
}

// changes returns the patch that gives a live object what is wanted. Annotations
// and labels of others stay.
func changes(live, wanted *unstructured.Unstructured) jsonpatch.Patch {
	patch := jsonpatch.Guarded(live.GetResourceVersion())
	for _, key := range slices.Sorted(maps.Keys(wanted.Object)) {
		switch key {
		case "apiVersion", "kind", "metadata", "status":
		default:
			if !within(wanted.Object[key], live.Object[key]) {
				patch = patch.Add(jsonpatch.Pointer(key), wanted.Object[key])
			}
		}
	}
	for field, both := range map[string][2]map[string]string{
		"annotations": {wanted.GetAnnotations(), live.GetAnnotations()},
		"labels":      {wanted.GetLabels(), live.GetLabels()},
	} {
		if both[1] == nil && both[0] != nil {
			patch = patch.Add(jsonpatch.Pointer("metadata", field), both[0])
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(both[0])) {
			if both[1][key] != both[0][key] {
				patch = patch.Add(jsonpatch.Pointer("metadata", field, key), both[0][key])
			}
		}
	}
	return patch
}

// within reports whether an object has all that is wanted, beside what the API
// server or others added.
func within(wanted, have any) bool {
	switch wanted := wanted.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		for key := range wanted {
			if !ok || !within(wanted[key], have[key]) {
				return false
			}
		}
		return ok
	case []any:
		have, ok := have.([]any)
		if !ok || len(have) != len(wanted) {
			return false
		}
		for i := range wanted {
			if !within(wanted[i], have[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(wanted, have)
}

// sameContent reports whether a live object has what a companion says, whichever
// run wrote it.
func sameContent(c companion, live *unstructured.Unstructured) bool {
	wanted := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(c.object.Object)}
	annotations := wanted.GetAnnotations()
	delete(annotations, kube.AnnotationRun)
	wanted.SetAnnotations(annotations)
	return changes(live, wanted).Empty()
}

// allAmong reports whether every companion is live as it says.
func allAmong(wanted []companion, live []unstructured.Unstructured) bool {
	for _, c := range wanted {
		if !slices.ContainsFunc(live, func(l unstructured.Unstructured) bool {
			return l.GetKind() == c.of.Kind.Name && l.GetName() == c.object.GetName() && sameContent(c, &l)
		}) {
			return false
		}
	}
	return true
}

// besideDrift returns who changed what this process wrote beside the routes, or "".
func besideDrift(r *Set) string {
	for _, name := range slices.Sorted(maps.Keys(r.beside)) {
		w := r.beside[name]
		live := r.watch.Object(w.of, w.object.GetName())
		switch {
		case live == nil:
			return name + " was deleted"
		case kube.NotOlder(live.GetResourceVersion(), w.version) && !sameContent(w.companion, live):
			return fmt.Sprintf("%s changed %s", fields.Writer(live), name)
		}
	}
	return ""
}

// Remove deletes what the release made: routes, and what is beside the routes. It
// runs when the canary has no traffic and no pods any more.
func (r *Set) Remove(ctx context.Context) error {
	return r.each(ctx, "remove what the release made beside", func(ctx context.Context, route route) error {
		if route.Created {
			if err := removeMade(ctx, r, route); err != nil {
				return err
			}
		}
		beside, err := r.besideOf(ctx, route)
		if err != nil {
			return err
		}
		for i := range beside {
			if err := r.remove(ctx, kube.Watched{Kind: kindOf(route, beside[i].GetKind()), Namespace: route.namespace}, &beside[i]); err != nil {
				return err
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		clear(r.beside)
		return nil
	})
}

// removeMade deletes a route that the release made.
func removeMade(ctx context.Context, r *Set, route route) error {
	live, err := r.get(ctx, route, false)
	if apierrors.IsNotFound(err) || err == nil && !r.isOurs(live) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.remove(ctx, route.watched(), live)
}

// kindOf returns the kind of a route's companions with a name.
func kindOf(route route, name string) router.Kind {
	kinds := companionKinds(route)
	return kinds[slices.IndexFunc(kinds, func(k router.Kind) bool { return k.Name == name })]
}
