package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/release"
)

// RevisionOf returns the Revision of a ReplicaSet, without its pods. container
// is the one that the rollout changes.
func RevisionOf(rs *appsv1.ReplicaSet, container string) release.Revision {
	r := release.Revision{ReplicaSet: rs.Name, UID: string(rs.UID), Hash: rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey]}
	for _, c := range rs.Spec.Template.Spec.Containers {
		if c.Name == container {
			r.Image = c.Image
		}
	}
	return r
}

// LogLines is the number of lines read from the end of a pod's log for a
// report.
const LogLines = 20

// NotePod adds a pod and its image digest to the revision.
func NotePod(r *release.Revision, pod *corev1.Pod, container string) {
	id := release.Pod{Name: pod.Name, UID: string(pod.UID)}
	for _, c := range pod.Status.ContainerStatuses {
		id.Restarts += c.RestartCount
		if c.Name != container {
			continue
		}
		if _, digest, ok := strings.Cut(c.ImageID, "@"); ok && !slices.Contains(r.Digests, digest) {
			r.Digests = append(r.Digests, digest)
		}
	}
	r.Pods = append(r.Pods, id)
}

// PodCondition returns a pod's condition of a kind, nil if there is none.
func PodCondition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// PodReady reports whether a pod has the condition Ready.
func PodReady(pod *corev1.Pod) bool {
	c := PodCondition(pod, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// LiveImage returns the image of the first container of a Deployment, "" if the
// Deployment does not exist.
func (c *Cluster) LiveImage(ctx context.Context, namespace, deployment string) (string, error) {
	var image string
	err := Retry(ctx, func(ctx context.Context) error {
		d, err := c.Typed.AppsV1().Deployments(namespace).Get(ctx, deployment, metav1.GetOptions{})
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
