// Package apply brings the objects of a release's manifests into the cluster: it
// asks for everything in a dry run first, applies server-side with a field
// manager of its own, waits until each object is ready, and gives back what was
// there when a release is aborted.
package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/manifest"
)

// FieldManager owns the fields that manifests set. The fields that a rollout
// writes meanwhile have kube.FieldManager, which gives them up at its end.
const FieldManager = "candlefish-deploy-manifests"

// A Client applies objects to one namespace.
type Client struct {
	cluster   *kube.Cluster
	mapper    meta.ResettableRESTMapper
	namespace string
	force     bool
}

// New returns a Client for the objects of a namespace. With force it takes the
// fields that another field manager owns.
func New(c *kube.Cluster, namespace string, force bool) *Client {
	return &Client{
		cluster: c, namespace: namespace, force: force,
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.Typed.Discovery())),
	}
}

// A ConflictError says that other field managers own fields with other values.
type ConflictError struct {
	Object string
	Causes []string // field and manager
	ours   bool     // all of them are our own rollout's
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s: %s; set force-conflicts to take them", e.Object, strings.Join(e.Causes, "; "))
}

// patience bounds the answer to one request, with all that a busy API server asks
// to repeat.
const patience = time.Minute

// unknownField begins the API server's answer to fields that no schema has. It
// has the status of an internal error, which would be tried again.
const unknownField = "failed to create typed patch object"

// An InvalidError says that an object has fields that its kind does not have.
type InvalidError struct{ Object, Message string }

func (e *InvalidError) Error() string { return e.Object + ": " + e.Message }

// answered reports whether an error is an answer about the object itself.
func answered(err error) bool {
	var conflict *ConflictError
	var invalid *InvalidError
	return errors.As(err, &conflict) || errors.As(err, &invalid)
}

// resource returns the API of an object's kind.
func (a *Client) resource(o manifest.Object) (dynamic.ResourceInterface, error) {
	version, err := schema.ParseGroupVersion(o.APIVersion())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	mapping, err := a.mapper.RESTMapping(schema.GroupKind{Group: version.Group, Kind: o.Kind()}, version.Version)
	if err != nil {
		return nil, fmt.Errorf("find the API of %s: %w", o, err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return a.cluster.Dynamic.Resource(mapping.Resource).Namespace(a.namespace), nil
	}
	return a.cluster.Dynamic.Resource(mapping.Resource), nil
}

// get reads an object, nil if it does not exist.
func (a *Client) get(ctx context.Context, o manifest.Object) (live map[string]any, err error) {
	api, err := a.resource(o)
	if err != nil {
		return nil, err
	}
	err = kube.Retry(ctx, func(ctx context.Context) error {
		got, err := api.Get(ctx, o.Name(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err == nil {
			live = got.Object
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o, err)
	}
	return live, nil
}

// apply applies an object server-side, or asks what it would become.
func (a *Client) apply(ctx context.Context, o manifest.Object, dryRun bool) (result map[string]any, err error) {
	result, err = a.applyAs(ctx, o, dryRun, a.force)
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		return result, err
	}
	if !conflict.ours {
		live, getErr := a.get(ctx, o)
		forced, forceErr := a.applyAs(ctx, o, true, true)
		if cmp.Or(getErr, forceErr) != nil || conflict.changes(manifest.Changes(live, forced)) {
			return nil, err
		}
	}
	return a.applyAs(ctx, o, dryRun, true)
}

// changes keeps the causes of a conflict that are about a change, given as the
// lines of a diff, and reports whether there are any. The API server also reports
// one if the values are equal but for the defaults of a custom resource.
func (e *ConflictError) changes(lines []string) bool {
	e.Causes = slices.DeleteFunc(e.Causes, func(cause string) bool {
		field, _, _ := strings.Cut(strings.TrimPrefix(cause, "."), " ")
		field = itemName.ReplaceAllString(field, "[$1]")
		if strings.Contains(field, "=") {
			field, _, _ = strings.Cut(field, "[") // an item by other keys: the whole list
		}
		return !slices.ContainsFunc(lines, func(line string) bool {
			path, _, _ := strings.Cut(line[2:], ": ")
			rest, below := strings.CutPrefix(path, field)
			_, above := strings.CutPrefix(field, path)
			return below && (rest == "" || strings.ContainsAny(rest[:1], ".[")) || above
		})
	})
	return len(e.Causes) > 0
}

// itemName is how the API server names an item of a list that has a name.
var itemName = regexp.MustCompile(`\[name="([^"]*)"\]`)

func (a *Client) applyAs(ctx context.Context, o manifest.Object, dryRun, force bool) (result map[string]any, err error) {
	api, err := a.resource(o)
	if err != nil {
		return nil, err
	}
	options := metav1.ApplyOptions{FieldManager: FieldManager, Force: force}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = kube.Retry(ctx, func(ctx context.Context) error {
		got, err := api.Apply(ctx, o.Name(), &unstructured.Unstructured{Object: o.Clone().Fields}, options)
		if conflict := conflictOf(o, err); conflict != nil {
			return conflict
		}
		if err != nil && strings.Contains(err.Error(), unknownField) {
			return &InvalidError{Object: o.String(), Message: err.Error()}
		}
		if err == nil {
			result = got.Object
		}
		return err
	})
	if err != nil && !answered(err) {
		err = fmt.Errorf("apply %s: %w", o, err)
	}
	return result, err
}

// conflictOf returns the conflict of field managers in an answer, nil for none. A
// plain conflict of versions is none; it is tried again.
func conflictOf(o manifest.Object, err error) *ConflictError {
	var status apierrors.APIStatus
	if !apierrors.IsConflict(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	c := &ConflictError{Object: o.String(), ours: true}
	for _, cause := range status.Status().Details.Causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		manager := strings.TrimPrefix(cause.Message, "conflict with ")
		c.ours = c.ours && strings.HasPrefix(manager, fmt.Sprintf("%q", kube.FieldManager))
		c.Causes = append(c.Causes, fmt.Sprintf("%s has another value by %s", cause.Field, manager))
	}
	if len(c.Causes) == 0 {
		return nil
	}
	slices.Sort(c.Causes)
	return c
}

// remove deletes an object with what it owns. An
// object that is gone needs nothing.
func (a *Client) remove(ctx context.Context, o manifest.Object) error {
	api, err := a.resource(o)
	if meta.IsNoMatchError(err) {
		return nil // its definition is gone, and all objects with it
	}
	if err != nil {
		return err
	}
	policy := metav1.DeletePropagationBackground
	err = kube.Retry(ctx, func(ctx context.Context) error {
		err := api.Delete(ctx, o.Name(), metav1.DeleteOptions{PropagationPolicy: &policy})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete %s: %w", o, err)
	}
	return nil
}

// Managed reports whether this tool applied an object that exists, and nobody took
// its fields since. An object without fields of its own has no managers at all.
func Managed(live map[string]any) bool {
	others := false
	for _, f := range (&unstructured.Unstructured{Object: live}).GetManagedFields() {
		if f.Manager == FieldManager {
			return true
		}
		others = others || f.Subresource == ""
	}
	return live != nil && !others
}
