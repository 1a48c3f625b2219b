package security

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/github/change"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/isolate/folder"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scanners"
	"github.com/candlefish/deploy-action/internal/security/inputs"
	"github.com/candlefish/deploy-action/internal/security/scanning"
	"github.com/candlefish/deploy-action/internal/security/scope"
)

// Spec defines inputs, outputs and permissions of security-gate.
func Spec() input.Spec { return inputs.Spec() }

// Main runs one command and returns its exit status.
func Main(env action.Env, args []string) int {
	return program{
		now: time.Now, after: time.After, random: rand.Reader, environ: os.Environ(), scanners: scanners.All(), openTools: openToolbox, cache: cacheDir,
	}.main(env, args)
}

// A program is what a run has from its process.
type program struct {
	now       func() time.Time
	after     func(time.Duration) <-chan time.Time
	random    io.Reader
	environ   []string
	scanners  []scanner.Scanner
	cache     func() (string, error) // the folder for databases
	openTools func(lock, scanned string, environ []string) (scanning.Finder, error)
}

func (p program) main(env action.Env, args []string) int {
	return action.Run(env, args, inputs.Spec(), p.run)
}

// cacheDir is the folder for databases of tools.
func cacheDir() (string, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for databases: %w", err)
	}
	dir := filepath.Join(user, "candlefish-deploy-action", "security")
	return dir, os.MkdirAll(dir, 0o700)
}

// A session is one run: its inputs, and what follows from the event.
type session struct {
	program
	inputs.Occasion
	a        *action.Action
	v        input.Values
	policy   verdict.Policy
	settings map[string]string
	finder   scanning.Finder
	cacheDir string // for databases
}

// run is a run with valid inputs.
func (p program) run(ctx context.Context, a *action.Action, v input.Values) (action.Result, error) {
	s, err := p.session(a, v)
	if err != nil {
		return action.Result{}, err
	}
	switch v.String("command") {
	case inputs.CommandReport:
		return s.reportAgain()
	case inputs.CommandBaseline:
		return s.recordBaseline()
	case inputs.CommandExplain:
		return s.explain()
	}
	return s.gate(ctx)
}

// session reads the event and completes the inputs by it. All that is wrong with them
// comes in one error.
func (p program) session(a *action.Action, v input.Values) (*session, error) {
	change, err := change.Read(a.Getenv)
	if err != nil {
		return nil, &exit.Error{Status: exit.BadInput, Err: err}
	}
	hasBaseline := files.Exists(inputs.Within(v, "baseline"))
	s := &session{program: p, a: a, v: v, Occasion: inputs.OccasionOf(v, change, a.Getenv("GITHUB_SHA"), hasBaseline)}
	var errs []error
	if v.String("command") == inputs.CommandScan {
		errs = append(errs, s.Problems(v, hasBaseline).Err())
	}
	s.settings, err = inputs.Settings(v, scanners.Settings())
	errs = append(errs, err, s.checkTools())
	s.policy, err = verdict.NewPolicy(v.String("fail-on"), v.List("budgets"))
	errs = append(errs, err)
	s.policy.OnlyNew, s.policy.Called = s.OnlyNew, v.String("reach") == "called"
	if err := errors.Join(errs...); err != nil {
		return nil, &exit.Error{Status: exit.BadInput, Err: err}
	}
	if s.cacheDir, err = p.cache(); err != nil {
		return nil, err
	}
	s.finder, err = p.openTools(v.String("tools-lock"), v.String("dir"), p.environ)
	return s, err
}

// scope is what is scanned, and by what.
func (s *session) scope() *scope.Scope {
	return &scope.Scope{
		Occasion: s.Occasion, Values: s.v, Settings: s.settings, Scanners: s.scanners, Finder: s.finder,
		Cache: s.cacheDir, Environ: s.environ, Random: s.random, Now: s.now, After: s.after, Log: s.a,
	}
}

// checkTools refuses names of scanners that there are not.
func (s *session) checkTools() error {
	known := map[string]bool{}
	for _, one := range s.scanners {
		known[one.About().Name] = true
	}
	var errs []error
	for _, name := range []string{"skip-tools", "optional-tools"} {
		for _, tool := range s.v.List(name) {
			if !known[tool] {
				errs = append(errs, fmt.Errorf("%s: there is no scanner %q", name, tool))
			}
		}
	}
	return errors.Join(errs...)
}

// gate scans and says the verdict.
func (s *session) gate(ctx context.Context) (action.Result, error) {
	if s.Change.Deleted {
		return action.Result{}, badInput("the event removed a branch or tag: there is nothing to scan")
	}
	work, remove, err := folder.Make("", "candlefish-security-")
	if err != nil {
		return action.Result{}, err
	}
	defer remove()
	began := s.now()
	seen, err := s.scope().Run(ctx, work)
	if err != nil {
		return action.Result{}, err
	}
	r, err := s.judge(seen, began)
	if err != nil {
		return action.Result{}, err
	}
	return s.show(ctx, seen, action.Clean(s.a, r))
}

func badInput(format string, args ...any) error {
	return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf(format, args...)}
}
