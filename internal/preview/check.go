package preview

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// manifestPath is the file in each frontend that says which commit it is.
const manifestPath = "/build-manifest.json"

// writeManifest adds what is known to the build's manifest, keeping what else is
// in it.
func writeManifest(w Want, apiURL string, now time.Time) error {
	file := filepath.Join(w.Dir, filepath.Base(manifestPath))
	manifest := map[string]any{}
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &manifest)
	} else if os.IsNotExist(err) {
		err = nil
		if _, e := os.Stat(w.Dir); e != nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("read the build %s: %w", w.Dir, err)
	}
	if manifest["commitSha"] == w.Commit && manifest["apiUrl"] == apiURL {
		return nil // the same files again, with nothing to upload
	}
	for name, value := range map[string]any{
		"buildId": fmt.Sprintf("preview-%d-%d", w.Number, now.Unix()), "prNumber": w.Number, "commitSha": w.Commit,
		"buildTime": now.UTC().Format(time.RFC3339), "apiUrl": apiURL,
	} {
		manifest[name] = value
	}
	if raw, err = json.MarshalIndent(manifest, "", "  "); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}

// commitOf reads the commit from a manifest, "" when there is none.
func commitOf(body string) string {
	var m struct{ CommitSha string }
	if json.Unmarshal([]byte(body), &m) != nil {
		return ""
	}
	return m.CommitSha
}

// waitLive is how long a frontend may take to show its commit after the host said
// that it is live: caches at the edge follow.
const waitLive = 90 * time.Second

// checkSite looks at the frontend as a visitor would.
func (k *Keeper) checkSite(ctx context.Context, w Want, p *Part) {
	limit, cancel := context.WithTimeout(ctx, waitLive)
	defer cancel()
	for {
		status, body, err := k.Web.Get(limit, p.URL+manifestPath)
		seen := commitOf(body)
		if err == nil && status == http.StatusOK && seen == w.Commit {
			p.Commit, p.Status = seen, Ready
			p.Checks = append(p.Checks, Check{"commit", true, "it answers as " + short(seen)})
			break
		}
		p.Detail = "it does not show commit " + short(w.Commit) + ": " + answer(status, seen, err)
		select {
		case <-limit.Done():
			p.Checks = append(p.Checks, Check{"commit", false, p.Detail})
			return
		case <-k.After(time.Second):
		}
	}
	p.Detail = ""
	k.look(ctx, p, "front page", p.URL+"/", true)
	k.look(ctx, p, "health", p.URL+"/health", false)
	if w.Links > 0 {
		k.links(ctx, p, w.Links)
	}
}

// checkAPI looks at the API. That it answers with its commit is seen only where
// the function tells.
func (k *Keeper) checkAPI(ctx context.Context, w Want, p *Part) {
	address := health(p.URL)
	limit, cancel := context.WithTimeout(ctx, waitLive)
	defer cancel()
	for {
		status, body, err := k.Web.Get(limit, address)
		if err == nil && status == http.StatusOK {
			p.Status, p.Detail = Ready, ""
			c := Check{"health", true, "it answers " + http.StatusText(status)}
			if strings.Contains(body, w.Commit) {
				p.Commit, c.Detail = w.Commit, c.Detail+" as "+short(w.Commit)
			}
			p.Checks = append(p.Checks, c)
			return
		}
		p.Detail = "its health does not answer: " + answer(status, "", err)
		select {
		case <-limit.Done():
			p.Status = Failing
			p.Checks = append(p.Checks, Check{"health", false, p.Detail})
			return
		case <-k.After(time.Second):
		}
	}
}

// health is where an API says how it is.
func health(api string) string { return strings.TrimSuffix(api, "/") + "/health" }

// look asks for one page. One that is needed fails the part.
func (k *Keeper) look(ctx context.Context, p *Part, name, address string, needed bool) {
	began := k.Now()
	status, _, err := k.Web.Get(ctx, address)
	c := Check{Name: name, OK: err == nil && status < 400, Detail: answer(status, "", err)}
	if c.OK {
		c.Detail += fmt.Sprintf(" in %v", k.Now().Sub(began).Round(time.Millisecond))
	} else if needed {
		p.Status, p.Detail = Failing, name+": "+c.Detail
	}
	if needed || status != http.StatusNotFound { // a page that a site may have and has not is not worth a line
		p.Checks = append(p.Checks, c)
	}
}

func answer(status int, seen string, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case seen != "":
		return "it shows " + short(seen)
	}
	return fmt.Sprintf("%d %s", status, http.StatusText(status))
}

// links asks for the pages that the sitemap lists, on the preview itself.
func (k *Keeper) links(ctx context.Context, p *Part, most int) {
	status, body, err := k.Web.Get(ctx, p.URL+"/sitemap.xml")
	if err != nil || status != http.StatusOK {
		return // a site need not have one
	}
	pages, left, err := sitemap(body, p.URL, most)
	if err != nil {
		p.Checks = append(p.Checks, Check{"links", false, "sitemap.xml: " + err.Error()})
		return
	}
	var broken []string
	for _, page := range pages {
		if status, _, err := k.Web.Get(ctx, page); err != nil || status >= 400 {
			broken = append(broken, fmt.Sprintf("%s (%s)", strings.TrimPrefix(page, p.URL), answer(status, "", err)))
		}
	}
	c := Check{"links", len(broken) == 0, fmt.Sprintf("%d pages of the sitemap answer", len(pages)-len(broken))}
	if left > 0 {
		c.Detail += fmt.Sprintf("; %d were not looked at", left)
	}
	if len(broken) > 0 {
		c.Detail += "; broken are " + strings.Join(broken[:min(len(broken), 10)], ", ")
		p.Status, p.Detail = Failing, c.Detail
	}
	p.Checks = append(p.Checks, c)
}

// sitemap lists the pages of a sitemap as addresses on site, whatever host they
// name, at most so many; left is how many more there are.
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
			return nil, 0, fmt.Errorf("%q is no address", u.Loc)
		}
		if len(pages) == most {
			left++
			continue
		}
		pages = append(pages, site+"/"+strings.TrimPrefix(loc.EscapedPath(), "/"))
	}
	return pages, left, nil
}
