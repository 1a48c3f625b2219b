// Package rolling replaces the pods of a Deployment, StatefulSet or DaemonSet by the
// workload's own rolling update, and no further than a release asks for.
//
// What holds the controller back is a setting of the workload, so it holds while no
// process runs:
//
//   - a Deployment gets a minReadySeconds that no pod reaches. Its controller then
//     starts maxSurge new pods and stops maxUnavailable old ones, exactly, and each
//     write of the two lets it go on. A paused Deployment would not do: it keeps its
//     old size plus its surge, so its controller starts another pod of the larger
//     version whenever one stops.
//   - a StatefulSet gets a partition, which steps down from the highest ordinal.
//   - a DaemonSet has neither. It gets the update strategy OnDelete, and the release
//     deletes the old pods. So does a StatefulSet that has this strategy.
//
// The settings are put back when the last old pod goes, and with the recorded template
// when a release is undone: from then on the controller needs nobody.
package rolling

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/fields"
	"github.com/candlefish/deploy-action/internal/kube/health"
	"github.com/candlefish/deploy-action/internal/kube/jobs"
	"github.com/candlefish/deploy-action/internal/kube/updates"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Target is the workload of a rolling update. It implements loop.Target. Pods and
// RolloutPods may be called from any goroutine, the other methods only from the one
// that runs the rollout.
type Target struct {
	cluster *kube.Cluster
	lease   *kube.Lease
	watch   *watch
	health  *health.Monitor
	events  *health.Events
	store   *kube.Store
	failure *workload.PodFailure
	written *updates.Settings // what this process wrote last, nil for nothing
	since   string            // the resource version after that write

	mu     sync.Mutex // guards record.Canary
	record *release.Record
}

// New watches the workload of record. Stop it with Close. Without a lease it may only
// be read.
func New(ctx context.Context, c *kube.Cluster, record *release.Record, lease *kube.Lease) (*Target, error) {
	if record.Rolling == nil {
		return nil, fmt.Errorf("the release record %s does not name the workload of its rolling update", release.ObjectName(record.Deployment))
	}
	w, err := newWatch(ctx, c, record)
	if err != nil {
		return nil, err
	}
	record.Schema = release.Schema
	if lease != nil {
		record.Token = lease.Token
	}
	return &Target{
		cluster: c, lease: lease, watch: w, record: record, store: c.Store(),
		health: health.New(record.Container), events: health.NewEvents(c.Typed, record.Namespace),
	}, nil
}

// Close ends the watches.
func (t *Target) Close() { t.watch.stop() }

// Record returns the newest record. Callers must not change it.
func (t *Target) Record() *release.Record { return t.record }

// Changed returns a channel that signals a change of a watched object.
func (t *Target) Changed() <-chan struct{} { return t.watch.changed }

// Continues does nothing: what an earlier process asked for is asked for again.
func (t *Target) Continues(rollout.State) {}

// Missing names the workload if it does not exist.
func (t *Target) Missing() []string {
	if t.watch.object() == nil {
		return []string{t.record.Workload()}
	}
	return nil
}

// Save records the state, fenced by the lease.
func (t *Target) Save(ctx context.Context, s rollout.State) error {
	t.record.State = s
	return t.store.Save(ctx, t.record)
}

// Do executes one action of a rollout.
func (t *Target) Do(ctx context.Context, a rollout.Action, s rollout.State) error {
	// Check the lease before each change: another run may have taken over.
	if err := t.lease.Check(ctx); err != nil {
		return err
	}
	switch a.Kind {
	case rollout.KindPrepare:
		return t.prepare(ctx)
	case rollout.KindRoll:
		return t.roll(ctx, s)
	case rollout.KindComplete:
		return t.complete(ctx)
	case rollout.KindUndo:
		t.Failure(ctx) // while its pods exist
		return t.undo(ctx)
	case rollout.KindRestore:
		return t.restore(ctx)
	default:
		return fmt.Errorf("unknown action %d", a.Kind)
	}
}

// doing adds what was being done to an error.
func doing(t *Target, what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s of %s in %s: %w", what, t.record.Workload(), t.record.Namespace, err)
}

// prepare compares what is live with the survey: somebody may have changed it since.
// It changes nothing.
func (t *Target) prepare(ctx context.Context) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		o, err := t.watch.get(ctx)
		if err != nil {
			return err
		}
		return sameAs(t, o, t.record.Stable)
	})
	return doing(t, "compare the pod template", err)
}

// sameAs returns a *rollout.DriftError unless a workload has the template of a revision.
func sameAs(t *Target, o *updates.Object, r release.Revision) error {
	template, err := t.watch.Template(r)
	if err != nil {
		return err
	}
	if !updates.SameTemplate(template, o.Template) {
		return &rollout.DriftError{Who: fields.Writer(o.Meta, "spec", "template"), What: "the pod template of " + t.record.Workload()}
	}
	return nil
}

// roll lets the controller go on until s.Pods are new, and records the new revision.
func (t *Target) roll(ctx context.Context, s rollout.State) error {
	var gate updates.Settings
	err := kube.Retry(ctx, func(ctx context.Context) error {
		o, err := t.watch.get(ctx)
		if err != nil {
			return err
		}
		patch := jsonpatch.Guarded(o.Meta.GetResourceVersion())
		template, err := Template(t.record, o.Template)
		if err != nil {
			return err
		}
		if !updates.SameTemplate(template, o.Template) { // an earlier attempt may have written it
			if err := sameAs(t, o, t.record.Stable); err != nil {
				return err
			}
			patch = patch.Replace("/spec/template", template)
		}
		gate = settingsOf(t).Gate(s, o.Replicas)
		if o, err = t.watch.write(ctx, gate.Write(patch)); err != nil {
			return err
		}
		t.written, t.since = &o.Settings, o.Meta.GetResourceVersion()
		return nil
	})
	if err == nil {
		t.health.Want(s.Pods)
		err = kube.Retry(ctx, t.note)
	}
	if err == nil {
		err = kube.Retry(ctx, func(ctx context.Context) error { return t.replace(ctx, gate, s.Pods) })
	}
	return doing(t, fmt.Sprintf("replace pods until %d are new", s.Pods), err)
}

// note records the new revision as soon as the controller has made it and the watch
// has it.
func (t *Target) note(ctx context.Context) error {
	o, err := t.watch.get(ctx)
	if err != nil {
		return err
	}
	r, err := t.watch.Newest(ctx, o, t.record.Container)
	if err != nil {
		return err
	}
	if _, err := t.watch.Template(r); err != nil {
		return fmt.Errorf("%w: %w", kube.ErrNotYet, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.record.Canary.UID != r.UID {
		t.record.Canary = r
	}
	return nil
}

// replace deletes old pods until so many are new or on their way, if the controller
// waits for that.
func (t *Target) replace(ctx context.Context, gate updates.Settings, pods int) error {
	if !gate.OnDelete() {
		return nil
	}
	all, err := t.watch.readPods(ctx)
	if err != nil {
		return err
	}
	_, canary := revisions(t)
	for _, pod := range outdated(all, func(pod *corev1.Pod) bool { return t.watch.IsOf(pod, canary) }, pods) {
		if err := deletePod(ctx, t, pod); err != nil {
			return err
		}
	}
	return nil
}

func deletePod(ctx context.Context, t *Target, pod *corev1.Pod) error {
	err := t.cluster.Typed.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	return ignoreMissing(err)
}

// complete puts the settings back that the release leaves. The controller replaces the
// last pods by them.
func (t *Target) complete(ctx context.Context) error {
	var after updates.Settings
	if err := json.Unmarshal(t.record.Rolling.After, &after); err != nil {
		return fmt.Errorf("decode the settings of the release record: %w", err)
	}
	err := kube.Retry(ctx, func(ctx context.Context) error {
		o, err := t.watch.get(ctx)
		if err != nil {
			return err
		}
		if err := sameAs(t, o, t.record.Canary); err != nil {
			return err
		}
		_, err = t.watch.write(ctx, after.Write(jsonpatch.Guarded(o.Meta.GetResourceVersion())))
		return err
	})
	t.written = nil
	if err != nil {
		return doing(t, "put the settings back", err)
	}
	return t.disown(ctx)
}

// undo gives the workload the recorded template and settings by one write, and removes
// what would keep a controller from following it.
func (t *Target) undo(ctx context.Context) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		o, err := t.watch.get(ctx)
		if err != nil {
			return err
		}
		template, err := t.watch.Template(t.record.Stable)
		if err != nil {
			return err
		}
		patch := jsonpatch.Guarded(o.Meta.GetResourceVersion())
		if !updates.SameTemplate(template, o.Template) {
			patch = patch.Replace("/spec/template", template)
		}
		_, err = t.watch.write(ctx, settingsOf(t).Undoing().Write(patch))
		return err
	})
	t.written = nil
	if err != nil {
		return doing(t, "undo the update", err)
	}
	return doing(t, "delete the broken pods", kube.Retry(ctx, func(ctx context.Context) error { return unblock(ctx, t) }))
}

// unblock deletes the new pods of a StatefulSet that are not ready: its controller
// waits for each of them, also on the way back,
// https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback.
func unblock(ctx context.Context, t *Target) error {
	if t.record.Rolling.Kind != updates.StatefulSet {
		return nil
	}
	all, err := t.watch.readPods(ctx)
	if err != nil {
		return err
	}
	stable, _ := revisions(t)
	for i := range all {
		if pod := &all[i]; pod.DeletionTimestamp == nil && !t.watch.IsOf(pod, stable) && !kube.PodReady(pod) {
			if err := deletePod(ctx, t, pod); err != nil {
				return err
			}
		}
	}
	return nil
}

// restore ends an undo: the settings are those from before, and no field is ours.
func (t *Target) restore(ctx context.Context) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		o, err := t.watch.get(ctx)
		if err != nil {
			return ignoreMissing(err)
		}
		before := settingsOf(t)
		if equality.Semantic.DeepEqual(before, o.Settings) {
			return nil
		}
		_, err = t.watch.write(ctx, before.Write(jsonpatch.Guarded(o.Meta.GetResourceVersion())))
		return err
	})
	if err != nil {
		return doing(t, "put the settings back", err)
	}
	return t.disown(ctx)
}

// disown removes our field manager from the workload; the fields stay.
func (t *Target) disown(ctx context.Context) error {
	err := kube.Retry(ctx, func(ctx context.Context) error {
		o, err := t.watch.get(ctx)
		if err != nil {
			return ignoreMissing(err)
		}
		if patch := fields.Disown(o.Meta); !patch.Empty() {
			_, err = t.watch.write(ctx, patch)
		}
		return err
	})
	return doing(t, "give up the fields", err)
}

// settingsOf returns the settings from before the release.
func settingsOf(t *Target) updates.Settings {
	var before updates.Settings
	if err := json.Unmarshal(t.record.Rolling.Before, &before); err != nil {
		panic("rolling: settings that Before encoded: " + err.Error())
	}
	return before
}

func revisions(t *Target) (stable, canary release.Revision) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.record.Stable, t.record.Canary
}

// RunJob runs a Job beside the workload; see jobs.Run.
func (t *Target) RunJob(ctx context.Context, manifest []byte, env map[string]string) (succeeded bool, reason string, log []string, err error) {
	return jobs.Run(ctx, t.cluster, t.record.Namespace, t.record.Deployment, manifest, env)
}
