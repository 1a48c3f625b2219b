// Package detached runs a release as a Job in the cluster, so that it outlives
// the process that started it, and attaches to such a Job from anywhere.
//
// The Job's process is the same program with the same inputs. Its run ID is the
// starter's; a pod that replaces another one goes on with the recorded rollout of
// that run. The pod ends successfully once the result is stored, whatever the
// result is: only a process that could not finish is started again.
package detached

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/jobs"
	"github.com/candlefish/deploy-action/internal/release"
)

// The environment of the Job's process.
const (
	// EnvRun has the run as JSON, see release.Run.
	EnvRun = "CANDLEFISH_DETACHED_RUN"
	// FilesDir is the folder of Spec.Files.
	FilesDir = "/etc/candlefish"
)

// A Spec is a release to run as a Job.
type Spec struct {
	Namespace, Deployment string
	Image                 string // of this program
	ServiceAccount        string
	Args                  []string
	Env                   map[string]string
	// Files are mounted into FilesDir, by name.
	Files map[string]string
	// PodPatch is a strategic merge patch of the pod template's spec, YAML or JSON:
	// tolerations, a proxy, secrets; "" for none.
	PodPatch string
	Run      release.Run
}

// Name returns the name of the Job of a target, and of its ConfigMap.
func Name(deployment string) string { return deployment + "-rollout-job" }

// keepFinished is how long a finished Job and its result stay, in seconds.
const keepFinished = 24 * 3600

// retries bounds the replacements of a pod.
const retries = 100

// resultKey is the key of the Result in the ConfigMap.
const resultKey = "result.json"

// A Result is how a detached run ended.
type Result struct {
	RunID   string            `json:"run_id"`
	Status  int               `json:"status"` // exit status
	Error   string            `json:"error,omitempty"`
	Hint    string            `json:"hint,omitempty"`
	Outputs map[string]string `json:"outputs,omitempty"`
	Summary string            `json:"summary,omitempty"`
	Report  json.RawMessage   `json:"report,omitempty"`
}

// An ActiveError says that the target already has a Job that has not ended.
type ActiveError struct{ Job, Run string }

func (e *ActiveError) Error() string {
	return fmt.Sprintf("job %s of run %s has not ended", e.Job, e.Run)
}

// Start creates the Job, after the removal of a finished one. It returns an
// *ActiveError if one is running.
func Start(ctx context.Context, c *kube.Cluster, s Spec) error {
	job, err := s.job()
	if err != nil {
		return err
	}
	if err := remove(ctx, c, s.Namespace, job.Name); err != nil {
		return err
	}
	what := fmt.Sprintf("job %s/%s", s.Namespace, job.Name)
	created, err := c.Typed.BatchV1().Jobs(s.Namespace).Create(ctx, job, kube.Creating)
	if err != nil {
		return fmt.Errorf("create %s: %w", what, err)
	}
	files := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: job.Name, OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(created, batchv1.SchemeGroupVersion.WithKind("Job"))}},
		Data:       s.Files,
	}
	err = kube.Retry(ctx, func(ctx context.Context) error {
		_, err := c.Typed.CoreV1().ConfigMaps(s.Namespace).Create(ctx, files, kube.Creating)
		if apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("%w: the files of an earlier run are being removed", kube.ErrNotYet)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create the files of %s: %w", what, err)
	}
	return nil
}

// remove deletes a finished Job and waits until it is gone.
func remove(ctx context.Context, c *kube.Cluster, namespace, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	background := metav1.DeletePropagationBackground
	err := kube.Retry(ctx, func(ctx context.Context) error {
		job, err := c.Typed.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if !finished(job) {
			return &ActiveError{Job: namespace + "/" + name, Run: job.Annotations[kube.AnnotationRun]}
		}
		if job.DeletionTimestamp == nil {
			if err := c.Typed.BatchV1().Jobs(namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
		return fmt.Errorf("%w: the finished job is being removed", kube.ErrNotYet)
	})
	var active *ActiveError
	if err != nil && !errors.As(err, &active) {
		return fmt.Errorf("remove job %s/%s: %w", namespace, name, err)
	}
	return err
}

func finished(job *batchv1.Job) bool {
	_, ended := jobs.End(job)
	return ended
}

// job returns the Job of s.
func (s Spec) job() (*batchv1.Job, error) {
	name := Name(s.Deployment)
	marks := map[string]string{kube.LabelTarget: s.Deployment}
	run, err := json.Marshal(s.Run)
	if err != nil {
		return nil, fmt.Errorf("encode the run: %w", err)
	}
	container := corev1.Container{
		Name: "deploy", Image: s.Image, Args: s.Args,
		Env: []corev1.EnvVar{{Name: EnvRun, Value: string(run)}},
		// The log of the rollout and its report need a place; the image has none.
		VolumeMounts: []corev1.VolumeMount{{Name: "files", MountPath: FilesDir}, {Name: "work", MountPath: "/work"}},
		WorkingDir:   "/work",
	}
	for key, value := range s.Env {
		container.Env = append(container.Env, corev1.EnvVar{Name: key, Value: value})
	}
	replacements, ttl, failed := int32(retries), int32(keepFinished), batchv1.Failed
	pod := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, ServiceAccountName: s.ServiceAccount, Containers: []corev1.Container{container},
		Volumes: []corev1.Volume{
			{Name: "files", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}},
			{Name: "work", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	}
	if pod, err = patched(pod, s.PodPatch); err != nil {
		return nil, err
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: marks, Annotations: map[string]string{kube.AnnotationRun: s.Run.ID}},
		Spec: batchv1.JobSpec{
			BackoffLimit: &replacements, TTLSecondsAfterFinished: &ttl, PodReplacementPolicy: &failed,
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: marks}, Spec: pod},
		},
	}, nil
}

// patched applies the user's patch to the pod.
func patched(pod corev1.PodSpec, patch string) (corev1.PodSpec, error) {
	if patch == "" {
		return pod, nil
	}
	raw, err := yaml.ToJSON([]byte(patch))
	if err != nil {
		return pod, fmt.Errorf("read the patch of the pod: %w", err)
	}
	original, err := json.Marshal(pod)
	if err != nil {
		return pod, fmt.Errorf("encode the pod: %w", err)
	}
	merged, err := strategicpatch.StrategicMergePatch(original, raw, corev1.PodSpec{})
	if err != nil {
		return pod, fmt.Errorf("patch the pod: %w", err)
	}
	var out corev1.PodSpec
	if err := json.Unmarshal(merged, &out); err != nil {
		return pod, fmt.Errorf("patch the pod: %w", err)
	}
	return out, nil
}

// Store keeps the result of a detached run beside its Job.
func Store(ctx context.Context, c *kube.Cluster, namespace, deployment string, r Result) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	maps := c.Typed.CoreV1().ConfigMaps(namespace)
	err = kube.Retry(ctx, func(ctx context.Context) error {
		m, err := maps.Get(ctx, Name(deployment), metav1.GetOptions{})
		if err != nil {
			return err
		}
		m.Data = kube.With(m.Data, resultKey, string(raw))
		_, err = maps.Update(ctx, m, metav1.UpdateOptions{FieldManager: kube.FieldManager})
		return err
	})
	if err != nil {
		return fmt.Errorf("store the result in configmap %s/%s: %w", namespace, Name(deployment), err)
	}
	return nil
}

// Targets lists the Deployments whose releases run, or ran, as Jobs.
func Targets(ctx context.Context, c *kube.Cluster, namespace string) ([]string, error) {
	var targets []string
	err := kube.Retry(ctx, func(ctx context.Context) error {
		targets = nil
		jobs, err := c.Typed.BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{LabelSelector: kube.LabelTarget})
		if err != nil {
			return err
		}
		for _, job := range jobs.Items {
			if target := job.Labels[kube.LabelTarget]; job.Name == Name(target) {
				targets = append(targets, target)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the jobs of namespace %s: %w", namespace, err)
	}
	return targets, nil
}

// ErrNoJob says that a target has no Job to attach to.
var ErrNoJob = errors.New("it never ran as a job in the cluster, or ended more than a day ago")

// ErrLost says that a Job ended without a result.
var ErrLost = errors.New("the job ended without a result")

// Attach prints the log of the target's Job until it has ended, and returns its
// result. A connection or a pod that is lost does not end it.
func Attach(ctx context.Context, c *kube.Cluster, namespace, deployment string, print func(line string)) (Result, error) {
	l := logs{cluster: c, namespace: namespace, job: Name(deployment), print: print, seen: map[string]time.Time{}}
	for there := false; ; there = true {
		r, done, err := l.result(ctx, deployment)
		if there && errors.Is(err, ErrNoJob) {
			err = fmt.Errorf("job %s/%s was deleted: %w", namespace, l.job, ErrLost)
		}
		if done || err != nil {
			return r, err
		}
		l.follow(ctx)
		select {
		case <-ctx.Done():
			return Result{}, context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

// logs follows the log of a Job over its pods.
type logs struct {
	cluster        *kube.Cluster
	namespace, job string
	print          func(line string)
	seen           map[string]time.Time // the last line's time, by pod
}

// result reads the Result of a Job, if the Job has ended.
func (l *logs) result(ctx context.Context, deployment string) (r Result, done bool, err error) {
	err = kube.Retry(ctx, func(ctx context.Context) error {
		job, err := l.cluster.Typed.BatchV1().Jobs(l.namespace).Get(ctx, l.job, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return ErrNoJob
		}
		if err != nil {
			return err
		}
		m, err := l.cluster.Typed.CoreV1().ConfigMaps(l.namespace).Get(ctx, l.job, metav1.GetOptions{})
		if apierrors.IsNotFound(err) && !finished(job) {
			return nil // it has just been created
		}
		if err != nil {
			return err
		}
		if raw, ok := m.Data[resultKey]; ok && finished(job) {
			done = true
			return json.Unmarshal([]byte(raw), &r)
		}
		if finished(job) {
			return ErrLost
		}
		return nil
	})
	if err != nil {
		return r, false, fmt.Errorf("read job %s/%s of deployment %s: %w", l.namespace, l.job, deployment, err)
	}
	return r, done, nil
}

// follow prints the log of the Job's newest pod until the connection ends. It
// asks for what came after the last line, and skips what it has printed.
func (l *logs) follow(ctx context.Context) {
	newest := jobs.NewestPod(ctx, l.cluster, l.namespace, l.job)
	if newest == nil {
		return
	}
	pod := newest.Name
	options := &corev1.PodLogOptions{Container: "deploy", Follow: true, Timestamps: true}
	last := l.seen[pod]
	if !last.IsZero() {
		since := metav1.NewTime(last)
		options.SinceTime = &since
	}
	stream, err := l.cluster.Typed.CoreV1().Pods(l.namespace).GetLogs(pod, options).Stream(ctx)
	if err != nil {
		return // the next round tries again
	}
	defer func() { _ = stream.Close() }() // only read
	l.copy(pod, stream, last)
}

func (l *logs) copy(pod string, stream io.Reader, last time.Time) {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		stamp, text, _ := strings.Cut(lines.Text(), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil || !at.After(last) {
			continue
		}
		l.seen[pod] = at
		l.print(text)
	}
}
