package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/manifest"
)

// A Query says what a release's manifests are for.
type Query struct {
	Objects      []manifest.Object // checked, with the images of the release
	Deployment   *appsv1.Deployment
	VersionLabel string
	// Scaled: an autoscaler owns the number of the Deployment's pods.
	Scaled bool
	// Previous is what the last release applied; it is what prune can remove.
	Previous []Ref
	Prune    bool
}

// A Plan is what the manifests of a release would change. It is the answer of the
// API server to dry runs; nothing was changed.
type Plan struct {
	Bundle
	// Template is the released pod template, nil if the live one is the same.
	Template *corev1.PodTemplateSpec
	// Containers are those of the released pod template.
	Pod corev1.PodSpec
	// Refusals prevent the release, Warnings do not.
	Refusals, Warnings []string
	// Diff is the whole difference to what is live, for people.
	Diff []Difference
}

// A Difference is what becomes of one object.
type Difference struct {
	Object string
	When   string // "before the first new pod", "with the new pods", "at the end"
	Verb   string // create, change or delete
	Lines  []string
}

// The times of a Difference.
const (
	whenBefore = "before the first new pod"
	whenPods   = "with the new pods"
	whenEnd    = "at the end"
)

// Plan asks the API server in dry runs what the manifests would change. The error
// is one of the connection; what the cluster refuses is in the plan.
func (a *Client) Plan(ctx context.Context, q Query) (*Plan, error) {
	p := &Plan{}
	workload, rest := split(q)
	template := workload.Template()
	if template == nil {
		p.Refusals = append(p.Refusals, fmt.Sprintf("deployment %s has no pod template in the manifests", q.Deployment.Name))
		return p, nil
	}
	rewritten, copies := manifest.Copies(template, q.Objects, q.Deployment.Name)
	if err := a.pods(ctx, p, q, rewritten); err != nil {
		return nil, err
	}
	labels, _ := workload.Value("spec", "template", "metadata", "labels").(map[string]any)
	for _, o := range copies {
		if err := a.plan(ctx, p, o, q, func(bool) bool { return true }); err != nil {
			return nil, err
		}
	}
	for _, o := range manifest.Order(rest) {
		copied := slices.ContainsFunc(copies, func(c manifest.Object) bool {
			return c.Kind() == o.Kind() && c.Annotation(manifest.AnnotationCopyOf) == o.Name()
		})
		before := func(exists bool) bool { return !copied && o.Before(exists, labels) }
		if err := a.plan(ctx, p, o, q, before); err != nil {
			return nil, err
		}
	}
	if err := a.plan(ctx, p, workloadRest(workload, q.Scaled), q, func(bool) bool { return false }); err != nil {
		return nil, err
	}
	p.Warnings = append(p.Warnings, inPlace(q, copies)...)
	a.prunes(ctx, p, q)
	return p, nil
}

// split returns the released Deployment and all other objects.
func split(q Query) (workload manifest.Object, rest []manifest.Object) {
	for _, o := range q.Objects {
		if o.Is("apps", "Deployment") && o.Name() == q.Deployment.Name {
			workload = o
			continue
		}
		rest = append(rest, o)
	}
	return workload, rest
}

// workloadRest returns what of the released Deployment is applied at the end: all
// but the pods, which it has by then. So it can't start a second roll.
func workloadRest(o manifest.Object, scaled bool) manifest.Object {
	o = o.Clone()
	if spec, ok := o.Fields["spec"].(map[string]any); ok {
		delete(spec, "template")
		delete(spec, "paused")
		if scaled {
			delete(spec, "replicas")
		}
	}
	return o
}

// restarted is the annotation of kubectl rollout restart, which is no setting.
const restarted = "kubectl.kubernetes.io/restartedAt"

// pods asks what the pod template becomes, and compares it with the live one.
func (a *Client) pods(ctx context.Context, p *Plan, q Query, template map[string]any) error {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{GenerateName: q.Deployment.Name + "-", Namespace: a.namespace}, Spec: *q.Deployment.Spec.DeepCopy()}
	d.Spec.Template = corev1.PodTemplateSpec{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(template, &d.Spec.Template, true); err != nil {
		p.Refusals = append(p.Refusals, fmt.Sprintf("the pod template of deployment %s: %v", q.Deployment.Name, err))
		return nil
	}
	live := *q.Deployment.Spec.Template.DeepCopy()
	if at, ok := live.Annotations[restarted]; ok && d.Spec.Template.Annotations[restarted] == "" {
		d.Spec.Template.Annotations = kube.With(d.Spec.Template.Annotations, restarted, at)
	}
	if value, ok := d.Spec.Template.Labels[q.VersionLabel]; ok && value != live.Labels[q.VersionLabel] {
		p.Refusals = append(p.Refusals, fmt.Sprintf("the pods in the manifests have the label %s=%s, which a release needs to tell its versions: leave it out, or choose another label with version-label", q.VersionLabel, value))
		return nil
	}
	var stored *appsv1.Deployment
	err := kube.Retry(ctx, func(ctx context.Context) (err error) {
		stored, err = a.cluster.Typed.AppsV1().Deployments(a.namespace).Create(ctx, d, metav1.CreateOptions{FieldManager: FieldManager, DryRun: []string{metav1.DryRunAll}})
		return err
	})
	if refused, err := refusal("the API server refuses the pod template of deployment "+q.Deployment.Name, err); err != nil || refused != "" {
		p.Refusals = append(p.Refusals, refused)
		return err
	}
	next := stored.Spec.Template
	delete(next.Labels, q.VersionLabel)
	delete(live.Labels, q.VersionLabel)
	p.Pod = next.Spec
	if equality.Semantic.DeepEqual(live, next) {
		return nil
	}
	p.Template = &next
	lines, err := templateChanges(live, next)
	p.Diff = append(p.Diff, Difference{Object: "deployment " + q.Deployment.Name + ", its pods", When: whenPods, Verb: "change", Lines: lines})
	return err
}

func templateChanges(before, after corev1.PodTemplateSpec) ([]string, error) {
	var maps [2]map[string]any
	for i, t := range []corev1.PodTemplateSpec{before, after} {
		raw, err := json.Marshal(t)
		if err == nil {
			err = json.Unmarshal(raw, &maps[i])
		}
		if err != nil {
			return nil, fmt.Errorf("compare pod templates: %w", err)
		}
	}
	return manifest.Changes(maps[0], maps[1]), nil
}

// plan asks what an object becomes, and adds it to the plan if that is a change.
func (a *Client) plan(ctx context.Context, p *Plan, o manifest.Object, q Query, before func(exists bool) bool) error {
	p.Inventory = append(p.Inventory, refOf(o))
	live, err := a.get(ctx, o)
	if meta.IsNoMatchError(err) && defined(o, q.Objects) {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s is checked only after its definition, which the manifests have, is there", o))
		p.add(Item{Fields: o.Fields, Created: true, Before: before(false)}, manifest.Changes(nil, o.Fields))
		return nil
	}
	if meta.IsNoMatchError(err) {
		p.Refusals = append(p.Refusals, fmt.Sprintf("%s: %s: the cluster has no kind %s of %s", o.At, o, o.Kind(), o.APIVersion()))
		return nil
	}
	if refused, err := refusal(o.At.String(), err); err != nil || refused != "" {
		p.Refusals = append(p.Refusals, refused)
		return err
	}
	result, err := a.apply(ctx, o, true)
	if refused, err := refusal(o.At.String(), err); err != nil || refused != "" {
		p.Refusals = append(p.Refusals, refused)
		return err
	}
	if live == nil {
		p.add(Item{Fields: o.Fields, Created: true, Before: before(false)}, manifest.Changes(nil, o.Fields))
		return nil
	}
	if lines := manifest.Changes(live, result); len(lines) > 0 {
		p.add(Item{Fields: o.Fields, Undo: manifest.Undo(o.Fields, live), Before: before(true)}, lines)
	}
	return nil
}

// add adds an item and its difference.
func (p *Plan) add(i Item, lines []string) {
	p.Items = append(p.Items, i)
	d := Difference{Object: i.object().String(), When: whenEnd, Verb: "change", Lines: lines}
	if i.Before {
		d.When = whenBefore
	}
	if i.Created {
		d.Verb = "create"
	}
	p.Diff = append(p.Diff, d)
}

// defined reports whether a definition among the objects makes an object's kind.
func defined(o manifest.Object, all []manifest.Object) bool {
	return slices.ContainsFunc(all, func(d manifest.Object) bool {
		return d.Kind() == "CustomResourceDefinition" && d.Value("spec", "group") == o.Group() && d.Value("spec", "names", "kind") == o.Kind()
	})
}

// inPlace warns of configuration that no rollback can bring back: the live pods
// read it by a name that does not tell its content.
func inPlace(q Query, copies []manifest.Object) (warnings []string) {
	live, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&q.Deployment.Spec.Template)
	if err != nil {
		return nil
	}
	for _, r := range manifest.References(live) {
		copied := slices.ContainsFunc(copies, func(c manifest.Object) bool { return c.Kind() == r.Kind && c.Name() == r.Name })
		original := slices.ContainsFunc(copies, func(c manifest.Object) bool {
			return c.Kind() == r.Kind && c.Annotation(manifest.AnnotationCopyOf) == r.Name
		})
		switch {
		case copied:
		case original:
			warnings = append(warnings, fmt.Sprintf("the live pods read %s under its own name, which this release changes at its end: neither command: rollback nor kubectl rollout undo can bring its content back after that", r))
		}
	}
	return warnings
}
