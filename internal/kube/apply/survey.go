package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/manifest"
	"github.com/candlefish/deploy-action/internal/release"
)

// Permissions lists what a release with manifests needs beside the permissions for
// the kinds in them, which the dry run asks for. secrets says whether there are
// Secrets among them.
func Permissions(secrets bool) []kube.Permission {
	verbs := []string{"get", "list", "create", "update", "patch", "delete"}
	list := []kube.Permission{{Resource: "configmaps", Verbs: verbs, Why: "Keep the configuration of each version, and what a release applied"}}
	if secrets {
		list = append(list, kube.Permission{Resource: "secrets", Verbs: verbs, Why: "Keep the Secrets of each version; needed with Secrets in the manifests only"})
	}
	return list
}

// maxTemplate leaves room for the rest of the record in its ConfigMap, in bytes.
const maxTemplate = 400 << 10

// Survey asks what the manifests of a release would change, and gives its record
// the released pod template and containers. record has those of the live
// Deployment. It changes nothing in the cluster.
func (a *Client) Survey(ctx context.Context, record *release.Record, objects []manifest.Object, prune bool) (*Plan, error) {
	previous, err := Load(ctx, a.cluster, record.Namespace, record.Deployment)
	if err != nil {
		return nil, err
	}
	q := Query{Objects: objects, VersionLabel: record.VersionLabel, Prune: prune, Previous: previous.Inventory}
	err = kube.Retry(ctx, func(ctx context.Context) error {
		q.Deployment, err = a.cluster.Typed.AppsV1().Deployments(record.Namespace).Get(ctx, record.Deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		q.Scaled, err = a.scaled(ctx, record.Deployment, objects)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read deployment %s/%s: %w", record.Namespace, record.Deployment, err)
	}
	p, err := a.Plan(ctx, q)
	if err != nil {
		return nil, err
	}
	p.Previous = previous.Inventory
	if err := p.give(record); err != nil {
		return nil, err
	}
	if raw, err := p.encode(); err != nil || len(raw) > maxStored {
		p.Refusals = append(p.Refusals, fmt.Sprintf("the manifests have %d bytes compressed, at most %d can be kept for the way back", len(raw), maxStored))
	}
	return p, nil
}

// scaled reports whether an autoscaler owns the number of a Deployment's pods, now
// or after the release.
func (a *Client) scaled(ctx context.Context, deployment string, objects []manifest.Object) (bool, error) {
	for _, o := range objects {
		if (o.Kind() == "HorizontalPodAutoscaler" || o.Kind() == "ScaledObject") && o.Value("spec", "scaleTargetRef", "name") == deployment {
			return true, nil
		}
	}
	list, err := a.cluster.Typed.AutoscalingV2().HorizontalPodAutoscalers(a.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	for _, h := range list.Items {
		if h.Spec.ScaleTargetRef.Kind == "Deployment" && h.Spec.ScaleTargetRef.Name == deployment {
			return true, nil
		}
	}
	return false, nil
}

// give gives a record the released pod template.
func (p *Plan) give(record *release.Record) error {
	if p.Template == nil {
		record.Template = nil
		return nil
	}
	raw, err := json.Marshal(p.Template)
	if err != nil {
		return fmt.Errorf("encode the released pod template: %w", err)
	}
	if len(raw) > maxTemplate {
		p.Refusals = append(p.Refusals, fmt.Sprintf("the pod template of deployment %s has %d bytes, at most %d can be recorded for the way back", record.Deployment, len(raw), maxTemplate))
	}
	for _, service := range record.Services {
		selector := map[string]string{}
		for key, value := range service.Selector {
			if key != record.VersionLabel {
				selector[key] = value
			}
		}
		if !labels.SelectorFromSet(selector).Matches(labels.Set(p.Template.Labels)) {
			p.Refusals = append(p.Refusals, fmt.Sprintf("service %s selects %s, which the pods in the manifests do not have", service.Name, labels.FormatLabels(selector)))
		}
	}
	record.Template = raw
	return p.containers(record)
}

// containers gives a record the containers of the released pods.
func (p *Plan) containers(record *release.Record) error {
	before := map[string]string{}
	for _, c := range record.Containers {
		before[c.Name] = c.Previous
	}
	record.Containers = ContainersOf(p.Pod, before)
	i := slices.IndexFunc(record.Containers, func(c release.Container) bool { return c.Name == record.Container && !c.Init })
	if i < 0 {
		p.Refusals = append(p.Refusals, fmt.Sprintf("the pods in the manifests have no container %s, which the live pods have; name one that both have with container-name", record.Container))
		return nil
	}
	record.Image = record.Containers[i].Image
	return nil
}

// ContainersOf returns the containers of a pod, with their images before.
func ContainersOf(pod corev1.PodSpec, before map[string]string) (all []release.Container) {
	add := func(c corev1.Container, init bool) {
		all = append(all, release.Container{Name: c.Name, Init: init, Image: c.Image, Previous: before[c.Name]})
	}
	for _, c := range pod.InitContainers {
		add(c, true)
	}
	for _, c := range pod.Containers {
		add(c, false)
	}
	return all
}

// Recall gives a record the pod template of a revision in the history of its
// Deployment, with all its configuration. It reports whether the revision is there.
func Recall(ctx context.Context, c *kube.Cluster, record *release.Record, replicaSet string) (bool, error) {
	var rs *appsv1.ReplicaSet
	err := kube.Retry(ctx, func(ctx context.Context) error {
		list, err := c.Typed.AppsV1().ReplicaSets(record.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			owner := metav1.GetControllerOf(&list.Items[i])
			if list.Items[i].Name == replicaSet && owner != nil && owner.Name == record.Deployment {
				rs = &list.Items[i]
			}
		}
		return nil
	})
	if err != nil || rs == nil {
		return false, err
	}
	p := Plan{Template: rs.Spec.Template.DeepCopy()}
	delete(p.Template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	delete(p.Template.Labels, record.VersionLabel)
	p.Pod = p.Template.Spec
	if err := p.give(record); err != nil {
		return false, err
	}
	return len(p.Refusals) == 0, nil
}
