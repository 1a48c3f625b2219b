package rolling

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/admission"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/ownership"
	"github.com/candlefish/deploy-action/internal/kube/updates"
	"github.com/candlefish/deploy-action/internal/release"
)

// Kinds are the values of the input that names the kind of workload.
var Kinds = []string{"auto", "deployment", "statefulset", "daemonset"}

// Find finds the workload of a rolling update, its revision that serves, the entry
// point, and the reasons against a release. named is one of Kinds. It only reads.
func Find(ctx context.Context, c *kube.Cluster, q discover.Query, named string, opts updates.Options) (*discover.Found, error) {
	k, o, err := pick(ctx, c, q, named)
	if err != nil {
		return nil, err
	}
	record := &release.Record{
		Schema: release.Schema, Namespace: q.Namespace, Deployment: o.Meta.GetName(), VersionLabel: q.VersionLabel, Replicas: int32(o.Replicas),
	}
	f := &discover.Found{Record: record, Untested: "a rolling update has no second workload", Unpinned: "a rolling update has one Service for both versions"}
	if f.Previous, err = c.LoadRecord(ctx, q.Namespace, record.Deployment); err != nil {
		return nil, err
	}
	if record.Container, record.Containers, err = discover.PickImages(standIn(o), q); err != nil {
		return nil, err
	}
	record.Image = record.Images()[record.Container]
	if record.Rolling, err = o.Settings.Rolled(opts); err != nil {
		return nil, err
	}
	preStop(f, o, opts)
	if err := services(ctx, c, f, o, q); err != nil {
		return nil, err
	}
	if err := serving(ctx, c, f, k, o); err != nil {
		return nil, err
	}
	obstacles(ctx, c, f, o)
	f.Owned = ownership.Find(owned(f.Record, o))
	return f, nil
}

// pick returns the workload that the query names, else that of the default name, else
// the only Deployment behind a route. A Service that is named goes before the default
// name.
func pick(ctx context.Context, c *kube.Cluster, q discover.Query, named string) (updates.Kind, *updates.Object, error) {
	if q.Deployment != "" {
		return ofName(ctx, c, q.Namespace, q.Deployment, named)
	}
	routed := func() (updates.Kind, *updates.Object, error) {
		name, err := discover.Behind(ctx, c, q)
		if err != nil {
			return nil, nil, err
		}
		return ofName(ctx, c, q.Namespace, name, updates.Deployment)
	}
	byDefault := func() (updates.Kind, *updates.Object, error) {
		return ofName(ctx, c, q.Namespace, q.DefaultDeployment, named)
	}
	tries := []func() (updates.Kind, *updates.Object, error){byDefault, routed}
	switch {
	case !mayBe(named, updates.Deployment):
		tries = tries[:1]
	case q.Service != "":
		slices.Reverse(tries)
	}
	var refused []error
	for _, try := range tries {
		k, o, err := try()
		if err == nil {
			return k, o, nil
		}
		refused = append(refused, err)
	}
	return nil, nil, errors.Join(refused...)
}

// mayBe reports whether a value of Kinds allows a kind.
func mayBe(named, kind string) bool {
	return named == "" || named == "auto" || strings.EqualFold(named, kind)
}

// ofName returns the workload of a name.
func ofName(ctx context.Context, c *kube.Cluster, namespace, name, named string) (updates.Kind, *updates.Object, error) {
	var refused []error
	for _, kindName := range []string{updates.Deployment, updates.StatefulSet, updates.DaemonSet} {
		if !mayBe(named, kindName) {
			continue
		}
		k := updates.Of(c, informers.NewSharedInformerFactory(c.Typed, 0), kindName, namespace, name)
		var o *updates.Object
		err := kube.Retry(ctx, func(ctx context.Context) (err error) { o, err = k.Live(ctx); return err })
		switch {
		case err == nil:
			return k, o, nil
		case !apierrors.IsNotFound(err):
			refused = append(refused, fmt.Errorf("read %s %s/%s: %w", strings.ToLower(kindName), namespace, name, err))
		}
	}
	if len(refused) > 0 {
		return nil, nil, errors.Join(refused...)
	}
	what := "workload"
	if named != "auto" && named != "" {
		what = strings.ToLower(named)
	}
	return nil, nil, fmt.Errorf("%s %s/%s does not exist; name one with deployment-name", what, namespace, name)
}

// Set returns the StatefulSet or DaemonSet of a name, as kind/name, "" if there is none
// or none that may be read.
func Set(ctx context.Context, c *kube.Cluster, namespace, name string) string {
	if name == "" {
		return ""
	}
	for _, kindName := range []string{updates.StatefulSet, updates.DaemonSet} {
		k := updates.Of(c, informers.NewSharedInformerFactory(c.Typed, 0), kindName, namespace, name)
		if _, err := k.Live(ctx); err == nil {
			return strings.ToLower(kindName) + "/" + name
		}
	}
	return ""
}

// owned describes what a rolling update changes, for the tools that would undo it.
func owned(record *release.Record, o *updates.Object) ownership.Object {
	during := []string{"/spec/updateStrategy", "/spec/minReadySeconds"}
	if record.Rolling.Kind == updates.Deployment {
		during = []string{"/spec/strategy", "/spec/minReadySeconds", "/spec/progressDeadlineSeconds"}
	}
	return ownership.Object{Meta: o.Meta, Group: "apps", Kind: record.Rolling.Kind, Container: record.Container, During: during}
}

// standIn is a Deployment with the pod template of a workload, for what looks at pod
// templates alone.
func standIn(o *updates.Object) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: o.Meta.GetName(), Namespace: o.Meta.GetNamespace()}}
	d.Spec.Template, d.Spec.Selector = *o.Template.DeepCopy(), o.Selector
	return d
}

// preStop adds the sleep if it is asked for and the container has none.
func preStop(f *discover.Found, o *updates.Object, opts updates.Options) {
	if opts.PreStop == 0 {
		return
	}
	for i := range o.Template.Spec.Containers {
		c := &o.Template.Spec.Containers[i]
		switch {
		case c.Name != f.Record.Container:
		case hasPreStop(c):
			f.Warnings = append(f.Warnings, fmt.Sprintf("container %s has a preStop hook already, which stays as it is", c.Name))
		default:
			f.Record.Rolling.PreStop = opts.PreStop
		}
	}
}

// services records the Services in front of the pods, and the entry point: that of a
// route to one of them, else the address of a load balancer.
func services(ctx context.Context, c *kube.Cluster, f *discover.Found, o *updates.Object, q discover.Query) error {
	var list *corev1.ServiceList
	err := kube.Retry(ctx, func(ctx context.Context) (err error) {
		list, err = c.Typed.CoreV1().Services(q.Namespace).List(ctx, metav1.ListOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("list services in %s: %w", q.Namespace, err)
	}
	var named bool
	for i := range list.Items {
		s := &list.Items[i]
		if len(s.Spec.Selector) == 0 || s.Labels[kube.LabelTarget] != "" || !labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(o.Template.Labels)) {
			continue
		}
		named = named || s.Name == q.Service
		f.Record.Services = append(f.Record.Services, release.Service{Name: s.Name, Selector: s.Spec.Selector})
		if f.EntryPoint.URL != "" && s.Name != q.Service || q.Service != "" && s.Name != q.Service {
			continue
		}
		f.Record.Service = s.Name
		if discover.Enter(ctx, c, f); f.EntryPoint.URL == "" {
			f.EntryPoint.URL = balanced(s)
		}
	}
	if q.Service != "" && !named {
		return fmt.Errorf("service %s/%s does not select the pods of %s", q.Namespace, q.Service, f.Record.Workload())
	}
	return nil
}

// balanced returns the URL of a Service's load balancer, "" if it has none.
func balanced(s *corev1.Service) string {
	if len(s.Status.LoadBalancer.Ingress) == 0 || len(s.Spec.Ports) == 0 {
		return ""
	}
	at, port := s.Status.LoadBalancer.Ingress[0], s.Spec.Ports[0].Port
	host := at.Hostname
	if host == "" {
		host = at.IP
	}
	scheme := "http"
	if port == 443 {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// serving records the revision that serves, with its pods, and what is wrong with them.
func serving(ctx context.Context, c *kube.Cluster, f *discover.Found, k updates.Kind, o *updates.Object) error {
	record := f.Record
	err := kube.Retry(ctx, func(ctx context.Context) (err error) {
		record.Stable, err = k.Newest(ctx, o, record.Container)
		return err
	})
	if err != nil {
		return fmt.Errorf("find the revision of %s: %w", record.Workload(), err)
	}
	list, err := c.Typed.CoreV1().Pods(record.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(o.Selector)})
	if err != nil {
		return fmt.Errorf("list pods in %s: %w", record.Namespace, err)
	}
	sets, err := ownSets(ctx, c, o)
	if err != nil {
		return err
	}
	ready, others := 0, 0
	for i := range list.Items {
		pod := &list.Items[i]
		switch owner := metav1.GetControllerOf(pod); {
		case owner == nil || pod.DeletionTimestamp != nil:
		case k.IsOf(pod, record.Stable):
			kube.NotePod(&record.Stable, pod, record.Container)
			f.Grace = max(f.Grace, kube.Deref(pod.Spec.TerminationGracePeriodSeconds))
			if kube.PodReady(pod) {
				ready++
			}
		case owner.UID == o.Meta.GetUID() || slices.Contains(sets, owner.UID):
			others++
		}
	}
	f.Dead = ready == 0
	if others > 0 {
		f.Obstacles = append(f.Obstacles, fmt.Sprintf("%s is rolling out: %d pods are not of its newest revision; wait, or if it is stuck, type: kubectl -n %s rollout undo %s",
			record.Workload(), others, record.Namespace, record.Workload()))
	}
	if ready < o.Replicas {
		f.Down = fmt.Sprintf("%s has %d of %d pods ready: the stable version is not ready", record.Workload(), ready, o.Replicas)
	}
	return nil
}

// ownSets lists the ReplicaSets of a workload; those of a Deployment own its pods.
func ownSets(ctx context.Context, c *kube.Cluster, o *updates.Object) ([]types.UID, error) {
	if o.Settings.Deployment == nil {
		return nil, nil
	}
	list, err := c.Typed.AppsV1().ReplicaSets(o.Meta.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(o.Selector)})
	if err != nil {
		return nil, fmt.Errorf("list replicasets in %s: %w", o.Meta.GetNamespace(), err)
	}
	var own []types.UID
	for i := range list.Items {
		if metav1.IsControlledBy(&list.Items[i], o.Meta) {
			own = append(own, list.Items[i].UID)
		}
	}
	return own, nil
}

// obstacles adds what would make a rolling update unsafe or impossible.
func obstacles(ctx context.Context, c *kube.Cluster, f *discover.Found, o *updates.Object) {
	r := f.Record
	stop := func(format string, args ...any) { f.Obstacles = append(f.Obstacles, fmt.Sprintf(format, args...)) }
	unfinished := f.Previous.Unfinished() || f.Previous.Warm()
	if f.Previous != nil && f.Previous.Workload() != r.Workload() && r.Rolling.Kind != updates.Deployment {
		stop("the record %s is of %s, and %s would need the same one", release.ObjectName(r.Deployment), f.Previous.Workload(), r.Workload())
	}
	if o.Replicas == 0 {
		stop("%s has no pods: there is nothing to replace", r.Workload())
	}
	if o.Paused && !unfinished {
		stop("%s is paused; type: kubectl -n %s rollout resume %s", r.Workload(), r.Namespace, r.Workload())
	}
	if d := o.Settings.Deployment; d != nil && d.Type == appsv1.RecreateDeploymentStrategyType {
		stop("%s has the strategy Recreate, which stops all pods before a new one starts: no rolling update is possible", r.Workload())
	}
	if o.Limit != nil && *o.Limit == 0 {
		stop("%s has revisionHistoryLimit 0, so there would be nothing to go back to: set it to 1 or more", r.Workload())
	}
	if o.Settings.MinReady >= updates.Never && !unfinished {
		stop("%s is held back (minReadySeconds %d) by a release without a record; to let it go on, type: kubectl -n %s patch %s --type merge -p '%s'", r.Workload(), o.Settings.MinReady, r.Namespace, r.Workload(),
			`{"spec":{"minReadySeconds":0,"progressDeadlineSeconds":600,"strategy":{"rollingUpdate":{"maxSurge":"25%","maxUnavailable":"25%"}}}}`)
	}
	if unfinished {
		return
	}
	left, err := c.Ours(ctx, r.Namespace, r.Deployment)
	if err == nil && len(left) > 0 {
		stop("a release without a record left %s; end it first with the command release", strings.Join(left, ", "))
	}
}

// Admit asks the cluster in a dry run whether it takes the update, and the pods that
// it has in addition. It changes nothing.
func Admit(ctx context.Context, c *kube.Cluster, record *release.Record) (refusals, warnings []string, err error) {
	k := updates.Of(c, informers.NewSharedInformerFactory(c.Typed, 0), record.Rolling.Kind, record.Namespace, record.Deployment)
	o, err := k.Live(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s in %s: %w", record.Workload(), record.Namespace, err)
	}
	d := standIn(o)
	if d.Spec.Template, err = Template(record, o.Template); err != nil {
		return nil, nil, err
	}
	refusals, warnings = admission.AdmitPods(ctx, c, d, record.Plan.Surge)
	return refusals, warnings, nil
}

// Surge returns how many pods more than its size the workload of a record may have.
func Surge(record *release.Record) int {
	return settingsOf(&Target{record: record}).Surge(int(record.Replicas))
}

// Permissions returns what a rolling update of a kind needs beside its sources; kind is
// one of Kinds, "auto" for what all have in common.
func Permissions(kind string) []kube.Permission {
	common := []kube.Permission{
		{Resource: "pods", Verbs: []string{"get", "list", "watch", "create"}, Why: "See which pods are ready and of which version; ask in a dry run whether the cluster admits new ones"},
		{Resource: "pods/log", Verbs: []string{"get"}, Why: "Fetch logs of failed pods"},
		{Resource: "services", Verbs: []string{"list"}, Why: "Find the Service in front of the pods"},
		{Resource: "configmaps", Verbs: []string{"get", "list", "create", "update", "delete"}, Why: "Store the rollout's record"},
		{Group: "coordination.k8s.io", Resource: "leases", Verbs: []string{"get", "watch", "create", "update", "delete"}, Why: "Admit one run at a time, and take requests from other machines"},
	}
	switch kind = strings.ToLower(kind); kind {
	case "deployment":
		return append(common,
			kube.Permission{Group: "apps", Resource: "deployments", Verbs: []string{"get", "list", "watch", "patch"}, Why: "Replace pods by a rolling update"},
			kube.Permission{Group: "apps", Resource: "replicasets", Verbs: []string{"get", "list", "watch"}, Why: "Read the revisions of a Deployment"})
	case "statefulset", "daemonset":
		return append(common, slices.DeleteFunc(slices.Clone(SetPermissions), func(p kube.Permission) bool {
			return strings.HasSuffix(p.Resource, "sets") && p.Resource != kind+"s"
		})...)
	}
	return common
}

// SetPermissions are those of a rolling update of a StatefulSet or DaemonSet.
var SetPermissions = []kube.Permission{
	{Group: "apps", Resource: "statefulsets", Verbs: []string{"get", "list", "watch", "patch"}, Why: "Replace the pods of a StatefulSet; needed with strategy: rolling of one only"},
	{Group: "apps", Resource: "daemonsets", Verbs: []string{"get", "list", "watch", "patch"}, Why: "Replace the pods of a DaemonSet; needed with strategy: rolling of one only"},
	{Group: "apps", Resource: "controllerrevisions", Verbs: []string{"get", "list", "watch"}, Why: "Read the revisions of a StatefulSet or DaemonSet; needed with strategy: rolling of one only"},
	{Resource: "pods", Verbs: []string{"delete"}, Why: "Replace the pods of a DaemonSet, and broken ones of a StatefulSet; needed with strategy: rolling of one only"},
}
