// Package admission asks the API server whether it would take the pods of a
// canary, before a rollout changes anything: pod security, limit ranges, quotas
// and webhooks answer a dry run as they answer the real request. It also compares
// what the pods need with the free part of quotas and nodes.
package admission

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/kube"
)

// patience bounds all requests of one Admit. A webhook may take 30 s to time
// out, and then refuses.
const patience = 40 * time.Second

// dryRun runs all of admission and stores nothing.
var dryRun = metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: kube.FieldManager}

// Admit creates a Deployment and one pod from its template in a dry run, and
// compares the needs of pods such pods with the namespace's quotas and with the
// cluster's nodes. pods is the largest number that runs beside the present ones.
//
// Refusals are the reasons why the pods cannot appear, each as a sentence.
// Warnings do not prevent a rollout: no room on the nodes now, which an
// autoscaler may make, and what could not be asked.
func Admit(ctx context.Context, c *kube.Cluster, d *appsv1.Deployment, pods int) (refusals, warnings []string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var a answers
	_, err := c.Typed.AppsV1().Deployments(d.Namespace).Create(ctx, d, dryRun)
	if !apierrors.IsAlreadyExists(err) {
		a.note("deployment "+d.Name, err)
	}
	return a.pods(ctx, c, d, pods)
}

// AdmitPods is Admit for the pods alone: what owns them exists, and has the name and
// the template of d.
func AdmitPods(ctx context.Context, c *kube.Cluster, d *appsv1.Deployment, pods int) (refusals, warnings []string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return (&answers{}).pods(ctx, c, d, pods)
}

// pods asks for the pods of d, and returns all answers.
func (a *answers) pods(ctx context.Context, c *kube.Cluster, d *appsv1.Deployment, pods int) (refusals, warnings []string) {
	pod, err := c.Typed.CoreV1().Pods(d.Namespace).Create(ctx, podOf(d), dryRun)
	if a.note("the pods of deployment "+d.Name, err); err != nil {
		return a.refusals, a.warnings
	}
	a.refusals = append(a.refusals, overQuotas(ctx, c, pod, pods)...)
	a.warnings = append(a.warnings, overNodes(ctx, c, pod, pods)...)
	return a.refusals, a.warnings
}

// podOf returns a pod as the ReplicaSet controller would create it.
func podOf(d *appsv1.Deployment) *corev1.Pod {
	template := d.Spec.Template.DeepCopy()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: d.Name + "-dry-run-", Namespace: d.Namespace, Labels: template.Labels, Annotations: template.Annotations,
		},
		Spec: template.Spec,
	}
}

// answers are the API server's, as sentences.
type answers struct{ refusals, warnings []string }

// note adds the answer to a dry run of what.
func (a *answers) note(what string, err error) {
	var status apierrors.APIStatus
	switch {
	case err == nil:
	case !errors.As(err, &status):
		a.warnings = append(a.warnings, fmt.Sprintf("it is unknown whether the API server takes %s: %v", what, err))
	case strings.Contains(err.Error(), "does not support dry run"):
		a.warnings = append(a.warnings, fmt.Sprintf("it is unknown whether the API server takes %s: %s", what, firstLine(err)))
	default:
		a.refusals = append(a.refusals, fmt.Sprintf("the API server refuses %s: %s", what, firstLine(err)))
	}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
