package reconcile

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/redact"
)

// A Reconciler manages the previews of one repository. A nil Host or Backend means
// that the part is not used.
type Reconciler struct {
	Forge   Forge
	Host    Host
	Backend Backend
	Fetcher Fetcher
	Pages   PageChecker // nil means no browser
	// EvenOpen lets Down remove the preview of a pull request that is open.
	EvenOpen bool
	// Partial says that other steps of the workflow manage the other part.
	Partial bool
	Now     func() time.Time
	After   func(time.Duration) <-chan time.Time
	Logf    Logf // progress
	// Mask registers a value that must not be shown; Redact removes all of them
	// from a text.
	Mask   func(string)
	Redact func(string) string
}

// Desired is the desired state of a preview.
type Desired struct {
	Key
	Commit    string
	Dir       string // the built frontend
	Untrusted bool   // strangers made the build: bounded, and without links
	Functions string // its functions
	Config    string // its netlify.toml
	Expires   time.Time
	RunID     string
	RunURL    string
	// Links is the maximum number of the sitemap's pages to check; 0 means none.
	Links int
}

func (d Desired) owner() Owner { return Owner{d.Key, d.Commit, d.Expires} }

func (k *Reconciler) visitor() visitor { return visitor{k.Fetcher, k.Pages, k.Now, k.After} }

// The names of the parts.
const (
	partFrontend    = "Frontend"
	partAPI         = "API"
	partEnvironment = "Environment"
)

// begin starts the result of a run.
func (k *Reconciler) begin(key Key, goal Goal, runURL string) Result {
	return Result{Key: key, Repository: key.Repository, Number: key.Number, Goal: goal, StartedAt: k.Now().UTC(), RunURL: runURL, Partial: k.Partial,
		Frontend: unused(partFrontend), API: unused(partAPI), Environment: unused(partEnvironment)}
}

// comment writes the pull request's one comment, unless a newer run did. The comment keeps
// what earlier steps of the workflow wrote about the parts that this one does not manage.
func (k *Reconciler) comment(ctx context.Context, runID string, r *Result) {
	previous, err := k.Forge.PreviousComment(ctx, r.Key, Marker)
	if err != nil {
		r.CommentError = err.Error()
		return
	}
	last := stateOf(previous)
	if last.Commit == r.Commit && last.newerThan(runID) {
		r.Warnings = append(r.Warnings, "a newer run of the same commit wrote the comment, and it stays")
		return
	}
	r.CommentURL, _, err = k.Forge.Comment(ctx, r.Key, Marker, body(redact.Deep(*r, k.Redact), runID, last))
	if err != nil {
		r.CommentError = err.Error()
	}
}
