package perf

import (
	"cmp"
	"context"
	"fmt"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/baseline"
)

// A ledger is the baseline of a run; its Store is nil without one.
type ledger struct {
	baseline.Store
	s *session
}

// openLedger opens the baseline that the inputs name.
func (s *session) openLedger(ctx context.Context) (ledger, error) {
	text := s.v.String("baseline")
	if text == "" {
		return ledger{}, nil
	}
	location, err := baseline.ParseLocation(text)
	if err != nil {
		return ledger{}, fmt.Errorf("baseline: %w", err)
	}
	client, err := s.client()
	if err != nil {
		return ledger{}, err
	}
	store, err := baseline.Open(ctx, baseline.Options{
		Location: location, Environment: s.v.String("environment"), Why: fmt.Sprintf("%s at %.10s", s.v.String("environment"), s.commit()),
		Dir: s.Dir, Repository: s.Repository, Client: client, Workflow: s.a.OnRunner(), Account: s.account, After: s.after,
	})
	if err != nil {
		return ledger{}, fmt.Errorf("baseline: %w", err)
	}
	return ledger{Store: store, s: s}, nil
}

// remember adds the run to the baseline if this is an occasion for it. A baseline that
// could not be written is said, and changes no verdict.
func (l ledger) remember(ctx context.Context, r verdict.Result) {
	if l.Store == nil || !l.s.v.Bool("store-baseline") {
		return
	}
	o := baseline.Occasion{
		Event: l.s.Change.Name, Ref: l.s.a.Getenv("GITHUB_REF"), DefaultBranch: l.s.Change.DefaultBranch, PullRequest: l.s.PullRequest(), Fork: l.s.Change.Fork,
		Branches: l.s.v.List("baseline-branches"),
	}
	said, err := baseline.Record(ctx, l.Store, o, r)
	if err != nil {
		l.s.a.Log().Warn(fmt.Sprintf("this run is not in the baseline in %s: %v", l.Where(), err))
		return
	}
	l.s.a.Print(said)
}

// account connects to AWS, for a baseline in S3.
func (s *session) account(ctx context.Context) (*aws.Account, error) {
	o := aws.ConnectOptions{Region: s.v.String("aws-region")}
	if u := s.v.URL("aws-endpoint-url"); u != nil {
		o.Endpoint = u.String()
	}
	return aws.Connect(ctx, o)
}

// commit is the one that is measured: of a pull request its head.
func (s *session) commit() string { return cmp.Or(s.Change.Head, s.a.Getenv("GITHUB_SHA")) }
