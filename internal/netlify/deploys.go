package netlify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/netlify/open-api/v2/go/models"
	"github.com/netlify/open-api/v2/go/plumbing/operations"
)

const (
	perPage  = 100
	maxPages = 1000
	maxPage  = 4 << 20          // bytes of a page that is looked at
	visit    = 15 * time.Second // for a page to answer
)

// addresses are a deploy's own and its alias's. Netlify gives the alias's, whose host
// is pr-12--shop.netlify.app; with the deploy's ID before the two dashes it is the
// deploy's own. A site with a domain of its own for branches has no dashes there, but
// still answers below netlify.app. A server on this machine has no such names and
// gives the deploy's own address as the one without TLS.
func addresses(m *models.Deploy) (own, alias string) {
	alias = m.DeploySslURL
	if alias == "" {
		alias = m.DeployURL
	}
	u, err := url.Parse(alias)
	if err != nil || u.Host == "" || m.ID == "" {
		return "", ""
	}
	if net.ParseIP(u.Hostname()) != nil {
		return m.DeployURL, alias
	}
	_, rest, ok := strings.Cut(u.Host, "--")
	switch {
	case ok:
		u.Host = m.ID + "--" + rest
	case m.Name != "":
		u = &url.URL{Scheme: "https", Host: m.ID + "--" + m.Name + ".netlify.app"}
	default:
		return "", alias
	}
	return u.String(), alias
}

// Deploys lists a site's deploys, of an alias or all with "", newest first: all
// pages, or an error.
func (a *Account) Deploys(ctx context.Context, siteID, alias string) ([]Deploy, error) {
	f, err := a.begin()
	if err != nil {
		return nil, err
	}
	var all []Deploy
	seen := map[string]bool{}
	for page := int32(1); page <= maxPages; page++ {
		got, err := f.page(ctx, siteID, alias, page)
		if err != nil {
			return nil, fmt.Errorf("list the deploys of site %q, page %d: %w", siteID, page, err)
		}
		for _, m := range got {
			// A deploy that was made meanwhile moves others to the next page.
			if !seen[m.ID] && (alias == "" || m.Branch == alias) {
				seen[m.ID] = true
				d := deployOf(m)
				d.Error = f.secrets.String(d.Error)
				all = append(all, d)
			}
		}
		if len(got) < perPage {
			return all, nil
		}
	}
	return nil, fmt.Errorf("list the deploys of site %q: more than %d", siteID, maxPages*perPage)
}

func (f *flow) page(ctx context.Context, siteID, alias string, page int32) ([]*models.Deploy, error) {
	size := int32(perPage)
	var got []*models.Deploy
	err := f.ask(ctx, "list", func(ctx context.Context, _ int) error {
		ctx, stop := limited(ctx, 0)
		defer stop()
		params := operations.NewListSiteDeploysParamsWithContext(ctx).WithSiteID(siteID).WithPage(&page).WithPerPage(&size)
		if alias != "" {
			params.SetBranch(&alias)
		}
		resp, err := f.ops.ListSiteDeploys(params, f.auth)
		if err == nil {
			got = resp.Payload
		}
		return err
	})
	if status(err) == 404 {
		return nil, fmt.Errorf("there is no such site, or this token does not reach it: %w", err)
	}
	return got, err
}

// Delete deletes a deploy. One that is not there is deleted.
func (a *Account) Delete(ctx context.Context, d Deploy) error {
	f, err := a.begin()
	if err != nil {
		return err
	}
	err = f.ask(ctx, "delete", func(ctx context.Context, _ int) error {
		ctx, stop := limited(ctx, 0)
		defer stop()
		params := operations.NewDeleteSiteDeployParamsWithContext(ctx).WithSiteID(d.SiteID).WithDeployID(d.ID)
		_, err := f.ops.DeleteSiteDeploy(params, f.auth)
		return err
	})
	if err != nil && status(err) != http.StatusNotFound {
		return fmt.Errorf("delete %s: %w", describe(d), err)
	}
	return nil
}

// Gone looks whether a deploy is: Netlify's API has to know none of its ID, and its
// own address has to answer 404. Why names what is still there. The alias may by
// now serve another deploy, and is not asked.
func (a *Account) Gone(ctx context.Context, d Deploy) (gone bool, why string, err error) {
	f, err := a.begin()
	if err != nil {
		return false, "", err
	}
	if d.ID == "" || d.URL == "" {
		return false, "", fmt.Errorf("look for %s: its ID and address have to be known", describe(d))
	}
	state := ""
	err = f.ask(ctx, "get", func(ctx context.Context, _ int) error {
		ctx, stop := limited(ctx, 0)
		defer stop()
		resp, err := f.ops.GetSiteDeploy(operations.NewGetSiteDeployParamsWithContext(ctx).WithSiteID(d.SiteID).WithDeployID(d.ID), f.auth)
		if err == nil {
			state = resp.Payload.State
		}
		return err
	})
	var left []string
	switch {
	case err == nil:
		left = append(left, fmt.Sprintf("Netlify's API still has deploy %s, %q", d.ID, state))
	case status(err) != http.StatusNotFound:
		return false, "", fmt.Errorf("look for %s: %w", describe(d), err)
	}
	var answered int
	err = f.ask(ctx, "visit", func(ctx context.Context, _ int) (err error) {
		answered, _, err = f.visit(ctx, d.URL, false)
		return err
	})
	if err != nil {
		return false, "", fmt.Errorf("look whether %s still answers: %w", d.URL, err)
	}
	if answered != http.StatusNotFound {
		left = append(left, fmt.Sprintf("%s still answers %d", d.URL, answered))
	}
	return len(left) == 0, strings.Join(left, "; "), nil
}

// Serves asks for a page of the deploy's alias, once a second, until its body
// contains want. The error says what it answered last, when ctx ended before that.
func (a *Account) Serves(ctx context.Context, d Deploy, path, want string) error {
	f, err := a.begin()
	if err != nil {
		return err
	}
	address := strings.TrimRight(d.AliasURL, "/") + "/" + strings.TrimLeft(path, "/")
	if d.AliasURL == "" || want == "" {
		return fmt.Errorf("look what %s serves: its address and what to look for have to be known", describe(d))
	}
	last := "it was not asked"
	for {
		answered, body, err := f.visit(ctx, address, true)
		switch {
		case err == nil && answered == http.StatusOK && strings.Contains(body, want):
			return nil
		case err == nil:
			last = fmt.Sprintf("it last answered %d, without %q", answered, want)
		case ctx.Err() == nil:
			last = "last: " + f.plain(err).Error()
		}
		if err := f.wait(ctx, between); err != nil {
			return fmt.Errorf("wait until %s serves this commit: %w; %s", address, err, last)
		}
	}
}

// visit asks for a page past all caches that let it, and follows redirects or takes
// one for an answer.
func (a *api) visit(ctx context.Context, address string, follow bool) (int, string, error) {
	ctx, stop := context.WithTimeout(ctx, visit)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", &finalError{errors.New("not an address")}
	}
	req.Header.Set("Cache-Control", "no-cache")
	req.Header.Set("User-Agent", userAgent)
	asking := *a.http
	if !follow {
		asking.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	resp, err := asking.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	return resp.StatusCode, string(body), err
}
