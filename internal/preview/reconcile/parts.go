package reconcile

import (
	"context"
	"slices"
	"time"
)

// A Site is one deploy of the frontend.
type Site struct {
	ID       string
	URL      string // of this deploy
	AliasURL string // of the preview, whichever deploy it shows
	Title    string
	Alias    string
	State    string
	Created  time.Time
	// Files counts the files of the build, Uploaded those that were uploaded.
	Files, Uploaded int
}

// A Build is a frontend to publish.
type Build struct {
	Dir       string
	Functions string
	Config    string
	Owner     Owner
	Logf      Logf // progress
}

// A Logf prints one line of progress, for people.
type Logf func(format string, args ...any)

// A Host hosts the frontends.
type Host interface {
	// Publish uploads a build and returns when the host says that it is live.
	Publish(ctx context.Context, b Build) (Site, error)
	// Sites lists the deploys of one alias, or all with an empty one.
	Sites(ctx context.Context, alias string) ([]Site, error)
	// Remove deletes a deploy. One that does not exist is no error.
	Remove(ctx context.Context, s Site) error
	// Gone verifies that a deploy is gone; why says what still answers.
	Gone(ctx context.Context, s Site) (gone bool, why string, err error)
}

// An API is one preview's stack.
type API struct {
	ID      string
	Name    string
	Status  string
	Outputs map[string]string
	Tags    map[string]string
	Updated time.Time
	// Changes lists what the last Apply did to its resources.
	Changes []string
	// Missing lists resources of the template that do not exist although the
	// stack is complete.
	Missing []string
}

// URL is the API's address, empty if the stack has no such output.
func (a API) URL() string { return a.Outputs["ApiUrl"] }

// A Backend hosts the API stacks.
type Backend interface {
	// Apply brings a preview's stack to its desired state, from any state. An
	// existing stack that is not ours is an error.
	Apply(ctx context.Context, owner Owner, logf Logf) (API, error)
	// Stacks lists all stacks with a preview's name, ours or not.
	Stacks(ctx context.Context) ([]API, error)
	// Remove deletes a preview's stack with all its resources and verifies that
	// it is gone. Left lists what AWS did not delete.
	Remove(ctx context.Context, k Key, logf Logf) (existed bool, left []string, err error)
}

// A PullRequest is the state of a pull request.
type PullRequest struct {
	Key
	Open bool
	Head string // commit
	// HeadRepo and Branch are where the commit is; the repository is empty if it was
	// deleted.
	HeadRepo, Branch string
	Fork             bool
	Author           string
}

// A Forge hosts the pull requests.
type Forge interface {
	PullRequest(ctx context.Context, k Key) (PullRequest, error)
	// Open lists all open pull requests, or returns an error.
	Open(ctx context.Context, repository string) ([]PullRequest, error)
	// WithHead lists the open pull requests whose head is a commit.
	WithHead(ctx context.Context, repository, commit string) ([]PullRequest, error)
	// Comment replaces the one comment that begins with marker, or creates it,
	// and returns its URL. Changed reports whether anything was written.
	Comment(ctx context.Context, k Key, marker, body string) (url string, changed bool, err error)
	// PreviousComment returns the body of that comment, empty if there is none.
	PreviousComment(ctx context.Context, k Key, marker string) (string, error)
	// RecordDeployment records a commit's deployment in the preview's environment.
	RecordDeployment(ctx context.Context, o Owner, url, logURL string, ready bool) error
	// RetireEnvironment ends the preview's deployments and, where the token may,
	// deletes its environment.
	RetireEnvironment(ctx context.Context, k Key) (Retired, error)
}

// Retired is what there was of a preview's environment, and what became of it.
type Retired struct {
	Name        string // empty if no environment is used
	Deployments int    // of the preview that GitHub listed; each is inactive or deleted now
	Gone        bool   // GitHub was asked again, and has nothing of the preview
	Kept        string // why it stays
}

// A PageChecker checks pages in a browser. Failed checks do not fail a preview: the
// reviewer judges them.
type PageChecker interface {
	CheckPages(ctx context.Context, pages []string) ([]Check, error)
}

// A Fetcher requests pages as a visitor would. It cuts them at 1 MiB.
type Fetcher interface {
	Get(ctx context.Context, url string) (status int, body string, err error)
}

// A Status is the state of one part after a run.
type Status string

// The states of a part.
const (
	StatusReady      Status = "ready"      // it answers, with this commit
	StatusRemoved    Status = "removed"    // verified as gone
	StatusAbsent     Status = "absent"     // it was looked for, and there was none
	StatusKept       Status = "kept"       // it stays, since nobody may remove it; nothing is wrong
	StatusFailed     Status = "failed"     // it did not reach its desired state
	StatusRemaining  Status = "remaining"  // it should be gone and is not
	StatusSuperseded Status = "superseded" // a newer commit or the end of the pull request came first
	StatusUnused     Status = "not used"   // the run does not manage this part
)

// A Part is the frontend or the API after a run.
type Part struct {
	Name   string        `json:"name"`
	Status Status        `json:"status"`
	URL    string        `json:"url,omitempty"`
	ID     string        `json:"id,omitempty"`
	Commit string        `json:"commit,omitempty"` // of its response
	Took   time.Duration `json:"-"`
	Detail string        `json:"detail,omitempty"`
	// Checks are the checks of this part, with their results.
	Checks []Check `json:"checks,omitempty"`
	// Left lists deploys that were deleted and still answered, for the next removal.
	Left []Left `json:"left,omitempty"`
}

// A Left is a deploy that should be gone and is not.
type Left struct {
	ID  string `json:"id"`
	URL string `json:"url"`
}

// unused returns a part that the run does not manage.
func unused(name string) Part { return Part{Name: name, Status: StatusUnused} }

// A Check is the result of one check.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// A Result is what one run did and verified.
type Result struct {
	Key        Key    `json:"-"`
	Repository string `json:"repository"`
	Number     int    `json:"pr_number"`
	Goal       Goal   `json:"goal"`
	Commit     string `json:"commit_sha"`
	Frontend   Part   `json:"frontend"`
	API        Part   `json:"api"`
	// Partial says that other steps manage the part that this run did not.
	Partial bool `json:"partial,omitempty"`
	// Environment is the one on GitHub; a run that deploys does not set it.
	Environment Part `json:"environment,omitzero"`
	// Foreign lists deploys under the preview's alias that are not ours.
	Foreign []string `json:"foreign,omitempty"`
	// Address is what the preview's address answers after the removal, if it answers:
	// with something that is not this preview.
	Address    string            `json:"address,omitempty"`
	Outputs    map[string]string `json:"stack_outputs,omitempty"`
	Expires    time.Time         `json:"expires_at,omitzero"`
	Superseded string            `json:"superseded,omitempty"` // the reason
	Changes    []string          `json:"changes,omitempty"`    // since the previous comment
	CommentURL string            `json:"comment_url,omitempty"`
	// CommentError is why the comment was not written.
	CommentError string    `json:"comment_error,omitempty"`
	Warnings     []string  `json:"warnings,omitempty"`
	StartedAt    time.Time `json:"started_at"`
	EndedAt      time.Time `json:"ended_at"`
	RunURL       string    `json:"run_url,omitempty"`
}

// A Goal is what a run brings about.
type Goal string

// The goals of a run.
const (
	GoalUp     Goal = "up"
	GoalDown   Goal = "down"
	GoalStatus Goal = "status"
	GoalSweep  Goal = "sweep"
)

// parts lists all parts, in the order in which people see them.
func (r Result) parts() []Part { return []Part{r.Frontend, r.API, r.Environment} }

// Failed lists the parts that are not in their desired state.
func (r Result) Failed() []Part {
	return r.with(StatusFailed, StatusRemaining)
}

// with lists the parts in one of the states.
func (r Result) with(states ...Status) []Part {
	var parts []Part
	for _, p := range r.parts() {
		if slices.Contains(states, p.Status) {
			parts = append(parts, p)
		}
	}
	return parts
}
