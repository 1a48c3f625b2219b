package deploy

import (
	"context"
	"fmt"
	"slices"

	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/source"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// measure opens the sources of the analysis file and reads them until ctx ends.
// Those that can't tell the versions apart, or can't be read at all, are refused
// together, before anything is changed.
func (r *run) measure(ctx context.Context, monitor *traffic.Monitor, target *workload.Target, entry string) error {
	monitor.Check(r.checks(ctx, target, entry))
	record := target.Record()
	env := source.Env{
		Names:  source.Names{Namespace: record.Namespace, Service: record.Service, CanaryService: record.CanaryService()},
		Getenv: r.action.Getenv, Mask: r.action.Mask, Pods: target,
	}
	var refused []string
	readers := map[string]source.Reader{}
	for _, m := range r.cfg.Analysis.Metrics {
		if m.Source == nil { // the probe stream
			continue
		}
		reader, err := source.Open(ctx, m, env)
		if err != nil {
			refused = append(refused, fmt.Sprintf("metric %s: %v", m.Name, err))
			continue
		}
		readers[m.Name] = reader
	}
	if len(refused) > 0 {
		slices.Sort(refused)
		return exit.Refuse("docs/analysis.md says what each source needs", refused...)
	}
	// The first reading is the baseline; all sources take theirs at once.
	for metric, reader := range readers {
		go source.Poll(ctx, metric, reader, monitor.Measured)
	}
	return nil
}

// more are the permissions that the analysis file asks for.
func (c Config) more() []kube.Permission {
	more := permissionsOf(source.Permissions(c.Analysis.Metrics))
	if check.NeedsJobs(c.Analysis.Checks) {
		more = append(more, kube.JobPermissions...)
	}
	return more
}

func permissionsOf(all []source.Permission) []kube.Permission {
	var list []kube.Permission
	for _, p := range all {
		list = append(list, kube.Permission(p))
	}
	return list
}
