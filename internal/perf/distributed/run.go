package distributed

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/load"
)

const (
	// takeLimit is how long k6-operator may take to notice the TestRun.
	takeLimit = time.Minute
	// startLimit is how long until all pods make load: images are pulled, nodes added.
	startLimit = 10 * time.Minute
	// cleanupLimit bounds the clean-up, also after a signal.
	cleanupLimit = 5 * time.Second
	// eventsEvery is how often events are read while pods are waited for.
	eventsEvery = 3 * time.Second
)

// A run is one scenario.
type run struct {
	Load
	cluster *kube.Cluster
	part    load.Part
	dir     string
	now     func() time.Time
	name    string
	said    string
}

func (r *run) say(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); r.Say != nil && text != r.said {
		r.said = text
		r.Say(load.Name + ": " + text)
	}
}

// measure runs the scenario and removes all that it made.
func (r *run) measure(ctx context.Context) (reading meter.Reading, err error) {
	if err := r.sweep(ctx); err != nil {
		return meter.Reading{}, err
	}
	defer func() { err = errors.Join(err, r.cleanup(ctx)) }()
	if err := r.create(ctx); err != nil {
		return meter.Reading{}, err
	}
	r.say("k6-operator runs %s with %d pods; if this process is killed, remove it by: %s", r.name, r.Pods, r.remove(r.name))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go r.keepAlive(ctx)
	generators, pods, err := r.await(ctx)
	if err != nil {
		return meter.Reading{}, err
	}
	reading, err = r.part.Reading(generators)
	if err != nil {
		return meter.Reading{}, err
	}
	for i, pod := range pods {
		reading.Notes = append(reading.Notes, fmt.Sprintf("%s: pod %s on node %s made %d requests", r.part.Subject, pod.Name, pod.Spec.NodeName, generators[i].Requests()))
	}
	return reading, nil
}

// cleanup deletes the TestRun, whatever ended the run.
func (r *run) cleanup(ctx context.Context) error {
	if r.name == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	if err := r.drop(ctx, r.name); err != nil {
		return fmt.Errorf("the load %s may still run: remove it by: %s: %w", r.name, r.remove(r.name), err)
	}
	return nil
}

// keepAlive says on the ConfigMap that this run is alive. A sign that is not written
// is followed by the next.
func (r *run) keepAlive(ctx context.Context) {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, annotationAlive, r.stamp())
		limited, cancel := context.WithTimeout(ctx, aliveEvery)
		_, _ = r.cluster.Typed.CoreV1().ConfigMaps(r.Namespace).Patch(limited, r.name, types.MergePatchType, []byte(patch), kube.Patching)
		cancel()
	}
}

// await waits until all pods have ended and what they printed was read.
func (r *run) await(ctx context.Context) ([]load.Generator, []*corev1.Pod, error) {
	w, err := r.watch(ctx)
	if err != nil {
		return nil, nil, err
	}
	logs := r.newLogs(w)
	began, started := r.now(), time.Time{}
	events := time.NewTicker(eventsEvery)
	defer events.Stop()
	var warnings []corev1.Event
	for {
		s := w.seen()
		s.want, s.warnings, s.age = r.Pods, warnings, r.now().Sub(began)
		logs.follow(ctx, s.runners())
		text, trouble := s.look()
		if s.stage == "error" {
			trouble = r.refused(ctx, s)
		}
		if trouble == nil {
			if trouble = logs.failed(s); trouble == nil {
				if all, ok := logs.results(s); ok {
					return all, s.runners(), nil
				}
			}
		}
		if trouble != nil {
			return nil, nil, trouble
		}
		r.say("%s", text)
		if started.IsZero() && s.started() {
			started = r.now()
		}
		if err := r.late(began, started, text); err != nil {
			return nil, nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("%s: %w", text, context.Cause(ctx))
		case <-w.wake:
		case <-logs.wake:
		case <-events.C:
			if started.IsZero() {
				warnings = r.warnings(ctx)
			}
		}
	}
}

// late returns an error after the time in which something should have happened.
func (r *run) late(began, started time.Time, text string) error {
	switch {
	case started.IsZero() && r.now().Sub(began) > startLimit:
		return fmt.Errorf("the load did not begin within %v: %s", startLimit, text)
	case !started.IsZero() && r.now().Sub(started) > r.part.Limit:
		return fmt.Errorf("the load did not end within %v: %s", r.part.Limit, text)
	}
	return nil
}

// warnings are the events of the run's objects, nil if they may not be read.
func (r *run) warnings(ctx context.Context) []corev1.Event {
	ctx, cancel := context.WithTimeout(ctx, eventsEvery)
	defer cancel()
	list, err := r.cluster.Typed.CoreV1().Events(r.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning", Limit: 500})
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(list.Items, func(e corev1.Event) bool { return !strings.HasPrefix(e.InvolvedObject.Name, r.name) })
}

// refused says why k6-operator gave up: its own words are only in its log.
func (r *run) refused(ctx context.Context, s seen) error {
	i := slices.IndexFunc(s.pods, func(p *corev1.Pod) bool { return strings.HasPrefix(p.Name, r.name+"-initializer") })
	if i < 0 {
		return errors.New("k6-operator says error, and there is no pod that checked the script: see its log")
	}
	if s.pods[i].Status.Phase == corev1.PodSucceeded {
		return fmt.Errorf("k6-operator refuses the script: it has fewer users at its peak than the %d pods, or an option that k6-operator cannot read; see the log of k6-operator", r.Pods)
	}
	return fmt.Errorf("k6 refuses the script: %s", r.lastWords(ctx, s.pods[i].Name))
}

// lastWords are the end of a pod's log.
func (r *run) lastWords(ctx context.Context, pod string) string {
	ctx, cancel := context.WithTimeout(ctx, cleanupLimit)
	defer cancel()
	lines, limit := int64(kube.LogLines), int64(16<<10)
	raw, err := r.cluster.Typed.CoreV1().Pods(r.Namespace).GetLogs(pod, &corev1.PodLogOptions{TailLines: &lines, LimitBytes: &limit}).DoRaw(ctx)
	if err != nil {
		return "its log cannot be read: " + err.Error()
	}
	if text := strings.Join(strings.Fields(string(raw)), " "); text != "" {
		return text
	}
	return "it printed nothing"
}

// folder of what a pod printed.
func (r *run) folder(pod string) string { return filepath.Join(r.dir, pod) }
