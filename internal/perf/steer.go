package perf

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/measure/history"
	"github.com/candlefish/deploy-action/internal/perf/baseline"
	"github.com/candlefish/deploy-action/internal/perf/inputs"
	"github.com/candlefish/deploy-action/internal/perf/record"
	"github.com/candlefish/deploy-action/internal/perf/view"
)

// reportAgain writes the reports of the last run again.
func (s *session) reportAgain() (action.Result, error) {
	path := filepath.Join(s.v.String("report-dir"), record.Name)
	raw, err := files.Read(path)
	if err != nil {
		return action.Result{}, badInput("read the last run: %w; measure first, by the command measure", err)
	}
	r, err := record.Parse(raw)
	if err != nil {
		return action.Result{}, badInput("read the last run in %s: %w", path, err)
	}
	r = action.Clean(s.a, r)
	paths, err := s.writeReports(r, view.Page{Run: r.Link})
	if err != nil {
		return action.Result{}, err
	}
	s.a.Print(view.Text(r))
	s.a.Printf("the run of %s was written again: %s, %s", r.At.Format("2006-01-02 15:04 MST"), paths.report, paths.html)
	return action.Result{Outputs: outputsOf(r, paths), Meaning: "reports written"}, nil
}

// steer shows the baseline, or changes its anchor.
func (l ledger) steer(ctx context.Context) (action.Result, error) {
	if l.Store == nil {
		return action.Result{}, badInput("baseline: name where it is, as in --baseline=git:performance")
	}
	switch l.s.v.String("command") {
	case inputs.CommandPin:
		return action.Result{}, l.pin(ctx)
	case inputs.CommandUnpin:
		return action.Result{}, l.unpin(ctx)
	}
	file, err := l.Load(ctx)
	if err != nil {
		return action.Result{}, fmt.Errorf("read the baseline in %s: %w", l.Where(), err)
	}
	l.s.a.Print(strings.Join(baseline.Show(l.Where(), file), "\n"))
	return action.Result{}, nil
}

func (l ledger) pin(ctx context.Context) error {
	var pinned history.Run
	var key string
	err := l.Save(ctx, func(f history.File) (history.File, error) {
		env, err := f.Named(l.s.v.String("baseline-machine"))
		if err != nil {
			return f, badInput("baseline-machine: %w", err)
		}
		key = env.Key
		f, pinned, err = f.Pin(env.Key, l.s.v.String("baseline-commit"), l.s.now())
		if err != nil {
			return f, badInput("baseline-commit: %w", err)
		}
		return f, nil
	})
	if err != nil {
		return fmt.Errorf("pin an anchor in %s: %w", l.Where(), err)
	}
	l.s.a.Print(baseline.Pinned(key, pinned))
	return nil
}

func (l ledger) unpin(ctx context.Context) error {
	var key string
	err := l.Save(ctx, func(f history.File) (history.File, error) {
		env, err := f.Named(l.s.v.String("baseline-machine"))
		if err != nil {
			return f, badInput("baseline-machine: %w", err)
		}
		key = env.Key
		return f.Unpin(key, l.s.now())
	})
	if err != nil {
		return fmt.Errorf("remove the anchor in %s: %w", l.Where(), err)
	}
	l.s.a.Print(baseline.Unpinned(key))
	return nil
}
