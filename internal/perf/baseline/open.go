package baseline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/contents"
)

// Options configure a Store.
type Options struct {
	Location    Location
	Environment string // the deployment environment: "staging"
	// Why is the first line of commits after "Performance baseline: ", such as "staging
	// at abc1234, pass".
	Why string
	// Dir is the checkout: relative folders are in it, and without a Client the branch
	// is one of its repository.
	Dir string
	// Repository and Client are for a branch on GitHub.
	Repository string         // owner/name
	Client     *github.Client // nil without a token
	Workflow   bool           // this is a workflow's job: its machine is gone after it
	// Account connects to AWS, for S3 alone.
	Account func(context.Context) (*aws.Account, error)
	After   func(time.Duration) <-chan time.Time // nil is time.After
}

// Open returns the store at a location. It sends no request, and reads nothing.
func Open(ctx context.Context, o Options) (Store, error) {
	if o.Environment == "" {
		return nil, errors.New("a baseline is of a deployment environment, and none is given")
	}
	m, err := o.medium(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the baseline: %w", err)
	}
	s := store{m, o.After}
	if s.after == nil {
		s.after = time.After
	}
	return s, nil
}

func (o Options) medium(ctx context.Context) (medium, error) {
	name := FileName(o.Environment)
	switch o.Location.Kind {
	case Folder:
		dir := o.Location.Path
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(o.Dir, dir)
		}
		return folder{dir, name}, nil
	case S3:
		a, err := o.Account(ctx)
		if err != nil {
			return nil, err
		}
		return inBucket(a, o.Location, name), nil
	case Git:
		return o.branch(name)
	}
	return nil, fmt.Errorf("there is no place %q for a baseline", o.Location.Kind)
}

func (o Options) branch(name string) (medium, error) {
	switch {
	case o.Client == nil && o.Workflow:
		return nil, errors.New("a branch needs a token with contents: write; a commit on the runner would be lost")
	case o.Client == nil:
		return local{o.Dir, o.Location.Branch, name, o.Why}, nil
	}
	files, err := contents.New(o.Client, o.Repository)
	if err != nil {
		return nil, err
	}
	return hosted{files, o.Repository, o.Location.Branch, name, o.Why}, nil
}

var plain = regexp.MustCompile(`^[a-zA-Z0-9/._:=@-]+$`)

// quote quotes an argument for a shell.
func quote(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
