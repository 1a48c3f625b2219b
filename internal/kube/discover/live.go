package discover

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/ownership"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// crashMemory is the time after which a crash no longer says that a version is
// down. It is longer than the kubelet's longest wait before a restart, 5 minutes:
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy.
const crashMemory = 6 * time.Minute

// describeLive records the ReplicaSet, image, digests and pods that serve now.
func (s *survey) describeLive(f *Found, d *appsv1.Deployment, now time.Time) {
	r := f.Record
	if value, ok := d.Spec.Template.Labels[r.VersionLabel]; ok {
		r.VersionBefore = &value
	}
	var live []*appsv1.ReplicaSet
	for i := range s.sets {
		if rs := &s.sets[i]; metav1.IsControlledBy(rs, d) && kube.Deref(rs.Spec.Replicas) > 0 {
			live = append(live, rs)
		}
	}
	if len(live) == 0 {
		f.Obstacles = append(f.Obstacles, fmt.Sprintf("deployment %s has no pods: there is nothing stable to compare with or go back to", d.Name))
		return
	}
	if len(live) > 1 {
		f.Obstacles = append(f.Obstacles, fmt.Sprintf("deployment %s is rolling out: %d ReplicaSets have pods; wait, or if it is stuck, type: kubectl -n %s rollout undo deployment/%s", d.Name, len(live), s.ns, d.Name))
	}
	r.Stable = kube.RevisionOf(live[0], r.Container)
	pods, ready, crashed := 0, 0, 0
	for i := range s.pods {
		pod := &s.pods[i]
		if !metav1.IsControlledBy(pod, live[0]) || pod.DeletionTimestamp != nil {
			continue
		}
		kube.NotePod(&r.Stable, pod, r.Container)
		pods++
		if crashing(pod, now.Add(-crashMemory)) {
			crashed++
		}
		if kube.PodReady(pod) {
			ready++
		}
		f.Grace = max(f.Grace, kube.Deref(pod.Spec.TerminationGracePeriodSeconds))
	}
	f.Dead = ready == 0 || crashed == pods
	switch {
	case ready < int(r.Replicas):
		f.Down = fmt.Sprintf("deployment %s has %d of %d pods ready: the stable version is not ready", d.Name, ready, r.Replicas)
	case pods > 0 && crashed == pods:
		f.Down = fmt.Sprintf("deployment %s: all %d pods crash again and again, the last time within %d minutes: the stable version does not stay ready", d.Name, pods, int(crashMemory.Minutes()))
	}
}

// crashing reports whether a container of a pod has crashed repeatedly, and once
// after a time.
func crashing(pod *corev1.Pod, after time.Time) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		last := c.LastTerminationState.Terminated
		return c.RestartCount > 1 && last != nil && last.ExitCode != 0 && last.FinishedAt.After(after)
	})
}

// obstacles adds what would make a rollout unsafe.
func (s *survey) obstacles(f *Found, d *appsv1.Deployment) {
	r := f.Record
	stop := func(format string, args ...any) { f.Obstacles = append(f.Obstacles, fmt.Sprintf(format, args...)) }
	ours := f.Previous.Unfinished() || f.Previous.Warm() || f.Lost != nil
	if f.Lost != nil {
		stop("%s", f.Lost.sentence(d.Name))
	}
	if d.Spec.Paused && !ours {
		stop("deployment %s is paused, but not by a rollout; type: kubectl -n %s rollout resume deployment/%s", d.Name, s.ns, d.Name)
	}
	if len(d.Spec.Selector.MatchLabels) == 0 {
		stop("deployment %s selects its pods only by expressions; the hand-over of ReplicaSets needs a label", d.Name)
	}
	if _, ok := d.Spec.Selector.MatchLabels[r.VersionLabel]; ok {
		stop("deployment %s has %q in its selector, which cannot change; choose another label with version-label", d.Name, r.VersionLabel)
	}
	if v := r.VersionBefore; v != nil && !ours && !rollout.Side(*v).Written() {
		stop("the pods of deployment %s already have %s=%s; choose another label with version-label", d.Name, r.VersionLabel, *v)
	}
	for _, service := range r.Services {
		if v, ok := service.Selector[r.VersionLabel]; ok && !ours {
			stop("service %s already selects %s=%s; choose another label with version-label", service.Name, r.VersionLabel, v)
		}
	}
	for _, other := range s.deployments {
		if other.Name == r.CanaryDeployment() && other.Labels[kube.LabelTarget] != d.Name {
			stop("deployment %s already exists and does not belong to a rollout of %s, which needs that name", other.Name, d.Name)
		}
	}
	for _, other := range s.services {
		if other.Name == r.CanaryService() && other.Labels[kube.LabelTarget] != d.Name {
			stop("service %s already exists and does not belong to a rollout of %s, which needs that name", other.Name, d.Name)
		}
	}
	f.Obstacles = append(f.Obstacles, s.strangers(r, d)...)
	f.Obstacles = append(f.Obstacles, names(r)...)
	f.Obstacles = append(f.Obstacles, s.grantObstacles(r)...)
	f.Owned = s.owned(r, d)
}

// strangers names the pods behind the user's Services that belong to another
// workload. While a release narrows the Services to one version, they would get
// no traffic.
func (s *survey) strangers(r *release.Record, d *appsv1.Deployment) []string {
	ours := map[types.UID]bool{}
	for i := range s.sets {
		owner := metav1.GetControllerOf(&s.sets[i])
		_, freed := s.sets[i].Annotations[kube.AnnotationFreed]
		if freed || owner != nil && (owner.UID == d.UID || owner.Name == r.CanaryDeployment() && s.isOurs(owner.UID)) {
			ours[s.sets[i].UID] = true
		}
	}
	var found []string
	for _, service := range r.Services {
		selects := labels.SelectorFromSet(service.Selector)
		workloads := map[string]int{}
		for i := range s.pods {
			pod := &s.pods[i]
			if owner := metav1.GetControllerOf(pod); selects.Matches(labels.Set(pod.Labels)) && (owner == nil || !ours[owner.UID]) && pod.DeletionTimestamp == nil {
				workloads[workloadOf(pod)]++
			}
		}
		for _, workload := range slices.Sorted(maps.Keys(workloads)) {
			found = append(found, fmt.Sprintf("service %s also selects %d pods of %s, which would get no traffic during the release; give deployment %s a Service of its own",
				service.Name, workloads[workload], workload, d.Name))
		}
	}
	return found
}

// isOurs reports whether a rollout created the Deployment of uid.
func (s *survey) isOurs(uid types.UID) bool {
	return slices.ContainsFunc(s.deployments, func(d appsv1.Deployment) bool { return d.UID == uid && d.Labels[kube.LabelTarget] != "" })
}

// workloadOf names what controls a pod.
func workloadOf(pod *corev1.Pod) string {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return "pod " + pod.Name
	}
	return strings.ToLower(owner.Kind) + " " + owner.Name
}

// The limits of names, https://kubernetes.io/docs/concepts/overview/working-with-objects/names/.
const (
	maxServiceName = 63
	maxLabelValue  = 63
	// maxDeploymentName leaves room for the hash that the names of a Deployment's
	// pods get; longer ones are cut, so they no longer tell the Deployment.
	maxDeploymentName = 253 - len("-1234567890-12345")
)

// names reports the names that a release would need and that are too long.
func names(r *release.Record) []string {
	var long []string
	check := func(what, name string, limit int) {
		if len(name) > limit {
			long = append(long, fmt.Sprintf("the %s %q that a release needs has %d characters, at most %d are allowed", what, name, len(name), limit))
		}
	}
	check("service", r.CanaryService(), maxServiceName)
	check("deployment", r.CanaryDeployment(), maxDeploymentName)
	check("label value", r.Deployment, maxLabelValue)
	return long
}

// owned finds the tools that write the objects of the rollout too.
func (s *survey) owned(r *release.Record, d *appsv1.Deployment) []ownership.Finding {
	objects := []ownership.Object{ownership.Deployment(d, r.Container)}
	for i := range s.services {
		if slices.ContainsFunc(r.Services, func(x release.Service) bool { return x.Name == s.services[i].Name }) {
			objects = append(objects, ownership.Service(&s.services[i]))
		}
	}
	for _, saved := range r.Routes {
		if of, route := s.route(r, saved); route != nil {
			objects = append(objects, ownership.Route(route, of.Kind().Group, of.Kind().Name))
		}
	}
	return ownership.Find(objects...)
}
