package deploy

import (
	"context"

	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// prepared says what is wrong with the checks before anything is changed.
func (r *run) prepared() error {
	wrong := check.Prepare(r.cfg.Analysis.Checks, check.Env{Getenv: r.action.Getenv, Mask: r.action.Mask, ValidJob: kube.ValidJob})
	if len(wrong) > 0 {
		return exit.Refuse("docs/analysis.md says what checks need", wrong...)
	}
	return nil
}

// checks returns what runs a check of the analysis file at a weight.
func (r *run) checks(ctx context.Context, target *workload.Target, entry string) traffic.Checks {
	record := target.Record()
	runner := check.Runner{
		Release: check.Release{Namespace: record.Namespace, Deployment: record.Deployment, Image: record.Image,
			RunID: r.id.ID, RunURL: r.id.URL, EntryPoint: entry},
		Getenv: r.action.Getenv, Redact: r.action.Redact, Jobs: target,
	}
	return runner.Within(ctx)
}
