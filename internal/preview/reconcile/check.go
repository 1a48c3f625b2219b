package reconcile

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/preview/build"
)

// manifestPath is the file of each frontend that contains its commit.
const manifestPath = "/" + build.ManifestName

// prepare looks whether there is a build to publish, and adds commit and API address to its
// manifest. It changes nothing of a build that it refuses.
func prepare(d Desired, apiURL string, now time.Time) error {
	if d.Untrusted {
		if err := build.CheckUntrusted(d.Dir, build.Untrusted); err != nil {
			return err
		}
	}
	if err := build.Check(d.Dir); err != nil {
		return err
	}
	return build.WriteManifest(d.Dir, map[string]any{
		"buildId": fmt.Sprintf("preview-%d-%d", d.Number, now.Unix()), "prNumber": d.Number, "commitSha": d.Commit,
		"buildTime": now.UTC().Format(time.RFC3339), "apiUrl": apiURL,
	}, "commitSha", "apiUrl")
}

// commitOf reads the commit from a manifest, empty without one.
func commitOf(body string) string {
	m, err := build.Parse([]byte(body))
	if err != nil {
		return ""
	}
	return m.Text("commitSha")
}

// liveTimeout bounds the time from when the host says that a part is live until it
// answers with its commit: edge caches follow.
const liveTimeout = 90 * time.Second

// A visitor requests a preview as people would, and adds what it saw to the checks of
// its parts.
type visitor struct {
	fetcher Fetcher
	pages   PageChecker // nil means no browser
	now     func() time.Time
	after   func(time.Duration) <-chan time.Time
}

// site checks the frontend as a visitor would see it.
func (v visitor) site(ctx context.Context, d Desired, p *Part) {
	limit, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	for {
		status, body, err := v.fetcher.Get(limit, p.URL+manifestPath)
		seen := commitOf(body)
		if err == nil && status == http.StatusOK && seen == d.Commit {
			p.Commit, p.Status = seen, StatusReady
			p.Checks = append(p.Checks, Check{"commit", true, "it answers as " + Short(seen)})
			break
		}
		p.Detail = "it does not show commit " + Short(d.Commit) + ": " + answer(status, seen, err)
		select {
		case <-limit.Done():
			p.Checks = append(p.Checks, Check{"commit", false, p.Detail})
			return
		case <-v.after(time.Second):
		}
	}
	p.Detail = ""
	v.page(ctx, p, "front page", p.URL+"/", true)
	v.page(ctx, p, "health", p.URL+"/health", false)
	if d.Links > 0 {
		v.links(ctx, p, d.Links)
	}
}

// ended visits the address of a preview that was removed. It is over if the address does not
// know the page, or shows a page of somebody else's: each deploy of ours has a manifest with
// its commit. A foreign deploy may have been made of the same build. Anything else that it
// answers proves nothing, and is asked again until the caches have followed. It reports the
// check, and whether the address answers with something else.
func (v visitor) ended(ctx context.Context, address string, commits []string, foreign bool) (c Check, answers bool) {
	limit, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	c = Check{Name: "address"}
	for {
		status, body, err := v.fetcher.Get(limit, address+manifestPath)
		ours := err == nil && status == http.StatusOK && commitOf(body) != "" && slices.Contains(commits, commitOf(body))
		switch {
		case err == nil && isGone(status):
			return v.elsewhere(ctx, address)
		case err == nil && status == http.StatusOK && (!ours || foreign):
			c.OK, c.Detail = true, address+" answers, with a deploy that is not this preview's"
			return c, true
		case ours:
			c.Detail = address + " still shows commit " + Short(commitOf(body))
		default:
			c.Detail = address + " could not be verified: " + answer(status, "", err)
		}
		select {
		case <-limit.Done():
			return c, false
		case <-v.after(time.Second):
		}
	}
}

// elsewhere visits the front page of an address without a manifest.
func (v visitor) elsewhere(ctx context.Context, address string) (c Check, answers bool) {
	status, _, err := v.fetcher.Get(ctx, address+"/")
	c = Check{"address", true, address + " answers " + answer(status, "", err)}
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

// api checks the API's health. The commit is verified only if the function reports
// it.
func (v visitor) api(ctx context.Context, d Desired, p *Part) {
	address := healthURL(p.URL)
	limit, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	for {
		status, body, err := v.fetcher.Get(limit, address)
		if err == nil && status == http.StatusOK {
			p.Status, p.Detail = StatusReady, ""
			c := Check{"health", true, "it answers " + http.StatusText(status)}
			if strings.Contains(body, d.Commit) {
				p.Commit, c.Detail = d.Commit, c.Detail+" as "+Short(d.Commit)
			}
			p.Checks = append(p.Checks, c)
			return
		}
		p.Detail = "its health check fails: " + answer(status, "", err)
		select {
		case <-limit.Done():
			p.Status = StatusFailed
			p.Checks = append(p.Checks, Check{"health", false, p.Detail})
			return
		case <-v.after(time.Second):
		}
	}
}

// healthURL is the address of an API's health check.
func healthURL(api string) string { return strings.TrimSuffix(api, "/") + "/health" }

// page requests one page. A required one that fails fails the part.
func (v visitor) page(ctx context.Context, p *Part, name, address string, required bool) {
	began := v.now()
	status, _, err := v.fetcher.Get(ctx, address)
	c := Check{Name: name, OK: err == nil && status < 400, Detail: answer(status, "", err)}
	if c.OK {
		c.Detail += fmt.Sprintf(" in %v", v.now().Sub(began).Round(time.Millisecond))
	} else if required {
		p.Status, p.Detail = StatusFailed, name+": "+c.Detail
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
		return "it shows " + Short(seen)
	}
	return fmt.Sprintf("%d %s", status, http.StatusText(status))
}

// links requests the sitemap's pages, on the preview itself.
func (v visitor) links(ctx context.Context, p *Part, most int) {
	status, body, err := v.fetcher.Get(ctx, p.URL+"/sitemap.xml")
	if err != nil || status != http.StatusOK {
		return // it is optional
	}
	pages, left, err := sitemap(body, p.URL, most)
	if err != nil {
		p.Checks = append(p.Checks, Check{"links", false, "sitemap.xml: " + err.Error()})
		return
	}
	var broken []string
	for _, page := range pages {
		if status, _, err := v.fetcher.Get(ctx, page); err != nil || status >= 400 {
			broken = append(broken, fmt.Sprintf("%s (%s)", strings.TrimPrefix(page, p.URL), answer(status, "", err)))
		}
	}
	c := Check{"links", len(broken) == 0, fmt.Sprintf("%d pages of the sitemap answer", len(pages)-len(broken))}
	if left > 0 {
		c.Detail += fmt.Sprintf("; %d were not checked", left)
	}
	if len(broken) > 0 {
		c.Detail += "; broken: " + strings.Join(broken[:min(len(broken), 10)], ", ")
		p.Status, p.Detail = StatusFailed, c.Detail
	}
	p.Checks = append(p.Checks, c)
}

// sitemap lists at most so many pages of a sitemap, as addresses on site, whatever host
// they name; left is how many more there are.
func sitemap(body, site string, most int) (pages []string, left int, err error) {
	var m struct {
		URLs []struct {
			Loc string `xml:"loc"`
		} `xml:"url"`
	}
	if err := xml.Unmarshal([]byte(body), &m); err != nil {
		return nil, 0, err
	}
	for _, u := range m.URLs {
		loc, err := url.Parse(strings.TrimSpace(u.Loc))
		if err != nil {
			return nil, 0, fmt.Errorf("%q is not a URL", u.Loc)
		}
		if len(pages) == most {
			left++
			continue
		}
		pages = append(pages, site+"/"+strings.TrimPrefix(loc.EscapedPath(), "/"))
	}
	return pages, left, nil
}

// maxBrowserPages is how many pages the browser checks: the front page and the first
// of the sitemap.
const maxBrowserPages = 5

// browser checks the frontend's pages in a browser.
func (v visitor) browser(ctx context.Context, p *Part) {
	if v.pages == nil || p.Status != StatusReady {
		return
	}
	pages := []string{p.URL + "/"}
	if status, body, err := v.fetcher.Get(ctx, p.URL+"/sitemap.xml"); err == nil && status == http.StatusOK {
		listed, _, _ := sitemap(body, p.URL, maxBrowserPages) // links reports an invalid one
		for _, page := range listed {
			if u, err := url.Parse(page); err == nil && u.Path != "/" && len(pages) < maxBrowserPages {
				pages = append(pages, page)
			}
		}
	}
	checks, err := v.pages.CheckPages(ctx, pages)
	if err != nil {
		checks = append(checks, Check{"browser", false, err.Error()})
	}
	p.Checks = append(p.Checks, checks...)
}
