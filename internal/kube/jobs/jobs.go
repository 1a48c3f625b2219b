// Package jobs runs Jobs and reads how they ended.
package jobs

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/yaml"
	apiwatch "k8s.io/apimachinery/pkg/watch"

	"github.com/candlefish/deploy-action/internal/kube"
)

// Permissions lists what a check by a Job needs beside kube.Permissions.
var Permissions = []kube.Permission{
	{Group: "batch", Resource: "jobs", Verbs: []string{"create", "get", "list", "watch", "delete"}, Why: "Run the release (run-in: cluster) or custom checks as Jobs"},
}

// Valid returns an error for an invalid Job manifest, YAML or JSON.
func Valid(manifest []byte) error {
	_, err := parse(manifest)
	return err
}

func parse(manifest []byte) (*batchv1.Job, error) {
	var job batchv1.Job
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	if err := d.Decode(&job); err != nil {
		return nil, fmt.Errorf("read the job's manifest: %w", err)
	}
	if job.Kind != "Job" || len(job.Spec.Template.Spec.Containers) == 0 {
		return nil, fmt.Errorf("read the job's manifest: %s %q with %d containers, want a Job with at least one",
			job.APIVersion, job.Kind, len(job.Spec.Template.Spec.Containers))
	}
	return &job, nil
}

// Run runs the Job of a manifest in a namespace for the rollout of a
// Deployment, with env in all its containers, and waits until it completes or
// fails. log is the end of its pod's log. Run always deletes the Job. An
// error means that the Job did not finish.
func Run(ctx context.Context, c *kube.Cluster, namespace, deployment string, manifest []byte, env map[string]string) (succeeded bool, reason string, log []string, err error) {
	job, err := parse(manifest)
	if err != nil {
		return false, "", nil, err
	}
	job.Name, job.GenerateName, job.Namespace = strings.TrimSuffix(job.Name[:min(len(job.Name), 50)], "-")+"-"+rand.String(5), "", namespace
	if job.Labels == nil {
		job.Labels = map[string]string{}
	}
	job.Labels[kube.LabelTarget] = deployment
	if job.Spec.Template.Spec.RestartPolicy == "" {
		job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	}
	// A process that is killed cannot delete its Job: the cluster ends it then.
	if deadline, ok := ctx.Deadline(); ok && job.Spec.ActiveDeadlineSeconds == nil {
		limit := int64(max(time.Until(deadline), time.Second).Seconds())
		job.Spec.ActiveDeadlineSeconds = &limit
	}
	if job.Spec.TTLSecondsAfterFinished == nil {
		ttl := int32(60)
		job.Spec.TTLSecondsAfterFinished = &ttl
	}
	if job.Spec.BackoffLimit == nil {
		job.Spec.BackoffLimit = new(int32) // no retries: a failed check stays failed
	}
	for i := range job.Spec.Template.Spec.Containers {
		container := &job.Spec.Template.Spec.Containers[i]
		for name, value := range env {
			container.Env = append(container.Env, corev1.EnvVar{Name: name, Value: value})
		}
	}
	jobs := c.Typed.BatchV1().Jobs(namespace)
	what := fmt.Sprintf("job %s/%s", namespace, job.Name)
	if _, err := jobs.Create(ctx, job, metav1.CreateOptions{FieldManager: kube.FieldManager}); err != nil {
		return false, "", nil, fmt.Errorf("create %s: %w", what, err)
	}
	defer func() {
		remove, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		background := metav1.DeletePropagationBackground
		_ = kube.Retry(remove, func(ctx context.Context) error { // best effort: nothing depends on it, and its label names its owner
			err := jobs.Delete(ctx, job.Name, metav1.DeleteOptions{PropagationPolicy: &background})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		})
	}()
	condition, err := await(ctx, c, namespace, job.Name)
	log = logOf(context.WithoutCancel(ctx), c, namespace, job.Name)
	if err != nil {
		return false, "", log, fmt.Errorf("wait for %s: %w", what, err)
	}
	reason = strings.TrimSuffix(fmt.Sprintf("%s: %s %s", what, condition.Type, condition.Message), " ")
	return condition.Type == batchv1.JobComplete, reason, log, nil
}

// await waits for the final condition of a Job. It restarts an interrupted
// watch.
func await(ctx context.Context, c *kube.Cluster, namespace, name string) (batchv1.JobCondition, error) {
	jobs := c.Typed.BatchV1().Jobs(namespace)
	only := metav1.ListOptions{FieldSelector: "metadata.name=" + name}
	for {
		w, err := jobs.Watch(ctx, only)
		if err == nil {
			if condition, ok := endOf(w); ok {
				return condition, nil
			}
		} else if !kube.IsTransient(err) {
			return batchv1.JobCondition{}, err
		}
		select {
		case <-ctx.Done():
			return batchv1.JobCondition{}, fmt.Errorf("it did not finish in time: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// endOf reads a watch of one Job until the Job has finished.
func endOf(w apiwatch.Interface) (batchv1.JobCondition, bool) {
	defer w.Stop()
	for e := range w.ResultChan() {
		job, ok := e.Object.(*batchv1.Job)
		if !ok {
			continue
		}
		if c, ended := End(job); ended {
			return c, true
		}
	}
	return batchv1.JobCondition{}, false
}

// End returns the final condition of a Job, false while it runs.
func End(job *batchv1.Job) (batchv1.JobCondition, bool) {
	for _, c := range job.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return c, true
		}
	}
	return batchv1.JobCondition{}, false
}

// NewestPod returns the newest pod of a Job, nil if there is none to read.
func NewestPod(ctx context.Context, c *kube.Cluster, namespace, job string) *corev1.Pod {
	selector := labels.SelectorFromSet(labels.Set{batchv1.JobNameLabel: job})
	pods, err := c.Typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil || len(pods.Items) == 0 {
		return nil
	}
	newest := &pods.Items[0]
	for i := range pods.Items {
		if p := &pods.Items[i]; p.CreationTimestamp.After(newest.CreationTimestamp.Time) {
			newest = p
		}
	}
	return newest
}

// logOf returns the end of the log of the Job's newest pod, nil if there is
// none to read.
func logOf(ctx context.Context, c *kube.Cluster, namespace, name string) []string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	pod := NewestPod(ctx, c, namespace, name)
	if pod == nil {
		return nil
	}
	tail, limit := int64(kube.LogLines), int64(16<<10)
	raw, err := c.Typed.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: pod.Spec.Containers[0].Name, TailLines: &tail, LimitBytes: &limit,
	}).DoRaw(ctx)
	if err != nil || len(raw) == 0 {
		return nil
	}
	return strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
}
