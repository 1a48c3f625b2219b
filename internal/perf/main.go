package perf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/github/change"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/isolate/folder"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/meters"
	"github.com/candlefish/deploy-action/internal/perf/inputs"
	"github.com/candlefish/deploy-action/internal/perf/measuring"
)

// Spec defines inputs, outputs and permissions of perf-gate.
func Spec() input.Spec { return inputs.Spec() }

// Main runs one command and returns its exit status.
func Main(env action.Env, args []string) int {
	return program{now: time.Now, after: time.After, environ: os.Environ(), meters: meters.All, openTools: openToolbox, cache: cacheDir, sandbox: sandbox}.main(env, args)
}

// A program is what a run has from its process.
type program struct {
	now       func() time.Time
	after     func(time.Duration) <-chan time.Time
	environ   []string
	meters    func(context.Context) []meter.Meter
	cache     func() (string, error)
	openTools func(lock, judged string, environ []string) (measuring.Finder, error)
	sandbox   func(work string, environ []string) func(workspace string) measuring.Runner
}

func (p program) main(env action.Env, args []string) int {
	return action.Run(env, args, inputs.Spec(), p.run)
}

// cacheDir is the folder for what tools keep between runs.
func cacheDir() (string, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for caches: %w", err)
	}
	dir := filepath.Join(user, "candlefish-deploy-action", "performance")
	return dir, os.MkdirAll(dir, 0o700)
}

// A session is one run: its inputs, and what follows from the event.
type session struct {
	program
	meters []meter.Meter
	inputs.Occasion
	a       *action.Action
	v       input.Values
	budgets []budget.Budget
	ledger  ledger
	finder  measuring.Finder
	cacheAt string
}

// run is a run with valid inputs.
func (p program) run(ctx context.Context, a *action.Action, v input.Values) (action.Result, error) {
	s, err := p.session(ctx, a, v)
	if err != nil {
		return action.Result{}, err
	}
	switch v.String("command") {
	case inputs.CommandReport:
		return s.reportAgain()
	case inputs.CommandBaseline, inputs.CommandPin, inputs.CommandUnpin:
		return s.ledger.steer(ctx)
	}
	return s.gate(ctx)
}

// session reads the event and completes the inputs by it. All that is wrong with them
// comes in one error.
func (p program) session(ctx context.Context, a *action.Action, v input.Values) (*session, error) {
	event, err := change.Read(a.Getenv)
	if err != nil {
		return nil, &exit.Error{Status: exit.BadInput, Err: err}
	}
	s := &session{program: p, meters: distribute(ctx, p.meters(ctx), v, a.Print), a: a, v: v}
	var errs []error
	s.Occasion, err = inputs.OccasionOf(v, event, names(s.meters))
	for _, secret := range s.Secrets {
		a.Mask(secret)
	}
	errs = append(errs, err)
	s.ledger, err = s.openLedger(ctx)
	errs = append(errs, err)
	if v.String("command") == inputs.CommandMeasure {
		s.budgets, err = s.readBudgets()
		errs = append(errs, err, s.checkMeters())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &exit.Error{Status: exit.BadInput, Err: err}
	}
	if s.cacheAt, err = p.cache(); err != nil {
		return nil, err
	}
	s.finder, err = p.openTools(v.String("tools-lock"), s.Dir, p.environ)
	return s, err
}

// names are those of meters.
func names(all []meter.Meter) []string {
	names := make([]string, len(all))
	for i, m := range all {
		names[i] = m.About().Name
	}
	return names
}

// workPrefix begins the name of a run's folder. It is short, since the sockets of a
// browser have folders of ours in their paths where there are no namespaces, as in the
// container of an action, and the kernel takes 107 bytes.
const workPrefix = "cf-perf-"

// gate measures and says the verdict.
func (s *session) gate(ctx context.Context) (action.Result, error) {
	work, remove, err := folder.Make("", workPrefix)
	if err != nil {
		return action.Result{}, err
	}
	defer remove()
	began := s.now()
	seen, err := s.measure(ctx, work)
	if err != nil {
		return action.Result{}, err
	}
	r, err := s.judge(ctx, seen, began)
	if err != nil {
		return action.Result{}, err
	}
	return s.show(ctx, action.Clean(s.a, r))
}

func badInput(format string, args ...any) error {
	return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf(format, args...)}
}
