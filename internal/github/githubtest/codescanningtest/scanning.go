// Package codescanningtest has code scanning for a githubtest.Server. It refuses what
// GitHub refuses, at once or after it has looked into a file, and keeps alerts as
// GitHub does: an alert is open as long as the newest analysis of its tool and
// category has it.
//
// The rules are those of
// https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
// and of https://docs.github.com/en/rest/code-scanning.
package codescanningtest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
)

// Scanning is the code scanning of a server.
type Scanning struct {
	api      *githubtest.Extension
	url      string
	disabled bool
	pending  int
	commits  []string
	uploads  []*Upload
}

// An Upload is one that was accepted.
type Upload struct {
	ID, Repository, Commit, Ref, Tool string
	Errors                            []string // why it was refused afterwards
	Analyses                          []Analysis
	pending                           int // so many looks find it not processed yet
}

// An Analysis is one run of a file.
type Analysis struct {
	Tool, Category string
	Alerts         []Alert
}

// An Alert is a result as GitHub shows it.
type Alert struct {
	Tool, Category, Rule, Path, Severity, Hash, Message string
	Line                                                int
}

// New adds code scanning to a server whose repositories have these commits.
func New(s *githubtest.Server, commits ...string) *Scanning {
	c := &Scanning{api: githubtest.Extend(s), url: s.URL(), commits: commits}
	c.api.Handle("POST", "/code-scanning/sarifs", c.upload)
	c.api.Handle("GET", "/code-scanning/sarifs/{id}", c.look)
	return c
}

// AddCommit pushes a commit to the repositories.
func (c *Scanning) AddCommit(commit string) {
	c.api.Do(func() { c.commits = append(c.commits, commit) })
}

// Disable turns code scanning off or on.
func (c *Scanning) Disable(disabled bool) { c.api.Do(func() { c.disabled = disabled }) }

// Busy makes each upload from now on take so many looks until it is processed.
func (c *Scanning) Busy(looks int) { c.api.Do(func() { c.pending = looks }) }

// Uploads returns what was accepted, oldest first.
func (c *Scanning) Uploads() []Upload {
	var all []Upload
	c.api.Do(func() {
		for _, u := range c.uploads {
			all = append(all, *u)
		}
	})
	return all
}

// Alerts returns the open alerts of a ref, in the order of their analyses.
func (c *Scanning) Alerts(repo, ref string) []Alert {
	var all []Alert
	c.api.Do(func() {
		type key struct{ tool, category string }
		seen := map[key]bool{}
		for _, u := range slices.Backward(c.uploads) {
			if u.Repository != repo || u.Ref != ref {
				continue
			}
			for _, a := range u.Analyses {
				if k := (key{a.Tool, a.Category}); !seen[k] {
					seen[k] = true
					all = append(all, a.Alerts...)
				}
			}
		}
	})
	return all
}

const (
	maxBody = 20 << 20
	maxGzip = 10_000_000
	maxJSON = 1 << 30
)

var (
	sha  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	refs = regexp.MustCompile(`^refs/(heads|tags|pull)/.`)
)

func (c *Scanning) upload(repo string, r *http.Request) githubtest.Reply {
	var q struct {
		Commit   string `json:"commit_sha"`
		Ref      string `json:"ref"`
		SARIF    string `json:"sarif"`
		Checkout string `json:"checkout_uri"`
		Tool     string `json:"tool_name"`
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	switch {
	case err != nil || json.Unmarshal(body, &q) != nil:
		return githubtest.Refuse(http.StatusBadRequest, "Problems parsing JSON")
	case c.disabled:
		return githubtest.Refuse(http.StatusForbidden, "Code scanning is not enabled for this repository. Please enable code scanning in the repository settings.")
	case !sha.MatchString(q.Commit):
		return githubtest.Refuse(http.StatusUnprocessableEntity, "Invalid request.\n\nFor 'properties/commit_sha', \""+q.Commit+"\" does not match /^[0-9a-fA-F]+$/.")
	case !slices.Contains(c.commits, q.Commit):
		return githubtest.Refuse(http.StatusNotFound, "commit not found")
	case !refs.MatchString(q.Ref):
		return githubtest.Refuse(http.StatusBadRequest, "ref is invalid")
	}
	packed, err := base64.StdEncoding.DecodeString(q.SARIF)
	if err != nil {
		return githubtest.Refuse(http.StatusBadRequest, "sarif is not valid base64")
	}
	if len(packed) > maxGzip {
		return githubtest.Refuse(http.StatusRequestEntityTooLarge, "the SARIF file is too large")
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return githubtest.Refuse(http.StatusBadRequest, "sarif is not valid gzip")
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxJSON))
	if err != nil {
		return githubtest.Refuse(http.StatusBadRequest, "sarif is not valid gzip")
	}
	u := &Upload{ID: fmt.Sprintf("47177e22-5596-11eb-80a1-%012d", len(c.uploads)+1), Repository: repo, Commit: q.Commit, Ref: q.Ref, Tool: q.Tool, pending: c.pending}
	scheme, _, _ := strings.Cut(q.Checkout, ":")
	u.Analyses, u.Errors = process(plain, scheme)
	if len(u.Errors) > 0 {
		u.Analyses = nil
	}
	c.uploads = append(c.uploads, u)
	return githubtest.Reply{Status: http.StatusAccepted, Body: map[string]string{"id": u.ID, "url": c.url + "/repos/" + repo + "/code-scanning/sarifs/" + u.ID}}
}

func (c *Scanning) look(repo string, r *http.Request) githubtest.Reply {
	i := slices.IndexFunc(c.uploads, func(u *Upload) bool { return u.ID == r.PathValue("id") && u.Repository == repo })
	if i < 0 {
		return githubtest.Refuse(http.StatusNotFound, "Not Found")
	}
	u := c.uploads[i]
	if u.pending > 0 {
		u.pending--
		return githubtest.Reply{Status: http.StatusOK, Body: map[string]any{"processing_status": "pending"}}
	}
	if len(u.Errors) > 0 {
		return githubtest.Reply{Status: http.StatusOK, Body: map[string]any{"processing_status": "failed", "errors": u.Errors}}
	}
	return githubtest.Reply{Status: http.StatusOK, Body: map[string]any{"processing_status": "complete", "analyses_url": c.url + "/repos/" + repo + "/code-scanning/analyses?sarif_id=" + u.ID, "errors": nil}}
}
