// Package visit requests a preview as people would: its site, its API, and the address that
// must be gone after the removal. It adds what it saw to the checks of the parts.
package visit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/preview/api"
	"github.com/candlefish/deploy-action/internal/preview/build"
	"github.com/candlefish/deploy-action/internal/preview/result"
)

// ManifestPath is the page of each frontend that contains its commit.
const ManifestPath = "/" + build.ManifestName

// A Fetcher requests pages as a visitor would.
type Fetcher interface {
	// Get returns a page, cut at 1 MiB.
	Get(ctx context.Context, url string) (status int, body string, err error)
	// Read passes a page of any length to use, if its status is 200.
	Read(ctx context.Context, url string, use func(io.Reader) error) (status int, err error)
}

// A PageChecker checks pages in a browser. Failed checks do not fail a preview: the
// reviewer judges them.
type PageChecker interface {
	CheckPages(ctx context.Context, pages []string) ([]result.Check, error)
}

// CommitOf reads the commit from a manifest, empty without one.
func CommitOf(body string) string {
	m, err := build.Parse([]byte(body))
	if err != nil {
		return ""
	}
	return m.Text("commitSha")
}

// liveTimeout bounds the time from when the host says that a part is live, or gone, until
// its address follows: there are caches at the edge.
const liveTimeout = 90 * time.Second

// A Visitor requests the pages of a preview.
type Visitor struct {
	Fetcher Fetcher
	Pages   PageChecker // nil means no browser
	Now     func() time.Time
	After   func(time.Duration) <-chan time.Time
	Health  api.Health // how an API shows that it is well
}

// until calls look once a second until it reports that it is done, and reports whether that
// was in time.
func (v Visitor) until(ctx context.Context, look func() (done bool)) bool {
	for end := v.Now().Add(liveTimeout); !look(); {
		if ctx.Err() != nil || !v.Now().Before(end) {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-v.After(time.Second):
		}
	}
	return true
}

// Site checks a frontend, which must answer with a commit, and at most so many pages of its
// sitemap.
func (v Visitor) Site(ctx context.Context, commit string, links int, p *result.Part) {
	live := v.until(ctx, func() bool {
		status, body, err := v.Fetcher.Get(ctx, p.URL+ManifestPath)
		seen := CommitOf(body)
		if err == nil && status == http.StatusOK && seen == commit {
			p.Commit, p.Status, p.Detail = seen, result.StatusReady, ""
			p.Checks = append(p.Checks, result.Check{Name: "commit", OK: true, Detail: "it answers as " + result.Short(seen)})
			return true
		}
		p.Detail = "it does not show commit " + result.Short(commit) + ": " + answer(status, seen, err)
		return false
	})
	if !live {
		p.Checks = append(p.Checks, result.Check{Name: "commit", Detail: p.Detail})
		return
	}
	v.page(ctx, p, "front page", p.URL+"/", true)
	v.page(ctx, p, "health", p.URL+"/health", false)
	if links > 0 {
		v.links(ctx, p, links)
	}
}

// API checks the API's health. The commit is verified only if the function reports it.
func (v Visitor) API(ctx context.Context, commit string, p *result.Part) {
	address := v.Health.URL(p.URL)
	well := v.until(ctx, func() bool {
		status, body, err := v.Fetcher.Get(ctx, address)
		if err != nil || !v.Health.Accepts(status) {
			p.Detail = "its health check fails: " + answer(status, "", err)
			return false
		}
		p.Status, p.Detail = result.StatusReady, ""
		c := result.Check{Name: "health", OK: true, Detail: "it answers " + http.StatusText(status)}
		if strings.Contains(body, commit) {
			p.Commit, c.Detail = commit, c.Detail+" as "+result.Short(commit)
		}
		p.Checks = append(p.Checks, c)
		return true
	})
	if !well {
		p.Status = result.StatusFailed
		p.Checks = append(p.Checks, result.Check{Name: "health", Detail: p.Detail})
	}
}

// Ended visits the address of a preview that was removed, whose deploys had these commits. It
// is over if the address does not know the page, or shows a page of somebody else's: each
// deploy of ours has a manifest with its commit. A foreign deploy may have been made of the
// same build. Anything else that it answers proves nothing, and is asked again until the
// caches have followed. It reports the check, and whether the address answers with something
// else.
func (v Visitor) Ended(ctx context.Context, address string, commits []string, foreign bool) (c result.Check, answers bool) {
	c.Name = "address"
	v.until(ctx, func() bool {
		status, body, err := v.Fetcher.Get(ctx, address+ManifestPath)
		ours := err == nil && status == http.StatusOK && CommitOf(body) != "" && slices.Contains(commits, CommitOf(body))
		switch {
		case err == nil && isGone(status):
			c, answers = v.elsewhere(ctx, address)
			return true
		case err == nil && status == http.StatusOK && (!ours || foreign):
			c.OK, c.Detail, answers = true, address+" answers, with a deploy that is not this preview's", true
			return true
		case ours:
			c.Detail = address + " still shows commit " + result.Short(CommitOf(body))
		default:
			c.Detail = address + " could not be verified: " + answer(status, "", err)
		}
		return false
	})
	return c, answers
}

// elsewhere visits the front page of an address without a manifest.
func (v Visitor) elsewhere(ctx context.Context, address string) (c result.Check, answers bool) {
	status, _, err := v.Fetcher.Get(ctx, address+"/")
	c = result.Check{Name: "address", OK: true, Detail: address + " answers " + answer(status, "", err)}
	switch {
	case err != nil:
		c.OK, c.Detail = false, address+" could not be verified: "+err.Error()
	case !isGone(status):
		c.Detail += ", without a manifest of this preview"
		answers = true
	}
	return c, answers
}

// isGone reports whether a status says that there is no such page.
func isGone(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

// page requests one page. A required one that fails fails the part.
func (v Visitor) page(ctx context.Context, p *result.Part, name, address string, required bool) {
	began := v.Now()
	status, _, err := v.Fetcher.Get(ctx, address)
	c := result.Check{Name: name, OK: err == nil && status < 400, Detail: answer(status, "", err)}
	if c.OK {
		c.Detail += fmt.Sprintf(" in %v", v.Now().Sub(began).Round(time.Millisecond))
	} else if required {
		p.Status, p.Detail = result.StatusFailed, name+": "+c.Detail
	}
	if required || status != http.StatusNotFound { // an optional page that does not exist is not listed
		p.Checks = append(p.Checks, c)
	}
}

func answer(status int, seen string, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case seen != "":
		return "it shows " + result.Short(seen)
	}
	return fmt.Sprintf("%d %s", status, http.StatusText(status))
}
