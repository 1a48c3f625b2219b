package perf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/browser"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/perf/inputs"
	"github.com/candlefish/deploy-action/internal/perf/measuring"
)

// job is what to measure on one side.
func (s *session) job(side measure.Side) meter.Job {
	job := meter.Job{
		Side: side, Rounds: s.Runs, URL: s.URL, Pages: s.Pages, Devices: s.Devices, Header: s.Header, Workspace: s.Dir, Cache: s.cacheAt,
		Load: s.Load, Now: s.now, Getenv: s.a.Getenv, Settings: s.Settings,
	}
	if side == measure.Base {
		job.URL, job.Workspace = s.BaseURL, s.BaseDir
	}
	if s.Base() {
		job.Load = inputs.RoundLoad(s.Load, cmp.Or(s.Runs, leastRounds))
	}
	return job
}

// leastRounds is the smallest number of rounds that statistics choose.
const leastRounds = 5

// leftOut says why a meter does not run.
func (s *session) leftOut(name string) string {
	if len(s.Meters) > 0 && !slices.Contains(s.Meters, name) {
		return "the input meters does not name it"
	}
	return ""
}

// active are the meters that have something to measure.
func (s *session) active() []meter.Meter {
	job := s.job(measure.Head)
	return slices.DeleteFunc(slices.Clone(s.meters), func(m meter.Meter) bool {
		applies, _ := m.Applies(job)
		return !applies || s.leftOut(m.About().Name) != ""
	})
}

// checkMeters refuses inputs by which a meter that is asked for measures nothing.
func (s *session) checkMeters() error {
	var errs []error
	job := s.job(measure.Head)
	for _, m := range s.meters {
		if applies, why := m.Applies(job); !applies && slices.Contains(s.Meters, m.About().Name) {
			errs = append(errs, fmt.Errorf("meters: %s has nothing to measure: %s", m.About().Name, why))
		}
	}
	active := s.active()
	for _, m := range active {
		errs = append(errs, m.Problems(job)...)
	}
	if len(active) == 0 && len(errs) == 0 {
		return errors.New("there is nothing to measure: set url, go-bench, bundles, queries or samples")
	}
	return errors.Join(errs...)
}

// measure runs all rounds.
func (s *session) measure(ctx context.Context, work string) (measuring.Seen, error) {
	if err := s.readSitemap(ctx); err != nil {
		return measuring.Seen{}, err
	}
	chromium, noChromium := browser.FindChromium(s.v.String("chrome"))
	if noChromium != nil {
		noChromium = fmt.Errorf("there is no browser: looked for %w", noChromium)
	}
	plan := measuring.Plan{
		Meters: s.meters, LeftOut: s.leftOut, Finder: s.finder, Sandbox: s.sandbox(work, s.environ), Head: s.job(measure.Head),
		Chromium: chromium, NoChromium: noChromium, Rounds: s.Runs, Enough: s.enough,
		Work: work, Keep: s.v.String("report-dir"), Timeout: s.v.Duration("tool-timeout"),
		Now: s.now, After: s.after, Say: s.a.Print, Clean: s.a.Redact,
	}
	if s.Base() {
		base := s.job(measure.Base)
		plan.Base = &base
	}
	seen := plan.Run(ctx)
	if ctx.Err() != nil {
		return seen, fmt.Errorf("nothing is said about this run: %w", context.Cause(ctx))
	}
	return seen, nil
}

// enough is how many rounds can prove a change of what is compared.
func (s *session) enough(series []measure.Series) int {
	families, strata := map[[2]string]int{}, 1
	for _, one := range series {
		if one.Metric.Compared && !one.Metric.Exact && len(one.Base) > 0 {
			family := [2]string{one.Key.Meter, one.Key.Metric}
			families[family]++
			strata = max(strata, families[family])
		}
	}
	return compare.Rounds(max(1, len(families)), strata, s.v.Float("alpha"))
}

// sandbox returns what runs tools over a folder, and may write below work.
func sandbox(work string, environ []string) func(workspace string) measuring.Runner {
	return func(workspace string) measuring.Runner {
		box, err := isolate.Open(workspace, environ)
		if err != nil {
			return unopened{err}
		}
		box.Scratch = work
		return box
	}
}

// unopened is the sandbox that could not be made: nothing runs outside of one.
type unopened struct{ err error }

// Run implements measuring.Runner.
func (u unopened) Run(context.Context, isolate.Command) isolate.Ran {
	return isolate.Ran{Ending: isolate.NotStarted, Why: u.err.Error()}
}

// environment is what the values depend on.
func (s *session) environment(versions map[string]string) measure.Environment {
	runner := strings.TrimSpace(s.a.Getenv("ImageOS") + " " + s.a.Getenv("ImageVersion")) // of GitHub's runners
	return measure.Environment{Runner: cmp.Or(runner, hostSystem()), CPU: cpuModel(), Cores: cores(), Tools: versions}
}
