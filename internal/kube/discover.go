package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Query says what to look for. Empty names are discovered.
type Query struct {
	Namespace    string
	Deployment   string
	Service      string
	Container    string
	Route        string
	VersionLabel string
	Image        string
}

// Found is what a rollout would work on, and everything that speaks against
// it. It is the result of reading alone.
type Found struct {
	Record     *Record // a fresh one, without plan and run
	Previous   *Record // the newest rollout's record, nil if there is none
	EntryPoint EntryPoint
	// Grace is the longest termination grace period of the live pods, in
	// seconds.
	Grace int64
	// Obstacles are the reasons not to start, all of them.
	Obstacles []string
	// Managed are the objects that a GitOps tool would put back meanwhile.
	Managed []string
	// Warnings do not stop a rollout but belong before its start.
	Warnings []string
	// HealthPath is the path of the container's readiness probe, "" if it
	// has no HTTP one.
	HealthPath string
}

// An EntryPoint is where users' requests come in.
type EntryPoint struct {
	URL  string // scheme, address and port
	Host string // the Host header, "" if the route has none
}

// stableDeployment is the seed's default, taken when nothing else decides.
const stableDeployment = "candlefish-website"

// Discover finds the objects of a rollout and what is live. An error means
// that something asked for does not exist or cannot be read; obstacles are in
// the result.
func (c *Cluster) Discover(ctx context.Context, q Query) (*Found, error) {
	if _, err := c.typed.CoreV1().Namespaces().Get(ctx, q.Namespace, metav1.GetOptions{}); apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("namespace %q does not exist", q.Namespace)
	} else if err != nil && !apierrors.IsForbidden(err) { // reading namespaces is not needed, only nice
		return nil, fmt.Errorf("read namespace %q: %w", q.Namespace, err)
	}
	w, err := c.survey(ctx, q.Namespace)
	if err != nil {
		return nil, err
	}
	d, err := w.pickDeployment(q)
	if err != nil {
		return nil, err
	}
	previous, err := c.LoadRecord(ctx, q.Namespace, d.Name)
	if err != nil {
		return nil, err
	}
	f := &Found{Previous: previous}
	f.Record = &Record{Schema: recordSchema, Namespace: q.Namespace, Deployment: d.Name, VersionLabel: q.VersionLabel, Image: q.Image, Replicas: deref(d.Spec.Replicas)}
	if err := w.pickContainer(f, d, q); err != nil {
		return nil, err
	}
	if err := w.pickService(f, d, q); err != nil {
		return nil, err
	}
	if err := w.pickRoutes(f, q); err != nil {
		return nil, err
	}
	c.entryPoint(ctx, f, w)
	w.describeLive(f, d)
	w.obstacles(f, d)
	return f, nil
}

// A survey is one reading of everything in the namespace that may matter.
type survey struct {
	ns          string
	deployments []appsv1.Deployment
	sets        []appsv1.ReplicaSet
	pods        []corev1.Pod
	services    []corev1.Service
	routes      []unstructured.Unstructured
}

func (c *Cluster) survey(ctx context.Context, ns string) (*survey, error) {
	s := &survey{ns: ns}
	var errs []error
	read := func(what string, f func() error) {
		if err := f(); err != nil {
			errs = append(errs, fmt.Errorf("list %s in %s: %w", what, ns, err))
		}
	}
	all := metav1.ListOptions{}
	read("deployments", func() error {
		l, err := c.typed.AppsV1().Deployments(ns).List(ctx, all)
		if err == nil {
			s.deployments = l.Items
		}
		return err
	})
	read("replicasets", func() error {
		l, err := c.typed.AppsV1().ReplicaSets(ns).List(ctx, all)
		if err == nil {
			s.sets = l.Items
		}
		return err
	})
	read("pods", func() error {
		l, err := c.typed.CoreV1().Pods(ns).List(ctx, all)
		if err == nil {
			s.pods = l.Items
		}
		return err
	})
	read("services", func() error {
		l, err := c.typed.CoreV1().Services(ns).List(ctx, all)
		if err == nil {
			s.services = l.Items
		}
		return err
	})
	read("httproutes", func() error {
		l, err := c.dynamic.Resource(routeResource).Namespace(ns).List(ctx, all)
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("the cluster has no Gateway API (%s): %w", routeResource.GroupVersion(), err)
		}
		if err == nil {
			s.routes = l.Items
		}
		return err
	})
	return s, errors.Join(errs...)
}

// pickDeployment takes the named Deployment, or the only one that a route
// leads to.
func (s *survey) pickDeployment(q Query) (*appsv1.Deployment, error) {
	byName := func(name string) *appsv1.Deployment {
		i := slices.IndexFunc(s.deployments, func(d appsv1.Deployment) bool { return d.Name == name })
		if i < 0 {
			return nil
		}
		return &s.deployments[i]
	}
	if q.Deployment != "" {
		if d := byName(q.Deployment); d != nil {
			return d, nil
		}
		return nil, fmt.Errorf("deployment %s/%s does not exist; there %s", s.ns, q.Deployment, oneOf(deploymentNames(s.deployments)))
	}
	if d := byName(stableDeployment); d != nil && q.Service == "" {
		return d, nil
	}
	var candidates []*appsv1.Deployment
	for i := range s.deployments {
		d := &s.deployments[i]
		if d.Labels[labelTarget] != "" {
			continue // ours, not the user's
		}
		for _, service := range s.servicesOf(d) {
			if (q.Service == "" || q.Service == service.Name) && s.routed(service.Name) {
				candidates = append(candidates, d)
				break
			}
		}
	}
	switch len(candidates) {
	case 1:
		return candidates[0], nil
	case 0:
		return nil, fmt.Errorf("no deployment in namespace %s gets traffic from an HTTPRoute; name one with deployment-name (there %s)", s.ns, oneOf(deploymentNames(s.deployments)))
	}
	var names []string
	for _, d := range candidates {
		names = append(names, d.Name)
	}
	return nil, fmt.Errorf("several deployments in namespace %s get traffic from HTTPRoutes: %s; name one with deployment-name", s.ns, strings.Join(names, ", "))
}

func deploymentNames(ds []appsv1.Deployment) []string {
	var names []string
	for _, d := range ds {
		names = append(names, d.Name)
	}
	return names
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return "is none"
	}
	return "is " + strings.Join(names, ", ")
}

func (s *survey) servicesOf(d *appsv1.Deployment) []corev1.Service {
	var selecting []corev1.Service
	for _, service := range s.services {
		if service.Labels[labelTarget] != "" || len(service.Spec.Selector) == 0 {
			continue
		}
		if labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(d.Spec.Template.Labels)) {
			selecting = append(selecting, service)
		}
	}
	return selecting
}

func (s *survey) routed(service string) bool {
	for i := range s.routes {
		if _, points, err := saveRoute(&s.routes[i], service); err == nil && points {
			return true
		}
	}
	return false
}

func (s *survey) pickContainer(f *Found, d *appsv1.Deployment, q Query) error {
	containers := d.Spec.Template.Spec.Containers
	i := 0
	switch {
	case q.Container != "":
		i = slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == q.Container })
		if i < 0 {
			return fmt.Errorf("deployment %s/%s has no container %q; it has %s", s.ns, d.Name, q.Container, containerNames(containers))
		}
	case len(containers) > 1:
		i = slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == "app" || c.Name == d.Name })
		if i < 0 {
			return fmt.Errorf("deployment %s/%s has several containers: %s; name one with container-name", s.ns, d.Name, containerNames(containers))
		}
	}
	f.Record.Container = containers[i].Name
	if p := containers[i].ReadinessProbe; p != nil && p.HTTPGet != nil {
		f.HealthPath = p.HTTPGet.Path
	}
	return nil
}

func containerNames(cs []corev1.Container) string {
	var names []string
	for _, c := range cs {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

func (s *survey) pickService(f *Found, d *appsv1.Deployment, q Query) error {
	selecting := s.servicesOf(d)
	if q.Service != "" {
		i := slices.IndexFunc(s.services, func(x corev1.Service) bool { return x.Name == q.Service })
		if i < 0 {
			return fmt.Errorf("service %s/%s does not exist", s.ns, q.Service)
		}
		if !slices.ContainsFunc(selecting, func(x corev1.Service) bool { return x.Name == q.Service }) {
			return fmt.Errorf("service %s/%s selects %s, which the pods of deployment %s do not have", s.ns, q.Service, labels.FormatLabels(s.services[i].Spec.Selector), d.Name)
		}
		f.Record.Service = q.Service
	} else {
		var routed []string
		for _, service := range selecting {
			if s.routed(service.Name) {
				routed = append(routed, service.Name)
			}
		}
		switch len(routed) {
		case 1:
			f.Record.Service = routed[0]
		case 0:
			return fmt.Errorf("no HTTPRoute in namespace %s points at a service of deployment %s", s.ns, d.Name)
		default:
			return fmt.Errorf("HTTPRoutes point at several services of deployment %s: %s; name one with service-name", d.Name, strings.Join(routed, ", "))
		}
	}
	// Every Service that selects the pods is narrowed, also one that no
	// route uses: an internal caller's Service would otherwise leak.
	for _, service := range selecting {
		f.Record.Services = append(f.Record.Services, savedService{Name: service.Name, Selector: service.Spec.Selector})
	}
	return nil
}

func (s *survey) pickRoutes(f *Found, q Query) error {
	for i := range s.routes {
		route := &s.routes[i]
		if q.Route != "" && route.GetName() != q.Route {
			continue
		}
		saved, points, err := saveRoute(route, f.Record.Service)
		if err != nil {
			return err
		}
		if points {
			f.Record.Routes = append(f.Record.Routes, saved)
		} else if q.Route != "" {
			return fmt.Errorf("httproute %s/%s does not point at service %s", s.ns, q.Route, f.Record.Service)
		}
	}
	if len(f.Record.Routes) > 0 {
		return nil
	}
	if q.Route != "" {
		return fmt.Errorf("httproute %s/%s does not exist", s.ns, q.Route)
	}
	return fmt.Errorf("no HTTPRoute in namespace %s points at service %s", s.ns, f.Record.Service)
}

// entryPoint reads the address of the first gateway that the first route
// hangs on. What it does not find is asked for, so it reports no error.
func (c *Cluster) entryPoint(ctx context.Context, f *Found, s *survey) {
	i := slices.IndexFunc(s.routes, func(r unstructured.Unstructured) bool { return r.GetName() == f.Record.Routes[0].Name })
	route := &s.routes[i]
	if hosts, _, _ := unstructured.NestedStringSlice(route.Object, "spec", "hostnames"); len(hosts) > 0 {
		f.EntryPoint.Host = strings.Replace(hosts[0], "*", "probe", 1)
	}
	parents, _, _ := unstructured.NestedSlice(route.Object, "spec", "parentRefs")
	for _, p := range parents {
		parent, _ := p.(map[string]any)
		name, _ := parent["name"].(string)
		ns, ok := parent["namespace"].(string)
		if !ok {
			ns = f.Record.Namespace
		}
		gateway, err := c.dynamic.Resource(gatewayResource).Namespace(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			f.Warnings = append(f.Warnings, fmt.Sprintf("gateway %s/%s cannot be read, so the entry point is not known: %v", ns, name, err))
			continue
		}
		if url := gatewayURL(gateway, parent["sectionName"]); url != "" {
			f.EntryPoint.URL = url
			return
		}
	}
}

// gatewayURL is the address of the first HTTP listener of a gateway.
func gatewayURL(gateway *unstructured.Unstructured, section any) string {
	addresses, _, _ := unstructured.NestedSlice(gateway.Object, "status", "addresses")
	if len(addresses) == 0 {
		return ""
	}
	first, _ := addresses[0].(map[string]any)
	address, _ := first["value"].(string)
	listeners, _, _ := unstructured.NestedSlice(gateway.Object, "spec", "listeners")
	for _, l := range listeners {
		m, _ := l.(map[string]any)
		if section != nil && m["name"] != section {
			continue
		}
		port, _ := m["port"].(int64)
		switch m["protocol"] {
		case "HTTP":
			return fmt.Sprintf("http://%s:%d", bracketed(address), port)
		case "HTTPS":
			return fmt.Sprintf("https://%s:%d", bracketed(address), port)
		}
	}
	return ""
}

func bracketed(address string) string {
	if strings.Contains(address, ":") {
		return "[" + address + "]"
	}
	return address
}

// describeLive records the ReplicaSet, image, digests and pods that serve now.
func (s *survey) describeLive(f *Found, d *appsv1.Deployment) {
	r := f.Record
	if value, ok := d.Spec.Template.Labels[r.VersionLabel]; ok {
		r.VersionBefore = &value
	}
	var live []*appsv1.ReplicaSet
	for i := range s.sets {
		if rs := &s.sets[i]; metav1.IsControlledBy(rs, d) && deref(rs.Spec.Replicas) > 0 {
			live = append(live, rs)
		}
	}
	if len(live) == 0 {
		f.Obstacles = append(f.Obstacles, fmt.Sprintf("deployment %s has no pods: there is nothing stable to compare with or go back to", d.Name))
		return
	}
	if len(live) > 1 {
		f.Obstacles = append(f.Obstacles, fmt.Sprintf("deployment %s is in the middle of a roll: %d ReplicaSets have pods", d.Name, len(live)))
	}
	r.Stable = slotOf(live[0], r.Container)
	ready := 0
	for i := range s.pods {
		pod := &s.pods[i]
		if !metav1.IsControlledBy(pod, live[0]) || pod.DeletionTimestamp != nil {
			continue
		}
		r.Stable.note(pod, r.Container)
		if c := podCondition(pod, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue {
			ready++
		}
		f.Grace = max(f.Grace, deref(pod.Spec.TerminationGracePeriodSeconds))
	}
	if ready < int(r.Replicas) {
		f.Obstacles = append(f.Obstacles, fmt.Sprintf("deployment %s has %d of %d pods ready: the stable version is not well", d.Name, ready, r.Replicas))
	}
}

// note adds what one pod of the slot runs.
func (s *Slot) note(pod *corev1.Pod, container string) {
	id := PodID{Name: pod.Name, UID: string(pod.UID)}
	for _, c := range pod.Status.ContainerStatuses {
		id.Restarts += c.RestartCount
		if c.Name != container {
			continue
		}
		if _, digest, ok := strings.Cut(c.ImageID, "@"); ok && !slices.Contains(s.Digests, digest) {
			s.Digests = append(s.Digests, digest)
		}
	}
	s.Pods = append(s.Pods, id)
}

// obstacles looks for what would make a rollout unsafe.
func (s *survey) obstacles(f *Found, d *appsv1.Deployment) {
	r := f.Record
	stop := func(format string, args ...any) { f.Obstacles = append(f.Obstacles, fmt.Sprintf(format, args...)) }
	ours := f.Previous.Unfinished() || f.Previous.Warm()
	if d.Spec.Paused && !ours {
		stop("deployment %s is paused by somebody else", d.Name)
	}
	if len(d.Spec.Selector.MatchLabels) == 0 {
		stop("deployment %s selects its pods by expressions alone; a label is needed to hand ReplicaSets over", d.Name)
	}
	if _, ok := d.Spec.Selector.MatchLabels[r.VersionLabel]; ok {
		stop("deployment %s has %q in its selector, which cannot change; choose another label with version-label", d.Name, r.VersionLabel)
	}
	if v := r.VersionBefore; v != nil && !ours && !slices.Contains([]rollout.Side{rollout.SideStable, rollout.SideCanary, rollout.SidePrevious}, rollout.Side(*v)) {
		stop("the pods of deployment %s carry %s=%s of their own; choose another label with version-label", d.Name, r.VersionLabel, *v)
	}
	for _, service := range r.Services {
		if v, ok := service.Selector[r.VersionLabel]; ok && !ours {
			stop("service %s selects %s=%s by itself; choose another label with version-label", service.Name, r.VersionLabel, v)
		}
	}
	for _, other := range s.deployments {
		if other.Name == r.secondDeployment() && other.Labels[labelTarget] != d.Name {
			stop("deployment %s already exists and is not of a rollout of %s: both want that name", other.Name, d.Name)
		}
	}
	for _, other := range s.services {
		if other.Name == r.SecondName() && other.Labels[labelTarget] != d.Name {
			stop("service %s already exists and is not of a rollout of %s: both want that name", other.Name, d.Name)
		}
	}
	f.Managed = s.managed(r, d)
	if r.Stable.Image != "" && r.Stable.Image == r.Image {
		f.Warnings = append(f.Warnings, fmt.Sprintf("image %s is what deployment %s runs already", r.Image, d.Name))
	}
}

// managed lists the objects of the rollout that a GitOps tool would put back.
func (s *survey) managed(r *Record, d *appsv1.Deployment) []string {
	var found []string
	note := func(kind string, obj metav1.Object) {
		if tool := gitopsOwner(obj); tool != "" {
			found = append(found, fmt.Sprintf("%s %s is kept by %s", kind, obj.GetName(), tool))
		}
	}
	note("deployment", d)
	for i := range s.services {
		if slices.ContainsFunc(r.Services, func(x savedService) bool { return x.Name == s.services[i].Name }) {
			note("service", &s.services[i])
		}
	}
	for i := range s.routes {
		if slices.ContainsFunc(r.Routes, func(x savedRoute) bool { return x.Name == s.routes[i].GetName() }) {
			note("httproute", &s.routes[i])
		}
	}
	return found
}

// gitopsMarks are labels and annotations by which the usual GitOps tools know
// the objects that they put back when somebody else changes them.
var gitopsMarks = map[string]string{
	"argocd.argoproj.io/tracking-id":   "Argo CD",
	"argocd.argoproj.io/instance":      "Argo CD",
	"kustomize.toolkit.fluxcd.io/name": "Flux",
	"helm.toolkit.fluxcd.io/name":      "Flux",
	"fleet.cattle.io/bundle-id":        "Fleet",
	"configmanagement.gke.io/managed":  "Config Sync",
}

// gitopsManagers are the field managers of the same tools.
var gitopsManagers = map[string]string{
	"argocd-controller":             "Argo CD",
	"argocd-application-controller": "Argo CD",
	"kustomize-controller":          "Flux",
	"helm-controller":               "Flux",
	"fleetagent":                    "Fleet",
}

// gitopsOwner names the tool that keeps obj as some repository has it, or "".
func gitopsOwner(obj metav1.Object) string {
	for mark, tool := range gitopsMarks {
		if obj.GetLabels()[mark] != "" || obj.GetAnnotations()[mark] != "" {
			return tool
		}
	}
	for _, f := range obj.GetManagedFields() {
		if tool := gitopsManagers[f.Manager]; tool != "" && f.Subresource == "" {
			return tool
		}
	}
	return ""
}

// LiveImage is the image of the first container of a Deployment, "" when
// there is no such Deployment.
func (c *Cluster) LiveImage(ctx context.Context, namespace, deployment string) (string, error) {
	var image string
	err := steadily(ctx, func(ctx context.Context) error {
		d, err := c.typed.AppsV1().Deployments(namespace).Get(ctx, deployment, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err == nil {
			image = d.Spec.Template.Spec.Containers[0].Image
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read deployment %s/%s: %w", namespace, deployment, err)
	}
	return image, nil
}
