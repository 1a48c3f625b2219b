package kube

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Target is one Deployment with its Services and routes under one rollout.
// It implements rollout.Target.
type Target struct {
	cluster *Cluster
	record  *Record
	lease   *Lease
	watch   *watch

	mu      sync.Mutex
	written map[string]writtenRoute // by route
	// template is what this run last made of the user's pod template.
	template           *corev1.PodTemplateSpec
	templateGeneration int64
	wanted             int // canary pods that this run asked for; the watch may lag behind
	wasReady           map[types.UID]bool
	failure            *PodFailure // as it was before the pods were removed
}

// NewTarget watches the objects of record. Stop it with Close.
func (c *Cluster) NewTarget(ctx context.Context, record *Record, lease *Lease) (*Target, error) {
	w, err := c.newWatch(ctx, record.Namespace)
	if err != nil {
		return nil, fmt.Errorf("watch namespace %s: %w", record.Namespace, err)
	}
	record.Schema, record.Token = recordSchema, lease.Token
	return &Target{cluster: c, record: record, lease: lease, watch: w, written: map[string]writtenRoute{}, wasReady: map[types.UID]bool{}}, nil
}

// Close ends the watches.
func (t *Target) Close() { t.watch.stop() }

// Record is the newest record. It is not to be changed.
func (t *Target) Record() *Record { return t.record }

// Changed is signalled after a watched object has changed.
func (t *Target) Changed() <-chan struct{} { return t.watch.changed }

// Save records the state, fenced by the lease.
func (t *Target) Save(ctx context.Context, s rollout.State) error {
	t.record.State = s
	return t.cluster.saveRecord(ctx, t.record)
}

// Do carries out one action of a rollout.
func (t *Target) Do(ctx context.Context, a rollout.Action, s rollout.State) error {
	switch a.Kind {
	case rollout.KindPrepare:
		return t.prepare(ctx)
	case rollout.KindScale:
		if err := t.scale(ctx, t.record.Plan.Steps[s.Sized].Weight); err != nil || s.Sized > 0 {
			return err
		}
		return t.openReach(ctx)
	case rollout.KindWeight:
		// The fence is looked at where it matters most: nobody may
		// change traffic under another run's feet.
		if err := t.lease.Check(ctx); err != nil {
			return err
		}
		if err := t.writeRoutes(ctx, a.Weight); err != nil {
			return err
		}
		return t.closeReach(ctx)
	case rollout.KindHandOver:
		if err := t.lease.Check(ctx); err != nil {
			return err
		}
		return t.handOver(ctx)
	case rollout.KindReturn:
		return t.writeRoutes(ctx, 0)
	case rollout.KindWarm:
		return t.warm(ctx)
	case rollout.KindUnwarm:
		return t.aimSecondService(ctx, t.hashSelector(t.record.Canary.Hash))
	case rollout.KindRestore:
		return t.restore(ctx)
	}
	return fmt.Errorf("unknown action %d", a.Kind)
}

func (t *Target) deployments() deploymentClient {
	return t.cluster.typed.AppsV1().Deployments(t.record.Namespace)
}

func (t *Target) routes() dynamic.ResourceInterface {
	return t.cluster.dynamic.Resource(routeResource).Namespace(t.record.Namespace)
}

// prepare makes the user's pods tellable from the trial's before the trial
// exists: first the label on the pods, then the selectors that ask for it,
// then the second Service. The order is what keeps every Service filled.
func (t *Target) prepare(ctx context.Context) error {
	if err := t.setRole(ctx, t.record.Deployment, t.record.Stable.ReplicaSet, role(rollout.SideStable)); err != nil {
		return err
	}
	for _, s := range t.record.Services {
		selector := maps.Clone(s.Selector)
		selector[t.record.VersionLabel] = string(rollout.SideStable)
		if err := t.setSelector(ctx, s.Name, selector); err != nil {
			return err
		}
	}
	return t.createSecondService(ctx)
}

// hashSelector narrows the user's selector to one ReplicaSet's pods. The hash
// is on every pod from its birth and never changes, which makes it the bridge
// while role labels change hands.
func (t *Target) hashSelector(hash string) map[string]string {
	return t.narrowed(appsv1.DefaultDeploymentUniqueLabelKey, hash)
}

func (t *Target) roleSelector(side rollout.Side) map[string]string {
	return t.narrowed(t.record.VersionLabel, string(side))
}

func (t *Target) narrowed(key, value string) map[string]string {
	for _, s := range t.record.Services {
		if s.Name == t.record.Service {
			selector := maps.Clone(s.Selector)
			selector[key] = value
			return selector
		}
	}
	panic("kube: record without its own Service")
}

func (t *Target) setSelector(ctx context.Context, name string, selector map[string]string) error {
	services := t.cluster.typed.CoreV1().Services(t.record.Namespace)
	err := steadily(ctx, func(ctx context.Context) error {
		service, err := services.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if maps.Equal(service.Spec.Selector, selector) {
			return nil
		}
		_, err = services.Patch(ctx, name, types.JSONPatchType, jsonPatch(
			op{"replace", "/metadata/resourceVersion", service.ResourceVersion},
			op{"replace", "/spec/selector", selector},
		), metav1.PatchOptions{FieldManager: FieldManager})
		return err
	})
	if err != nil {
		return fmt.Errorf("set the selector of service %s/%s to %s: %w", t.record.Namespace, name, labels.FormatLabels(selector), err)
	}
	return nil
}

// createSecondService makes the Service of the trial: the user's ports, its
// selector narrowed to the canary's role.
func (t *Target) createSecondService(ctx context.Context) error {
	services := t.cluster.typed.CoreV1().Services(t.record.Namespace)
	name := t.record.SecondName()
	err := steadily(ctx, func(ctx context.Context) error {
		user, err := services.Get(ctx, t.record.Service, metav1.GetOptions{})
		if err != nil {
			return err
		}
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{labelTarget: t.record.Deployment}},
			Spec:       corev1.ServiceSpec{Selector: t.roleSelector(rollout.SideCanary), PublishNotReadyAddresses: user.Spec.PublishNotReadyAddresses},
		}
		if user.Spec.ClusterIP == corev1.ClusterIPNone {
			service.Spec.ClusterIP = corev1.ClusterIPNone
		}
		for _, port := range user.Spec.Ports {
			port.NodePort = 0
			service.Spec.Ports = append(service.Spec.Ports, port)
		}
		_, err = services.Create(ctx, service, metav1.CreateOptions{FieldManager: FieldManager})
		if apierrors.IsAlreadyExists(err) {
			return t.setSelector(ctx, name, service.Spec.Selector)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create service %s/%s: %w", t.record.Namespace, name, err)
	}
	return nil
}

func (t *Target) aimSecondService(ctx context.Context, selector map[string]string) error {
	return t.setSelector(ctx, t.record.SecondName(), selector)
}

// scale sizes the canary for weight: the live replica count times the weight,
// at least one. At 100 it is the live count, so that nothing is missing when
// the canary takes over. It never scales down while it takes traffic.
func (t *Target) scale(ctx context.Context, weight int) error {
	err := steadily(ctx, func(ctx context.Context) error {
		user, err := t.deployments().Get(ctx, t.record.Deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		want := canaryReplicas(deref(user.Spec.Replicas), weight)
		trial, err := t.deployments().Get(ctx, t.record.secondDeployment(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			trial, err = t.deployments().Create(ctx, t.trial(user, want), metav1.CreateOptions{FieldManager: FieldManager})
		}
		if err != nil {
			return err
		}
		if have := deref(trial.Spec.Replicas); have < want {
			if trial, err = t.setReplicas(ctx, trial, want); err != nil {
				return err
			}
		}
		t.mu.Lock()
		t.wanted = max(t.wanted, int(want))
		t.mu.Unlock()
		return t.noteCanary(ctx, trial)
	})
	if err != nil {
		return fmt.Errorf("size deployment %s/%s for %d %%: %w", t.record.Namespace, t.record.secondDeployment(), weight, err)
	}
	return nil
}

func canaryReplicas(live int32, weight int) int32 {
	return max(1, (live*int32(weight)+99)/100)
}

func (t *Target) setReplicas(ctx context.Context, d *appsv1.Deployment, n int32) (*appsv1.Deployment, error) {
	return t.deployments().Patch(ctx, d.Name, types.JSONPatchType, jsonPatch(
		op{"replace", "/metadata/resourceVersion", d.ResourceVersion},
		op{"replace", "/spec/replicas", n},
	), metav1.PatchOptions{FieldManager: FieldManager})
}

// trial is the second Deployment: the user's, with another image and role.
func (t *Target) trial(user *appsv1.Deployment, replicas int32) *appsv1.Deployment {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Name:        t.record.secondDeployment(),
			Labels:      map[string]string{labelTarget: t.record.Deployment, t.record.VersionLabel: string(rollout.SideCanary)},
			Annotations: map[string]string{annotationRun: t.record.Run.String()},
		},
		Spec: *user.Spec.DeepCopy(),
	}
	d.Spec.Paused = false
	d.Spec.Replicas = &replicas
	if d.Spec.Template.Labels == nil {
		d.Spec.Template.Labels = map[string]string{}
	}
	d.Spec.Template.Labels[t.record.VersionLabel] = string(rollout.SideCanary)
	// A restart that the user asked for by kubectl belongs to the revision
	// it was asked for; it stays, so that the two templates differ in the
	// image alone.
	for i := range d.Spec.Template.Spec.Containers {
		if c := &d.Spec.Template.Spec.Containers[i]; c.Name == t.record.Container {
			c.Image = t.record.Image
		}
	}
	return d
}

// noteCanary records the trial's ReplicaSet as soon as it exists.
func (t *Target) noteCanary(ctx context.Context, trial *appsv1.Deployment) error {
	if t.record.Canary.ReplicaSet != "" {
		return nil
	}
	sets, err := t.cluster.typed.AppsV1().ReplicaSets(t.record.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(trial.Spec.Selector)})
	if err != nil {
		return err
	}
	for i := range sets.Items {
		rs := &sets.Items[i]
		if metav1.IsControlledBy(rs, trial) && rs.Spec.Template.Labels[t.record.VersionLabel] == string(rollout.SideCanary) {
			t.mu.Lock() // sources of the analysis look at it from elsewhere
			t.record.Canary = slotOf(rs, t.record.Container)
			t.mu.Unlock()
			return nil
		}
	}
	return fmt.Errorf("%w: its ReplicaSet does not exist", errNotYet)
}

func slotOf(rs *appsv1.ReplicaSet, container string) Slot {
	s := Slot{ReplicaSet: rs.Name, UID: string(rs.UID), Hash: rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey]}
	for _, c := range rs.Spec.Template.Spec.Containers {
		if c.Name == container {
			s.Image = c.Image
		}
	}
	return s
}

// warm aims the second Service at the old revision and says until when its
// pods are kept, so that a rollback is one write of a route.
func (t *Target) warm(ctx context.Context) error {
	if t.record.WarmUntil.IsZero() {
		t.record.WarmUntil = time.Now().Add(t.record.Plan.KeepWarm).UTC().Truncate(time.Second)
	}
	err := steadily(ctx, func(ctx context.Context) error {
		d, err := t.deployments().Get(ctx, t.record.secondDeployment(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		until := t.record.WarmUntil.Format(time.RFC3339)
		if d.Annotations[annotationWarm] == until {
			return nil
		}
		_, err = t.deployments().Patch(ctx, d.Name, types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q},"annotations":{%q:%q}}}`, t.record.VersionLabel, rollout.SidePrevious, annotationWarm, until),
			metav1.PatchOptions{FieldManager: FieldManager})
		return err
	})
	if err != nil {
		return fmt.Errorf("annotate deployment %s/%s: %w", t.record.Namespace, t.record.secondDeployment(), err)
	}
	return t.aimSecondService(ctx, t.roleSelector(rollout.SidePrevious))
}

// restore puts everything back as it was recorded. It is called when no
// answer comes from the canary any more and its drain window is over. The
// order is the reverse of prepare's.
func (t *Target) restore(ctx context.Context) error {
	t.Failure(ctx)
	if err := t.closeReach(ctx); err != nil {
		return err
	}
	if err := t.writeRoutes(ctx, original); err != nil {
		return err
	}
	if err := t.removeDeployment(ctx, t.record.secondDeployment()); err != nil {
		return err
	}
	return t.plain(ctx, t.record.Stable.ReplicaSet)
}

// original is the weight that stands for the backendRefs as recorded.
const original = -1

// plain takes away what a rollout added around the user's Deployment, once
// only one version has pods: the selectors' narrowing, the second Service,
// the role label.
func (t *Target) plain(ctx context.Context, replicaSet string) error {
	for _, s := range t.record.Services {
		if err := t.setSelector(ctx, s.Name, s.Selector); err != nil {
			return err
		}
	}
	err := steadily(ctx, func(ctx context.Context) error {
		err := t.cluster.typed.CoreV1().Services(t.record.Namespace).Delete(ctx, t.record.SecondName(), metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete service %s/%s: %w", t.record.Namespace, t.record.SecondName(), err)
	}
	return t.setRole(ctx, t.record.Deployment, replicaSet, t.record.VersionBefore)
}

// removeDeployment deletes a Deployment and returns when its pods are gone.
func (t *Target) removeDeployment(ctx context.Context, name string) error {
	foreground := metav1.DeletePropagationForeground
	err := steadily(ctx, func(ctx context.Context) error {
		d, err := t.deployments().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.DeletionTimestamp == nil {
			err := t.deployments().Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &foreground, Preconditions: &metav1.Preconditions{UID: &d.UID}})
			if err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
		return fmt.Errorf("%w: its pods are stopping", errNotYet)
	})
	if err != nil {
		return fmt.Errorf("delete deployment %s/%s: %w", t.record.Namespace, name, err)
	}
	return nil
}

// Cleanup ends the warm time of a promoted rollout: the old revision's pods
// stop, its ReplicaSet goes back into the history of the user's Deployment,
// and everything around it is as the user wrote it.
func (t *Target) Cleanup(ctx context.Context) error {
	if err := t.writeRoutes(ctx, original); err != nil {
		return err
	}
	if err := t.retirePrevious(ctx); err != nil {
		return err
	}
	if err := t.removeDeployment(ctx, t.record.secondDeployment()); err != nil {
		return err
	}
	if err := t.plain(ctx, t.record.Canary.ReplicaSet); err != nil {
		return err
	}
	t.record.WarmUntil = time.Time{}
	t.record.State.Leftover = ""
	return t.cluster.saveRecord(ctx, t.record)
}

type op struct {
	Op    string
	Path  string
	Value any
}

// jsonPatch renders ops. A value that cannot be encoded is a programmer's
// mistake: all of them are Kubernetes types or strings.
func jsonPatch(ops ...op) []byte {
	var b strings.Builder
	for i, o := range ops {
		b.WriteString(map[bool]string{true: "[", false: ","}[i == 0])
		if o.Op == "remove" {
			fmt.Fprintf(&b, `{"op":"remove","path":%q}`, o.Path)
			continue
		}
		fmt.Fprintf(&b, `{"op":%q,"path":%q,"value":%s}`, o.Op, o.Path, mustJSON(o.Value))
	}
	b.WriteString("]")
	return []byte(b.String())
}

// role is a side as the value of the version label.
func role(s rollout.Side) *string {
	value := string(s)
	return &value
}
