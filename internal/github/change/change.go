// Package change says which commits an event of GitHub is about: those of a push, a
// pull request or a merge group.
package change

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/github"
)

// A Change is what an event says about the commits that it is about.
type Change struct {
	Name   string // as GITHUB_EVENT_NAME
	Repo   string // owner/name of where the workflow runs
	Number int    // the pull request's; 0 if the event has none
	// Base and Head are commits. Base is empty if nothing was there before, as with a
	// new branch, and both are empty if the event has no commits, as with schedule.
	Base, Head string
	Fork       bool // the commits are in another repository, or in a deleted one
	Deleted    bool // a branch or tag was removed: there is nothing to look at
	// DefaultBranch is the repository's; "" if the event does not say.
	DefaultBranch string
}

var commitID = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

type repository struct {
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
}

type event struct {
	Repository *repository `json:"repository"`
	// Of push.
	Before, After string
	Deleted       bool
	MergeGroup    *struct {
		BaseSHA string `json:"base_sha"`
		HeadSHA string `json:"head_sha"`
	} `json:"merge_group"`
	PullRequest *struct {
		Number int `json:"number"`
		Head   end `json:"head"`
		Base   end `json:"base"`
	} `json:"pull_request"`
}

type end struct {
	SHA  string      `json:"sha"`
	Repo *repository `json:"repo"`
}

// Read reads the event of the workflow that runs, by its environment; outside of a
// workflow there is none.
func Read(getenv func(string) string) (Change, error) {
	path, name := getenv("GITHUB_EVENT_PATH"), getenv("GITHUB_EVENT_NAME")
	if path == "" || name == "" {
		return Change{Name: name}, nil
	}
	payload, err := files.Read(path)
	if err != nil {
		return Change{}, fmt.Errorf("read the event: %w", err)
	}
	return Parse(name, payload)
}

// Parse parses which commits an event is about, from GITHUB_EVENT_NAME and the
// file at GITHUB_EVENT_PATH. An event that has none, such as schedule, is no error.
func Parse(name string, payload []byte) (Change, error) {
	c, err := parse(name, payload)
	if err != nil {
		return Change{}, fmt.Errorf("event %q: %w", name, err)
	}
	return c, nil
}

func parse(name string, payload []byte) (Change, error) {
	if len(payload) > github.MaxEvent {
		return Change{}, fmt.Errorf("%d bytes, the maximum is %d", len(payload), github.MaxEvent)
	}
	var w event
	if err := json.Unmarshal(payload, &w); err != nil {
		return Change{}, err
	}
	if w.Repository == nil || !github.IsRepository(w.Repository.FullName) {
		return Change{}, errors.New("repository.full_name is not of the form owner/name")
	}
	c := Change{Name: name, Repo: w.Repository.FullName, DefaultBranch: w.Repository.DefaultBranch}
	switch name {
	case "pull_request", "pull_request_target":
		return c, c.ofPullRequest(w)
	case "push":
		c.Deleted = w.Deleted
		return c, c.between(w.Before, w.After)
	case "merge_group":
		if w.MergeGroup == nil {
			return c, errors.New("merge_group is missing")
		}
		return c, c.between(w.MergeGroup.BaseSHA, w.MergeGroup.HeadSHA)
	}
	return c, nil
}

func (c *Change) ofPullRequest(w event) error {
	p := w.PullRequest
	if p == nil || p.Number <= 0 {
		return errors.New("pull_request or its number is missing")
	}
	c.Number = p.Number
	c.Fork = p.Head.Repo == nil || !strings.EqualFold(p.Head.Repo.FullName, c.Repo)
	return c.between(p.Base.SHA, p.Head.SHA)
}

// between sets the commits. GitHub has 40 zeros for one that does not exist.
func (c *Change) between(base, head string) error {
	for _, sha := range []string{base, head} {
		if !commitID.MatchString(sha) {
			return fmt.Errorf("%q is not a full commit", sha)
		}
	}
	none := strings.Repeat("0", len(base))
	if base != none {
		c.Base = base
	}
	if head != none {
		c.Head = head
	}
	return nil
}
