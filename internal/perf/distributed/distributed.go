// Package distributed makes a load on a cluster, by Grafana's k6-operator: several pods
// run k6 together, each with its share of the users.
//
// The pods print each sample, and the samples of all are merged: the percentiles of a
// load cannot be had from those of its parts. What a pod printed is held against what
// it counted itself, so that a log that was cut gives no numbers.
package distributed

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/load"
)

// ceiling bounds a round. Each wait in it has a shorter limit of its own.
const ceiling = 8 * time.Hour

// Load is the meter: the one of package load, with pods as generators.
type Load struct {
	// Connect returns the cluster. It sends no request to it.
	Connect   func(context.Context) (*kube.Cluster, error)
	Namespace string
	Pods      int
	Image     string // of the pods, with k6 and sh
	// StarterImage has curl and sh; "" is that of the operator.
	StarterImage string
	Lookup       func(host string) ([]netip.Addr, error)
	// Say tells people what is waited for.
	Say func(string)
}

// About implements meter.Meter.
func (Load) About() meter.About {
	return meter.About{Name: load.Name, Does: "load by k6 on a cluster", Network: true, Time: ceiling, Once: true, ByURL: true}
}

func (l Load) single() load.Load { return load.Load{Lookup: l.Lookup} }

// Applies implements meter.Meter.
func (l Load) Applies(job meter.Job) (bool, string) { return l.single().Applies(job) }

// Problems implements meter.Meter.
func (l Load) Problems(job meter.Job) []error {
	if applies, _ := l.Applies(job); !applies {
		return nil
	}
	wrong := l.single().Problems(job)
	if l.Namespace == "" {
		wrong = append(wrong, errors.New("distributed load: set load-namespace, the namespace in which k6 runs"))
	}
	if len(wrong) > 0 {
		return wrong
	}
	parts, err := l.single().Parts(job)
	if err != nil {
		return []error{err}
	}
	for _, part := range parts {
		if part.Users > 0 && part.Users < l.Pods {
			wrong = append(wrong, fmt.Errorf("distributed load: the scenario %s has %d users, fewer than the %d pods: set load-pods or users", part.Subject, part.Users, l.Pods))
		}
	}
	return wrong
}

// Measure implements meter.Check.
func (l Load) Measure(ctx context.Context, job meter.Job) (meter.Reading, error) {
	parts, err := l.single().Parts(job)
	if err != nil {
		return meter.Reading{}, err
	}
	cluster, err := l.Connect(ctx)
	if err != nil {
		return meter.Reading{}, fmt.Errorf("distributed load: %w", err)
	}
	if err := l.ready(ctx, cluster, len(job.Header) > 0); err != nil {
		return meter.Reading{}, fmt.Errorf("distributed load: %w", err)
	}
	all := meter.Reading{Versions: map[string]string{"k6": l.Image, "k6-pods": fmt.Sprint(l.Pods)}}
	for i, part := range parts {
		r := run{Load: l, cluster: cluster, part: part, dir: filepath.Join(job.Scratch, fmt.Sprintf("load-%d", i)), now: job.Now}
		reading, err := r.measure(ctx)
		if err != nil {
			return meter.Reading{}, fmt.Errorf("distributed load: %s: %w", part.Subject, err)
		}
		all.Values = append(all.Values, reading.Values...)
		all.Gaps = append(all.Gaps, reading.Gaps...)
		all.Assertions = append(all.Assertions, reading.Assertions...)
		all.Doubts = append(all.Doubts, reading.Doubts...)
		all.Notes = append(all.Notes, reading.Notes...)
	}
	return all, nil
}

// ready returns an error unless the cluster has k6-operator's kind and this identity
// may do all that a run does. It changes nothing.
func (l Load) ready(ctx context.Context, cluster *kube.Cluster, secret bool) error {
	err := kube.Retry(ctx, func(context.Context) error {
		_, err := cluster.Typed.Discovery().ServerResourcesForGroupVersion(testRuns.GroupVersion().String())
		return err
	})
	if notFound(err) {
		return fmt.Errorf("the cluster %s does not know the kind TestRun of %s: install k6-operator, kubectl apply --server-side -f %s", cluster.Host, testRuns.GroupVersion(), bundle)
	}
	if err != nil {
		return fmt.Errorf("ask %s for the kind TestRun: %w", cluster.Host, err)
	}
	needed := Permissions
	if secret {
		needed = append(needed[:len(needed):len(needed)], SecretPermission)
	}
	missing, err := cluster.Missing(ctx, l.Namespace, needed...)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("these permissions are missing in the namespace %s: %s", l.Namespace, strings.Join(missing, ", "))
	}
	return nil
}

var _ meter.Check = Load{}
