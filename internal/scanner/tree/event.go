package tree

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Ends are what an event says of the commits to scan.
type Ends struct {
	Base string // "" for all of the history
	Head string
	Why  string // in words: "the pull request's base and head"
	// Gone says that Base may have been removed by a forced push. Then all of the
	// history of Head is scanned, which has more and never less.
	Gone bool
}

// All are the ends for the whole history of a commit.
func All(head, why string) Ends { return Ends{Head: head, Why: why} }

type event struct {
	PullRequest struct {
		Base, Head struct {
			SHA string `json:"sha"`
		}
	} `json:"pull_request"`
	MergeGroup struct {
		Base string `json:"base_sha"`
		Head string `json:"head_sha"`
	} `json:"merge_group"`
	Before  string `json:"before"`
	After   string `json:"after"`
	Deleted bool   `json:"deleted"`
}

// FromEvent reads the ends from a GitHub event: its name, its payload and the
// commit that the run is for (GITHUB_SHA). Of a pull request they are its base and
// head, never the commits that the API lists, which come in pages, and never the
// merge commit that is checked out. An event without a range means all of the history.
//
// https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows
func FromEvent(name string, payload []byte, sha string) (Ends, error) {
	var e event
	if len(payload) > 0 {
		if err := json.Unmarshal(payload, &e); err != nil {
			return Ends{}, fmt.Errorf("read the event %s: %w", name, err)
		}
	}
	switch name {
	case "pull_request", "pull_request_target", "pull_request_review":
		return ends(name, e.PullRequest.Base.SHA, e.PullRequest.Head.SHA, "the pull request's base and head")
	case "merge_group":
		return ends(name, e.MergeGroup.Base, e.MergeGroup.Head, "the merge group's base and head")
	case "push":
		return pushed(e, sha)
	}
	return All(sha, "all of the history: an event "+name+" has no range"), nil
}

func ends(name, base, head, why string) (Ends, error) {
	if base == "" || head == "" {
		return Ends{}, fmt.Errorf("read the event %s: it has no base or no head", name)
	}
	return Ends{Base: base, Head: head, Why: why}, nil
}

func pushed(e event, sha string) (Ends, error) {
	switch {
	case e.Deleted || none(e.After):
		return All(sha, "all of the history: the push removed its branch"), nil
	case none(e.Before):
		return All(e.After, "all of the history: the push made a branch or a tag"), nil
	}
	return Ends{Base: e.Before, Head: e.After, Why: "what was pushed", Gone: true}, nil
}

// none reports whether an object name stands for no object.
func none(sha string) bool { return strings.Trim(sha, "0") == "" }
