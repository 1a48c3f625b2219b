package deploy

import (
	"context"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
)

// prepared says what is wrong with the checks before anything is changed.
func (r *run) prepared() error {
	wrong := check.Prepare(r.cfg.Analysis.Checks, check.Env{Getenv: r.getenv, Mask: r.tell.secret, ValidJob: kube.ValidJob})
	if len(wrong) > 0 {
		return exit.Refuse("docs/analysis.md says what checks need", wrong...)
	}
	return nil
}

// checks returns what runs a check of the analysis file at a weight.
func (r *run) checks(ctx context.Context, record *kube.Record, target *kube.Target, entry string) func(config.CustomCheck, int) analysis.Finding {
	runner := check.Runner{
		Release: check.Release{Namespace: record.Namespace, Deployment: record.Deployment, Image: record.Image,
			RunID: r.id.ID, RunURL: r.id.URL, EntryPoint: entry},
		Getenv: r.getenv, Redact: r.tell.redact, Jobs: target,
	}
	return func(k config.CustomCheck, weight int) analysis.Finding { return runner.Run(ctx, k, weight) }
}

// startChecks begins the custom checks of a step in the background. Their results
// go to the judge as long as the step is the one that it judges.
func (t *traffic) startChecks(weight int) {
	if t.ask == nil {
		return
	}
	for _, k := range t.judge.Due() {
		go func() {
			f := t.ask(k, weight)
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.judge != nil && t.share == weight {
				t.judge.Custom(f)
				t.notify()
			}
		}()
	}
}
