// Package around reads what a namespace has around a workload and a release must
// get along with: pull secrets, disruption budgets, network policies and the nodes'
// platforms. It only reads, and it does without what it may not read.
package around

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A PullSecret is a Secret that a node would pull the pods' images with.
type PullSecret struct {
	Name, Type string
	Data       map[string][]byte
}

// PullSecrets returns the pull secrets of a pod, and those of its service account if
// it names none. Warnings are sentences about those that do not exist or may not be
// read.
func PullSecrets(ctx context.Context, c *kube.Cluster, namespace string, pod corev1.PodSpec) (secrets []PullSecret, warnings []string) {
	names := pod.ImagePullSecrets
	if len(names) == 0 {
		account, err := c.Typed.CoreV1().ServiceAccounts(namespace).Get(ctx, accountOf(pod), metav1.GetOptions{})
		if err != nil {
			return nil, nil // the registry's answer says what is missing
		}
		names = account.ImagePullSecrets
	}
	for _, ref := range names {
		s, err := c.Typed.CoreV1().Secrets(namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		switch {
		case err == nil:
			secrets = append(secrets, PullSecret{s.Name, string(s.Type), s.Data})
		case apierrors.IsNotFound(err):
			warnings = append(warnings, "pull secret "+ref.Name+" of the pods does not exist in namespace "+namespace)
		default:
			warnings = append(warnings, "pull secret "+ref.Name+" cannot be read, so a private registry cannot be asked for the image")
		}
	}
	return secrets, warnings
}

func accountOf(pod corev1.PodSpec) string {
	if pod.ServiceAccountName != "" {
		return pod.ServiceAccountName
	}
	return "default"
}

// maxNodes bounds the list of nodes; their platforms are few.
const maxNodes = 500

// Platforms lists the platforms of the nodes that the pod may run on, as
// "os/architecture"; nil if the nodes may not be listed.
func Platforms(ctx context.Context, c *kube.Cluster, pod corev1.PodSpec) []string {
	nodes, err := c.Typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: maxNodes})
	if err != nil {
		return nil
	}
	var found []string
	for i := range nodes.Items {
		node := &nodes.Items[i]
		platform := node.Status.NodeInfo.OperatingSystem + "/" + node.Status.NodeInfo.Architecture
		if labels.SelectorFromSet(pod.NodeSelector).Matches(labels.Set(node.Labels)) && !node.Spec.Unschedulable && platform != "/" && !slices.Contains(found, platform) {
			found = append(found, platform)
		}
	}
	slices.Sort(found)
	return found
}

// Seen is what is around the workload of a release.
type Seen struct {
	// Obstacles prevent the release, Warnings do not; both are sentences.
	Obstacles, Warnings []string
	Secrets             []PullSecret
	Platforms           []string // of the nodes that its pods may run on, nil if they are not known
}

// Look reads what is around the Deployment of a record. plain says that its pods have
// the labels of the user: those of a release say nothing about policies.
func Look(ctx context.Context, c *kube.Cluster, record *release.Record, plain bool) (Seen, error) {
	var d *appsv1.Deployment
	var seen Seen
	err := kube.Retry(ctx, func(ctx context.Context) (err error) {
		d, err = c.Typed.AppsV1().Deployments(record.Namespace).Get(ctx, record.Deployment, metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return seen, nil // another kind of workload, of which nothing is said
	}
	if err != nil {
		return seen, fmt.Errorf("read deployment %s/%s: %w", record.Namespace, record.Deployment, err)
	}
	if plain {
		w := Workload{Deployment: d, VersionLabel: record.VersionLabel, Stable: string(rollout.SideStable), Canary: string(rollout.SideCanary)}
		seen.Obstacles, seen.Warnings = Find(ctx, c, w)
	}
	pod := d.Spec.Template.Spec
	secrets, warnings := PullSecrets(ctx, c, record.Namespace, pod)
	seen.Secrets, seen.Warnings, seen.Platforms = secrets, append(seen.Warnings, warnings...), Platforms(ctx, c, pod)
	return seen, nil
}

// A Workload is a Deployment and what a release adds to the labels of its pods.
type Workload struct {
	*appsv1.Deployment
	// VersionLabel gets the values Stable and Canary.
	VersionLabel   string
	Stable, Canary string
}

// labelSets returns the labels of the pods now, and during a release.
func (w Workload) labelSets() (now, stable, canary labels.Set) {
	template := w.Spec.Template.Labels
	return template, kube.With(template, w.VersionLabel, w.Stable), kube.With(template, w.VersionLabel, w.Canary)
}

// Find returns what the policies and budgets of the namespace say about a release.
// Obstacles prevent it, warnings do not; both are sentences.
func Find(ctx context.Context, c *kube.Cluster, w Workload) (obstacles, warnings []string) {
	if list, err := c.Typed.NetworkingV1().NetworkPolicies(w.Namespace).List(ctx, metav1.ListOptions{}); err == nil {
		obstacles = policies(w, list.Items)
	}
	if list, err := c.Typed.PolicyV1().PodDisruptionBudgets(w.Namespace).List(ctx, metav1.ListOptions{}); err == nil {
		warnings = budgets(w, list.Items)
	}
	return obstacles, warnings
}
