package rolling

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/candlefish/deploy-action/internal/kube/updates"
	"github.com/candlefish/deploy-action/internal/release"
)

// Changes says what a release writes beside the pods' images, one line each: what holds
// the controller back meanwhile, and what stays.
func Changes(record *release.Record) ([]string, error) {
	var before, after updates.Settings
	if err := json.Unmarshal(record.Rolling.Before, &before); err != nil {
		return nil, fmt.Errorf("decode the update settings: %w", err)
	}
	if err := json.Unmarshal(record.Rolling.After, &after); err != nil {
		return nil, fmt.Errorf("decode the update settings: %w", err)
	}
	lines := []string{during(before, record)}
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if before.MinReady != after.MinReady {
		add("stays in %s: minReadySeconds %d -> %d", record.Workload(), before.MinReady, after.MinReady)
	}
	if b, a := before.Deployment, after.Deployment; a != nil && a.RollingUpdate != nil && b.RollingUpdate != nil {
		if from, to := number(b.RollingUpdate.MaxUnavailable), number(a.RollingUpdate.MaxUnavailable); from != to {
			add("stays in %s: maxUnavailable %s -> %s", record.Workload(), from, to)
		}
		if from, to := number(b.RollingUpdate.MaxSurge), number(a.RollingUpdate.MaxSurge); from != to {
			add("stays in %s: maxSurge %s -> %s", record.Workload(), from, to)
		}
	}
	if sleep := record.Rolling.PreStop; sleep > 0 {
		add("stays in %s: container %s gets a preStop sleep of %s, and the pods as much more grace period; the pods that this release stops do not have it yet", record.Workload(), record.Container, sleep)
	}
	return lines, nil
}

func number(n *intstr.IntOrString) string {
	if n == nil {
		return "25%" // the default of a Deployment
	}
	return n.String()
}

// during says what holds a controller back during a release.
func during(before updates.Settings, record *release.Record) string {
	const back = "; put back at its end"
	switch {
	case before.Deployment != nil:
		return fmt.Sprintf("during the release %s gets minReadySeconds %d and a maxSurge and maxUnavailable by numbers, so its controller replaces the pods that it is asked to and no other%s", record.Workload(), updates.Never, back)
	case before.OnDelete():
		return fmt.Sprintf("%s has the update strategy OnDelete: the release deletes the old pods, the highest ordinal first", record.Workload())
	case before.StatefulSet != nil:
		return fmt.Sprintf("during the release %s gets a partition that steps down from the highest ordinal%s", record.Workload(), back)
	default:
		return fmt.Sprintf("during the release %s gets the update strategy OnDelete, and the release deletes the old pods, one after another: a DaemonSet has no partition%s", record.Workload(), back)
	}
}

// Promises says what a rolling update cannot promise.
func Promises(record *release.Record) []string {
	lines := []string{"a rolling update replaces pods: there is no instant way back, the pods of the old version start again on the way back, and an application that ignores SIGTERM loses the requests that it holds"}
	if Surge(record) == 0 {
		lines = append(lines, fmt.Sprintf("%s stops an old pod before its successor starts: one of %d pods is missing at a time", record.Workload(), record.Replicas))
	}
	return lines
}
