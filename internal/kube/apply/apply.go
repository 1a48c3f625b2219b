package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/manifest"
)

// refusal returns an answer of the API server as a sentence that begins with what;
// other errors it returns as they are. A conflict is an answer.
func refusal(what string, err error) (sentence string, _ error) {
	var status apierrors.APIStatus
	if err == nil || !answered(err) && (!errors.As(err, &status) || kube.IsTransient(err)) {
		return "", err
	}
	return fmt.Sprintf("%s: %v", what, err), nil
}

// Before applies what the new pods need, each when the one before it is ready;
// limit bounds the wait for one.
func (a *Client) Before(ctx context.Context, b Bundle, limit time.Duration, say func(string)) error {
	return a.each(ctx, b, true, limit, say)
}

// After applies the rest once the new version has taken over, and removes what is
// to be pruned.
func (a *Client) After(ctx context.Context, b Bundle, limit time.Duration, say func(string)) error {
	if err := a.each(ctx, b, false, limit, say); err != nil {
		return err
	}
	for _, r := range slices.Backward(b.Prune) {
		if err := a.remove(ctx, r.object()); err != nil {
			return err
		}
		say(r.String() + " was deleted")
	}
	return nil
}

func (a *Client) each(ctx context.Context, b Bundle, before bool, limit time.Duration, say func(string)) error {
	for _, i := range b.Items {
		if i.Before != before {
			continue
		}
		o := i.object()
		if _, err := a.apply(ctx, o, false); err != nil {
			return err
		}
		say(o.String() + " was applied")
		if err := a.wait(ctx, o, limit); err != nil {
			return err
		}
		if o.Kind() == "CustomResourceDefinition" {
			a.mapper.Reset() // its objects have an API now
		}
	}
	return nil
}

// kept are the kinds whose removal loses what no manifest brings back.
var kept = []string{"Namespace", "CustomResourceDefinition", "PersistentVolumeClaim", "PersistentVolume"}

// Undo gives back what Before changed, the last one first: an object that did not
// exist is deleted, unless data would go with it; another one gets its values
// back. What was not applied is left alone. Copies go with Collect.
func (a *Client) Undo(ctx context.Context, b Bundle, say func(string)) error {
	back := *a
	back.force = true // these are the values that were there
	for _, i := range slices.Backward(b.Items) {
		o := i.object()
		live, err := a.get(ctx, o)
		if meta.IsNoMatchError(err) {
			continue // its definition never came
		}
		if err != nil {
			return err
		}
		switch {
		case !i.Before || o.Annotation(manifest.AnnotationCopyOf) != "" || !Managed(live):
		case i.Created && slices.Contains(kept, o.Kind()):
			say(o.String() + " stays: what it holds would be lost")
		case i.Created:
			if err := a.remove(ctx, o); err != nil {
				return err
			}
			say(o.String() + " was deleted")
		default:
			if _, err := back.apply(ctx, manifest.Object{Fields: i.Undo}, false); err != nil {
				return err
			}
			say(o.String() + " is as before")
		}
	}
	return nil
}

// prunes adds what the last release applied and this one does not have.
func (a *Client) prunes(ctx context.Context, p *Plan, q Query) {
	for _, r := range q.Previous {
		if slices.ContainsFunc(p.Inventory, r.same) || r.object().Is("apps", "Deployment") && r.Name == q.Deployment.Name {
			continue
		}
		live, err := a.get(ctx, r.object())
		if err != nil {
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s was applied by an earlier release and cannot be read: %v; it stays", r, err))
			p.Inventory = append(p.Inventory, r)
			continue
		}
		if live == nil {
			continue // it is gone, or its kind is
		}
		if (manifest.Object{Fields: live}).Annotation(manifest.AnnotationCopyOf) != "" {
			continue // it goes when no revision reads it
		}
		switch {
		case !q.Prune:
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s was applied by an earlier release and is no longer in the manifests; prune removes it", r))
			p.Inventory = append(p.Inventory, r)
		case slices.Contains(kept, r.Kind):
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s is no longer in the manifests, and prune never deletes a %s", r, r.Kind))
		case !Managed(live):
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s is no longer in the manifests, and somebody else has applied it since: it stays", r))
		default:
			p.Prune = append(p.Prune, r)
			p.Diff = append(p.Diff, Difference{Object: r.String(), When: whenEnd, Verb: "delete"})
		}
	}
}

// Collect deletes the copies of a Deployment's releases that no Deployment and no
// revision in a history reads any more.
func Collect(ctx context.Context, c *kube.Cluster, namespace, deployment string) error {
	read, err := readCopies(ctx, c, namespace)
	if err != nil {
		return fmt.Errorf("find the revisions that read a copy: %w", err)
	}
	options := metav1.ListOptions{LabelSelector: manifest.LabelCopy + "=" + deployment}
	err = kube.Retry(ctx, func(ctx context.Context) error {
		maps, err := c.Typed.CoreV1().ConfigMaps(namespace).List(ctx, options)
		if err != nil {
			return err
		}
		for _, m := range maps.Items {
			if uid := m.UID; !read[manifest.Reference{Kind: "ConfigMap", Name: m.Name}] {
				if err := c.Typed.CoreV1().ConfigMaps(namespace).Delete(ctx, m.Name, exactly(uid)); err != nil && !apierrors.IsNotFound(err) {
					return err
				}
			}
		}
		secrets, err := c.Typed.CoreV1().Secrets(namespace).List(ctx, options)
		if apierrors.IsForbidden(err) {
			return nil // then no release could have copied one
		}
		if err != nil {
			return err
		}
		for _, s := range secrets.Items {
			if uid := s.UID; !read[manifest.Reference{Kind: "Secret", Name: s.Name}] {
				if err := c.Typed.CoreV1().Secrets(namespace).Delete(ctx, s.Name, exactly(uid)); err != nil && !apierrors.IsNotFound(err) {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete the copies that nothing reads in namespace %s: %w", namespace, err)
	}
	return nil
}

func exactly(uid types.UID) metav1.DeleteOptions {
	return metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
}

// readCopies returns what the pod templates of Deployments and ReplicaSets read. A
// ReplicaSet whose Deployment is gone is about to go, too.
func readCopies(ctx context.Context, c *kube.Cluster, namespace string) (map[manifest.Reference]bool, error) {
	read := map[manifest.Reference]bool{}
	note := func(template any) error {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(template)
		for _, r := range manifest.References(fields) {
			read[r] = true
		}
		return err
	}
	err := kube.Retry(ctx, func(ctx context.Context) error {
		deployments, err := c.Typed.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		sets, err := c.Typed.AppsV1().ReplicaSets(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		there := map[types.UID]bool{}
		for i := range deployments.Items {
			d := &deployments.Items[i]
			there[d.UID] = d.DeletionTimestamp == nil
			if err := note(&d.Spec.Template); err != nil {
				return err
			}
		}
		for i := range sets.Items {
			owner := metav1.GetControllerOf(&sets.Items[i])
			if owner != nil && owner.Kind == "Deployment" && !there[owner.UID] {
				continue
			}
			if err := note(&sets.Items[i].Spec.Template); err != nil {
				return err
			}
		}
		return nil
	})
	return read, err
}
