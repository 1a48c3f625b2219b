package reconcile

import (
	"context"
	"fmt"
	"strings"
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
	// Secrets are values among the outputs that must not be shown.
	Secrets []string
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
	// Remove deletes a preview's stack with all its resources, and those that an
	// earlier removal left, and asks for each of them.
	Remove(ctx context.Context, k Key, logf Logf) (Removal, error)
	// Remains lists what exists of previews without their stacks: what AWS did
	// not delete.
	Remains(ctx context.Context) ([]Remain, error)
}

// A Removal is what Backend.Remove did and saw.
type Removal struct {
	Existed bool
	// Asked counts the resources that were asked for and do not exist.
	Asked int
	// Left are resources that still exist, each with the reason. The next removal
	// and the sweep find them.
	Left []string
	// Kept are resources that the user's own template keeps, and Unasked those that
	// nobody here can ask for: CloudFormation says that it deleted them.
	Kept, Unasked []string
}

// detail says in a sentence what a removal without failures saw.
func (r Removal) detail() string {
	text := fmt.Sprintf("the stack, and its resources, each asked for: %d", r.Asked)
	if len(r.Unasked) > 0 {
		text += "; deleted by CloudFormation's word alone: " + strings.Join(r.Unasked, ", ")
	}
	if len(r.Kept) > 0 {
		text += "; kept, as the template says: " + strings.Join(r.Kept, ", ")
	}
	return text
}

// A Remain is a resource of a preview whose stack does not exist any more.
type Remain struct {
	Owner
	What string
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
	// RecentComments returns the bodies of such comments that were written since a
	// time, by the number of their pull request.
	RecentComments(ctx context.Context, repository, marker string, since time.Time) (map[int]string, error)
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
