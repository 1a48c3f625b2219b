package preview

import (
	"context"
	"time"
)

// A Site is one deploy of the frontend.
type Site struct {
	ID       string
	URL      string // of this deploy, for ever
	AliasURL string // of whatever deploy the preview is at
	Title    string
	Alias    string
	State    string
	Created  time.Time
	// Files of the build, and how many of them had to be uploaded.
	Files, Uploaded int
}

// A Build is a frontend to publish.
type Build struct {
	Dir       string
	Functions string
	Config    string
	Owner     Owner
	Progress  func(string)
}

// A Host keeps the frontends.
type Host interface {
	// Publish uploads a build and returns when the host says it is live.
	Publish(ctx context.Context, b Build) (Site, error)
	// Sites lists deploys, of one alias or all.
	Sites(ctx context.Context, alias string) ([]Site, error)
	// Remove deletes one; that it is not there is fine.
	Remove(ctx context.Context, s Site) error
	// Gone says whether it is, by asking for it; why says what still answers.
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
	// Changes are what the last Apply did to its resources.
	Changes []string
	// Missing are parts of the template that do not exist although the stack
	// says it is complete.
	Missing []string
}

// URL is where the API answers, "" when the stack has no such output.
func (a API) URL() string { return a.Outputs["ApiUrl"] }

// A Backend keeps the APIs.
type Backend interface {
	// Apply brings a stack to what owner and code say, from any state. What is
	// there and not ours is refused.
	Apply(ctx context.Context, owner Owner, progress func(string)) (API, error)
	// Stacks lists all stacks whose name begins like a preview's.
	Stacks(ctx context.Context) ([]API, error)
	// Remove deletes one with all in it and looks whether it is gone. Left
	// are parts that AWS would not delete.
	Remove(ctx context.Context, k Key, progress func(string)) (existed bool, left []string, err error)
}

// A PullRequest is what matters of one.
type PullRequest struct {
	Key
	Open   bool
	Head   string // commit
	Fork   bool
	Author string
}

// A Forge keeps the pull requests.
type Forge interface {
	PullRequest(ctx context.Context, k Key) (PullRequest, error)
	// Open lists the open pull requests, all of them or an error.
	Open(ctx context.Context, repository string) ([]PullRequest, error)
	// Of lists the open pull requests whose head is a commit.
	Of(ctx context.Context, repository, commit string) ([]PullRequest, error)
	// Comment makes body the one comment that begins with marker. It returns
	// its page; changed says whether anything was written.
	Comment(ctx context.Context, k Key, marker, body string) (url string, changed bool, err error)
	// Previous is the body of that comment, "" when there is none.
	Previous(ctx context.Context, k Key, marker string) (string, error)
	// Announce says on GitHub's page of environments what a commit is at.
	Announce(ctx context.Context, o Owner, url, logURL string, ready bool) error
	// Retire says that the environment is no more.
	Retire(ctx context.Context, k Key) error
}

// A Status is what is known of one part.
type Status string

// What a part can be.
const (
	Ready      Status = "ready"      // it answers, with this commit
	Removed    Status = "removed"    // it was looked for and is gone
	Absent     Status = "absent"     // it was never there
	Failing    Status = "failed"     // it could not be brought where it should be
	Remaining  Status = "remaining"  // it should be gone and is not
	Superseded Status = "superseded" // a newer commit or the end of the pull request came first
	Unused     Status = "not used"   // this run was not asked for it
)

// A Part is the frontend or the API after a run.
type Part struct {
	Name   string        `json:"name"`
	Status Status        `json:"status"`
	URL    string        `json:"url,omitempty"`
	ID     string        `json:"id,omitempty"`
	Commit string        `json:"commit,omitempty"` // that it answered with
	Took   time.Duration `json:"-"`
	Detail string        `json:"detail,omitempty"`
	// Checks are what was looked at, each with what was seen.
	Checks []Check `json:"checks,omitempty"`
}

// A Check is one thing that was looked at.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// A Result is what one run did and saw.
type Result struct {
	Key        Key               `json:"-"`
	Repository string            `json:"repository"`
	Number     int               `json:"pr_number"`
	Goal       Goal              `json:"goal"`
	Commit     string            `json:"commit_sha"`
	Frontend   Part              `json:"frontend"`
	API        Part              `json:"api"`
	Outputs    map[string]string `json:"stack_outputs,omitempty"`
	Expires    time.Time         `json:"expires_at,omitzero"`
	Superseded string            `json:"superseded,omitempty"` // by what
	Changes    []string          `json:"changes,omitempty"`    // since the comment before
	CommentURL string            `json:"comment_url,omitempty"`
	Warnings   []string          `json:"warnings,omitempty"`
	StartedAt  time.Time         `json:"started_at"`
	EndedAt    time.Time         `json:"ended_at"`
	RunURL     string            `json:"run_url,omitempty"`
}

// A Goal is where a preview is to be.
type Goal string

// The goals of a run.
const (
	GoalUp     Goal = "up"
	GoalDown   Goal = "down"
	GoalStatus Goal = "status"
	GoalSweep  Goal = "sweep"
)

// failed lists the parts that are not where they should be.
func (r Result) failed() []Part {
	var parts []Part
	for _, p := range []Part{r.Frontend, r.API} {
		if p.Status == Failing || p.Status == Remaining {
			parts = append(parts, p)
		}
	}
	return parts
}
