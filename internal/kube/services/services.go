// Package services changes the selectors of the Services of a release, and counts
// their endpoints.
package services

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/fields"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router/routers"
)

// A Set is the user's Services of a release and the canary Service.
type Set struct {
	client  coreclient.ServiceInterface
	watch   *kube.Watch
	record  *release.Record
	written *writtenSelectors
}

// writtenSelectors are the selectors of user Services that this process wrote
// last, the reference for drift.
type writtenSelectors struct {
	mu        sync.Mutex
	selectors map[string]writtenSelector // by Service
}

type writtenSelector struct {
	version  string // the resource version after the write
	selector map[string]string
	// unseen: this process created the Service, and the watch has not seen it yet.
	unseen bool
}

// New returns the Services of a record.
func New(c coreclient.ServiceInterface, w *kube.Watch, r *release.Record) Set {
	return Set{client: c, watch: w, record: r, written: &writtenSelectors{selectors: map[string]writtenSelector{}}}
}

// note keeps a selector as the reference for drift.
func (w *writtenSelectors) note(service *corev1.Service, selector map[string]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.selectors[service.Name] = writtenSelector{version: service.ResourceVersion, selector: selector}
}

// created keeps the selector of a Service that this process created.
func (w *writtenSelectors) created(service *corev1.Service) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.selectors[service.Name] = writtenSelector{version: service.ResourceVersion, selector: service.Spec.Selector, unseen: true}
}

// ByHash returns the user's selector narrowed to one ReplicaSet's pods. Every
// pod has the hash label from its creation and it never changes, so it selects
// reliably while the version labels change.
func (s Set) ByHash(hash string) map[string]string {
	return s.narrowed(appsv1.DefaultDeploymentUniqueLabelKey, hash)
}

// BySide returns the user's selector narrowed to the pods of one side.
func (s Set) BySide(side rollout.Side) map[string]string {
	return s.narrowed(s.record.VersionLabel, string(side))
}

func (s Set) narrowed(key, value string) map[string]string {
	i := slices.IndexFunc(s.record.Services, func(x release.Service) bool { return x.Name == s.record.Service })
	if i < 0 {
		panic("services: record without its own Service")
	}
	return kube.With(s.record.Services[i].Selector, key, value)
}

// Narrow adds a label to the selectors of all user Services but those named.
func (s Set) Narrow(ctx context.Context, key, value string, but ...string) error {
	return kube.Each(ctx, len(s.record.Services), kube.AtOnce, func(ctx context.Context, i int) error {
		user := s.record.Services[i]
		if slices.Contains(but, user.Name) {
			return nil
		}
		return s.setSelector(ctx, user.Name, kube.With(user.Selector, key, value))
	})
}

// Widen removes the labels that narrow the selectors of the user's Services. The
// rest of a selector stays as it is now: the user may have changed it. A Service
// that is gone stays gone.
func (s Set) Widen(ctx context.Context) error {
	for _, user := range s.record.Services {
		live, err := s.get(ctx, user.Name)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.setSelector(ctx, user.Name, s.widened(live.Spec.Selector, user.Selector)); err != nil {
			return err
		}
	}
	return nil
}

// widened returns a live selector without the labels that narrow it, given the
// selector from before the release.
func (s Set) widened(live, before map[string]string) map[string]string {
	wide := maps.Clone(live)
	for _, key := range []string{s.record.VersionLabel, appsv1.DefaultDeploymentUniqueLabelKey} {
		if value, had := before[key]; had {
			wide[key] = value
		} else {
			delete(wide, key)
		}
	}
	return wide
}

func (s Set) get(ctx context.Context, name string) (*corev1.Service, error) {
	var service *corev1.Service
	err := kube.Retry(ctx, func(ctx context.Context) error {
		var err error
		service, err = s.client.Get(ctx, name, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read service %s/%s: %w", s.record.Namespace, name, err)
	}
	return service, nil
}

// Disown removes our field manager from the user's Services.
func (s Set) Disown(ctx context.Context) error {
	for _, user := range s.record.Services {
		err := fields.GiveUp(ctx,
			func(ctx context.Context) (*corev1.Service, error) {
				return s.client.Get(ctx, user.Name, metav1.GetOptions{})
			},
			func(ctx context.Context, raw []byte) error {
				_, err := s.client.Patch(ctx, user.Name, types.JSONPatchType, raw, kube.Patching)
				return err
			})
		if err != nil {
			return fmt.Errorf("give up the fields of service %s/%s: %w", s.record.Namespace, user.Name, err)
		}
	}
	return nil
}

// Drift returns who changed a selector that this process wrote, or, before it wrote
// one, that of a user Service in more than the labels that narrow it; "" for
// nothing. A selector that somebody reset is narrowed again.
func (s Set) Drift() string {
	s.written.mu.Lock()
	defer s.written.mu.Unlock()
	for name, w := range s.written.selectors {
		if routers.Moves(s.record, name) {
			continue // its route says whose it is
		}
		live := s.watch.Service(name)
		if w.unseen && live == nil {
			continue // the watch is behind
		}
		if w.unseen {
			w.unseen = false
			s.written.selectors[name] = w
		}
		behind := live != nil && !kube.NotOlder(live.ResourceVersion, w.version)
		if d := differs(name, live, behind || live != nil && maps.Equal(live.Spec.Selector, w.selector)); d != "" {
			return d
		}
	}
	for _, user := range s.record.Services {
		if _, wrote := s.written.selectors[user.Name]; wrote || routers.Moves(s.record, user.Name) {
			continue
		}
		live := s.watch.Service(user.Name)
		if d := differs(user.Name, live, live != nil && maps.Equal(s.widened(live.Spec.Selector, user.Selector), user.Selector)); d != "" {
			return d
		}
	}
	return ""
}

// differs says who deleted a Service, live being nil then, or changed its selector;
// "" if it is the same.
func differs(name string, live *corev1.Service, same bool) string {
	switch {
	case live == nil:
		return fmt.Sprintf("service %s was deleted", name)
	case !same:
		return fmt.Sprintf("%s changed the selector of service %s", fields.Writer(live, "spec", "selector"), name)
	}
	return ""
}

// Missing lists the user's Services that do not exist.
func (s Set) Missing() []string {
	var names []string
	for _, user := range s.record.Services {
		if s.watch.Service(user.Name) == nil {
			names = append(names, "service/"+user.Name)
		}
	}
	return names
}

// Endpoints counts the ready endpoints of a Service by whether one of these
// ReplicaSets owns their pods.
func (s Set) Endpoints(service string, sets []string) (others, own int) {
	for _, slice := range s.watch.EndpointSlices(service) {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			pod := s.watch.EndpointPod(e)
			if pod == nil {
				others++
				continue
			}
			if ref := metav1.GetControllerOf(pod); ref != nil && slices.Contains(sets, string(ref.UID)) {
				own++
			} else {
				others++
			}
		}
	}
	return others, own
}

// SelectsCanary reports whether a Service is narrowed to the canary's ReplicaSet.
func (s Set) SelectsCanary(service string) bool {
	live := s.watch.Service(service)
	return live != nil && s.record.Canary.Hash != "" && live.Spec.Selector[appsv1.DefaultDeploymentUniqueLabelKey] == s.record.Canary.Hash
}

// StablePods counts the ready pods that the user's Service would have at weight 0.
func (s Set) StablePods() int {
	selects := labels.SelectorFromSet(s.BySide(rollout.SideStable))
	ready := 0
	for _, rs := range s.watch.ReplicaSetsOf(s.record.Deployment) {
		for _, pod := range s.watch.PodsOf(string(rs.UID)) {
			if kube.PodReady(pod) && pod.DeletionTimestamp == nil && selects.Matches(labels.Set(pod.Labels)) {
				ready++
			}
		}
	}
	return ready
}

// AimCanary sets the selector of the canary Service.
func (s Set) AimCanary(ctx context.Context, selector map[string]string) error {
	return s.setSelector(ctx, s.record.CanaryService(), selector)
}

func (s Set) setSelector(ctx context.Context, name string, selector map[string]string) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		service, err := s.client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !maps.Equal(service.Spec.Selector, selector) {
			patch := jsonpatch.Guarded(service.ResourceVersion).Replace("/spec/selector", selector)
			service, err = s.client.Patch(ctx, name, types.JSONPatchType, patch.JSON(), kube.Patching)
		}
		if err == nil {
			s.written.note(service, selector)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("set the selector of service %s/%s to %s: %w", s.record.Namespace, name, labels.FormatLabels(selector), err)
	}
	return nil
}

// CreateCanary creates the canary Service with the user's ports and the
// selector narrowed to the canary.
func (s Set) CreateCanary(ctx context.Context) error {
	name := s.record.CanaryService()
	err := kube.Retry(ctx, func(ctx context.Context) error {
		user, err := s.client.Get(ctx, s.record.Service, metav1.GetOptions{})
		if err != nil {
			return err
		}
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{kube.LabelTarget: s.record.Deployment}, Annotations: kept(user.Annotations)},
			Spec: corev1.ServiceSpec{
				Selector: s.BySide(rollout.SideCanary), PublishNotReadyAddresses: user.Spec.PublishNotReadyAddresses,
				IPFamilies: user.Spec.IPFamilies, IPFamilyPolicy: user.Spec.IPFamilyPolicy,
				SessionAffinity: user.Spec.SessionAffinity, SessionAffinityConfig: user.Spec.SessionAffinityConfig,
				InternalTrafficPolicy: user.Spec.InternalTrafficPolicy, TrafficDistribution: user.Spec.TrafficDistribution,
			},
		}
		if user.Spec.ClusterIP == corev1.ClusterIPNone {
			service.Spec.ClusterIP = corev1.ClusterIPNone
		}
		for _, port := range user.Spec.Ports {
			port.NodePort = 0
			service.Spec.Ports = append(service.Spec.Ports, port)
		}
		created, err := s.client.Create(ctx, service, kube.Creating)
		if apierrors.IsAlreadyExists(err) {
			return s.setSelector(ctx, name, service.Spec.Selector)
		}
		if err == nil {
			s.written.created(created)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create service %s/%s: %w", s.record.Namespace, name, err)
	}
	return nil
}

// unkept begins the keys of annotations that belong to one Service alone: what
// was applied, who owns it, a load balancer, a DNS name.
var unkept = []string{"kubectl.kubernetes.io/", "argocd.argoproj.io/", "meta.helm.sh/", "kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/", "service.beta.kubernetes.io/", "service.kubernetes.io/", "external-dns.alpha.kubernetes.io/", "cloud.google.com/"}

// kept returns the annotations that the canary Service takes over: those that tell
// a gateway or a mesh how to talk to the pods.
func kept(annotations map[string]string) map[string]string {
	of := maps.Clone(annotations)
	maps.DeleteFunc(of, func(key, _ string) bool {
		return slices.ContainsFunc(unkept, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
	})
	return of
}

// RemoveCanary deletes the canary Service.
func (s Set) RemoveCanary(ctx context.Context) error {
	name := s.record.CanaryService()
	err := kube.Retry(ctx, func(ctx context.Context) error {
		err := s.client.Delete(ctx, name, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete service %s/%s: %w", s.record.Namespace, name, err)
	}
	return nil
}

// NarrowByHash points every Service at the pods of one ReplicaSet, the canary
// Service first because its pods stay the same, and waits for the endpoints.
func (s Set) NarrowByHash(ctx context.Context, hash string) error {
	if err := s.AimCanary(ctx, s.ByHash(hash)); err != nil {
		return err
	}
	if err := s.Narrow(ctx, appsv1.DefaultDeploymentUniqueLabelKey, hash); err != nil {
		return err
	}
	for _, user := range s.record.Services {
		err := s.watch.Until(ctx, func(context.Context) error { return s.endpointsFrom(user.Name, hash) })
		if err != nil {
			return fmt.Errorf("wait for the endpoints of service %s/%s: %w", s.record.Namespace, user.Name, err)
		}
	}
	return nil
}

// endpointsFrom returns nil if the Service has ready endpoints and all of them
// are pods with hash.
func (s Set) endpointsFrom(service, hash string) error {
	ready, strange := 0, 0
	for _, slice := range s.watch.EndpointSlices(service) {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			pod := s.watch.EndpointPod(e)
			if pod == nil || pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != hash {
				strange++
				continue
			}
			ready++
		}
	}
	if ready == 0 || strange > 0 {
		return fmt.Errorf("%w: %d endpoints are expected pods, %d are others", kube.ErrNotYet, ready, strange)
	}
	return nil
}

// ReadyEndpoints counts the canary Service's ready endpoints.
func (s Set) ReadyEndpoints() int {
	ready := 0
	for _, slice := range s.watch.EndpointSlices(s.record.CanaryService()) {
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				ready++
			}
		}
	}
	return ready
}
