package reconcile

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/preview/api"
	"github.com/candlefish/deploy-action/internal/preview/result"
	"github.com/candlefish/deploy-action/internal/preview/visit"
	"github.com/candlefish/deploy-action/internal/redact"
)

// A Reconciler manages the previews of one repository. A nil Host or Backend means
// that the part is not used.
type Reconciler struct {
	Forge   Forge
	Host    Host
	Backend Backend
	Fetcher visit.Fetcher
	Pages   visit.PageChecker // nil means no browser
	// EvenOpen lets Down remove the preview of a pull request that is open.
	EvenOpen bool
	// Partial says that other steps of the workflow manage the other part.
	Partial bool
	Now     func() time.Time
	After   func(time.Duration) <-chan time.Time
	Logf    Logf // progress
	// Health is how an API shows that it is well.
	Health api.Health
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

func (k *Reconciler) visitor() visit.Visitor {
	return visit.Visitor{Fetcher: k.Fetcher, Pages: k.Pages, Now: k.Now, After: k.After, Health: k.Health}
}

// begin starts the result of a run.
func (k *Reconciler) begin(key Key, goal result.Goal, runURL string) result.Result {
	return result.Result{Repository: key.Repository, Number: key.Number, Goal: goal, StartedAt: k.Now().UTC(), RunURL: runURL, Partial: k.Partial,
		Frontend: result.Unused(result.Frontend), API: result.Unused(result.API), Environment: result.Unused(result.Environment)}
}

// comment writes the pull request's one comment, unless a newer run did. The comment keeps
// what earlier steps of the workflow wrote about the parts that this one does not manage.
func (k *Reconciler) comment(ctx context.Context, runID string, r *result.Result) {
	key := Key{r.Repository, r.Number}
	previous, err := k.Forge.PreviousComment(ctx, key, result.Marker)
	if err != nil {
		r.CommentError = err.Error()
		return
	}
	last := result.StateOf(previous)
	if last.Commit == r.Commit && last.NewerThan(runID) {
		r.Warnings = append(r.Warnings, "a newer run of the same commit wrote the comment, and it stays")
		return
	}
	r.CommentURL, _, err = k.Forge.Comment(ctx, key, result.Marker, result.Body(redact.Deep(*r, k.Redact), runID, last))
	if err != nil {
		r.CommentError = err.Error()
	}
}
