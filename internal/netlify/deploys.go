package netlify

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/netlify/open-api/v2/go/models"
	"github.com/netlify/open-api/v2/go/plumbing/operations"

	"github.com/candlefish/deploy-action/internal/netlify/wire"
)

const (
	perPage  = 100
	maxPages = 1000
	maxPage  = 4 << 20 // bytes read of a page

	pageTimeout = 15 * time.Second
)

// addresses returns a deploy's own URL and its alias's. Netlify sends the alias's, whose
// host is pr-12--shop.netlify.app; with the deploy's ID before the two dashes it is the
// deploy's own. A site with a domain of its own for branches has no dashes there, but
// still answers below netlify.app. A test server has no such names and sends the
// deploy's own URL as the one without TLS.
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

// Deploys lists a site's deploys, newest first: those of an alias, or all with an empty
// one. It returns all pages or an error.
func (a *Account) Deploys(ctx context.Context, siteID, alias string) ([]Deploy, error) {
	c, err := a.newCall()
	if err != nil {
		return nil, err
	}
	var all []Deploy
	seen := map[string]bool{}
	for page := int32(1); page <= maxPages; page++ {
		got, err := c.page(ctx, siteID, alias, page)
		if err != nil {
			return nil, fmt.Errorf("list the deploys of site %q, page %d: %w", siteID, page, err)
		}
		for _, m := range got {
			// A deploy made in the meantime moves others to the next page.
			if !seen[m.ID] && (alias == "" || m.Branch == alias) {
				seen[m.ID] = true
				d := deployOf(m)
				d.Error = c.secrets.String(wire.Printable(d.Error))
				all = append(all, d)
			}
		}
		if len(got) < perPage {
			return all, nil
		}
	}
	return nil, fmt.Errorf("list the deploys of site %q: more than %d", siteID, maxPages*perPage)
}

func (c *call) page(ctx context.Context, siteID, alias string, page int32) ([]*models.Deploy, error) {
	size := int32(perPage)
	var got []*models.Deploy
	err := c.do(ctx, "list", func(ctx context.Context, _ int) error {
		ctx, stop := withTimeout(ctx, 0)
		defer stop()
		params := operations.NewListSiteDeploysParamsWithContext(ctx).WithSiteID(siteID).WithPage(&page).WithPerPage(&size)
		if alias != "" {
			params.SetBranch(&alias)
		}
		resp, err := c.ops.ListSiteDeploys(params, c.auth)
		if err == nil {
			got = resp.Payload
		}
		return err
	})
	if wire.StatusOf(err) == 404 {
		return nil, fmt.Errorf("there is no such site, or the token has no access to it: %w", err)
	}
	return got, err
}

// Delete deletes a deploy. One that does not exist is no error.
func (a *Account) Delete(ctx context.Context, d Deploy) error {
	c, err := a.newCall()
	if err != nil {
		return err
	}
	err = c.do(ctx, "delete", func(ctx context.Context, _ int) error {
		ctx, stop := withTimeout(ctx, 0)
		defer stop()
		params := operations.NewDeleteSiteDeployParamsWithContext(ctx).WithSiteID(d.SiteID).WithDeployID(d.ID)
		_, err := c.ops.DeleteSiteDeploy(params, c.auth)
		return err
	})
	if err != nil && wire.StatusOf(err) != http.StatusNotFound {
		return fmt.Errorf("delete %s: %w", describe(d), err)
	}
	return nil
}

// Gone verifies that a deploy is gone: Netlify's API must not know its ID, and its own
// address must answer 404. Why says what still exists. The alias is not requested: it
// may serve another deploy.
func (a *Account) Gone(ctx context.Context, d Deploy) (gone bool, why string, err error) {
	c, err := a.newCall()
	if err != nil {
		return false, "", err
	}
	if d.ID == "" || d.URL == "" {
		return false, "", fmt.Errorf("look for %s: its ID and address must be known", describe(d))
	}
	state := ""
	err = c.do(ctx, "get", func(ctx context.Context, _ int) error {
		ctx, stop := withTimeout(ctx, 0)
		defer stop()
		resp, err := c.ops.GetSiteDeploy(operations.NewGetSiteDeployParamsWithContext(ctx).WithSiteID(d.SiteID).WithDeployID(d.ID), c.auth)
		if err == nil {
			state = resp.Payload.State
		}
		return err
	})
	var left []string
	switch {
	case err == nil:
		left = append(left, fmt.Sprintf("Netlify's API still has deploy %s, %q", d.ID, state))
	case wire.StatusOf(err) != http.StatusNotFound:
		return false, "", fmt.Errorf("look for %s: %w", describe(d), err)
	}
	var answered int
	err = c.do(ctx, "visit", func(ctx context.Context, _ int) (err error) {
		answered, _, err = c.visit(ctx, d.URL, false)
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

// Serves requests a page of the deploy's alias, once a second, until its body contains
// want. If ctx ends before that, the error contains the last answer.
func (a *Account) Serves(ctx context.Context, d Deploy, path, want string) error {
	c, err := a.newCall()
	if err != nil {
		return err
	}
	address := strings.TrimRight(d.AliasURL, "/") + "/" + strings.TrimLeft(path, "/")
	if d.AliasURL == "" || want == "" {
		return fmt.Errorf("look what %s serves: its address and the text to look for must be known", describe(d))
	}
	last := "no answer yet"
	for {
		answered, body, err := c.visit(ctx, address, true)
		switch {
		case err == nil && answered == http.StatusOK && strings.Contains(body, want):
			return nil
		case err == nil:
			last = fmt.Sprintf("it last answered %d, without %q", answered, want)
		case ctx.Err() == nil:
			last = "last: " + c.sanitize(err).Error()
		}
		if err := c.wait(ctx, pollInterval); err != nil {
			return fmt.Errorf("wait until %s serves this commit: %w; %s", address, err, last)
		}
	}
}

// visit requests a page past caches, and follows redirects or returns the first answer.
func (c *client) visit(ctx context.Context, address string, follow bool) (int, string, error) {
	ctx, stop := context.WithTimeout(ctx, pageTimeout)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", wire.Permanent("not an address")
	}
	req.Header.Set("Cache-Control", "no-cache")
	req.Header.Set("User-Agent", userAgent)
	pages := *c.http
	if !follow {
		pages.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	resp, err := pages.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	return resp.StatusCode, string(body), err
}
