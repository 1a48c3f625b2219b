package netlify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/netlify/open-api/v2/go/models"
	"github.com/netlify/open-api/v2/go/plumbing/operations"

	"github.com/candlefish/deploy-action/internal/netlify/wire"
)

// clockSlack is how much earlier than our first request Netlify may say that a deploy
// was created: its Date header and created_at are in whole seconds.
const clockSlack = 2 * time.Second

// create makes the deploy. Netlify offers no key that would make a second request do
// nothing, and a request that was not answered, or with a 5xx, may have made a deploy all
// the same: before each further try it looks for that one, by title and alias.
func (p *publication) create(ctx context.Context) error {
	p.reporter.phase(PhaseComparing, len(p.site.Files), 0)
	p.createdAfter = p.now()
	err := p.doUnless(ctx, "create", p.createOnce, p.adopt)
	switch {
	case wire.StatusOf(err) == http.StatusNotFound:
		return fmt.Errorf("create a deploy: there is no site %q, or the token has no access to it: %w", p.SiteID, err)
	case err != nil:
		return fmt.Errorf("create a deploy: %w", err)
	case p.deploy.ID == "":
		return errors.New("create a deploy: Netlify names no ID")
	}
	return nil
}

func (p *publication) createOnce(ctx context.Context, _ int) error {
	ctx, stop := withTimeout(ctx, 0)
	defer stop()
	before := p.doubtful
	p.doubtful = true // until the answer says otherwise
	params := operations.NewCreateSiteDeployParamsWithContext(ctx).WithSiteID(p.SiteID).WithTitle(&p.Title).WithDeploy(p.deployFiles())
	resp, err := p.ops.CreateSiteDeploy(params, p.auth)
	if status := wire.StatusOf(err); err == nil || status/100 == 4 && status != http.StatusRequestTimeout {
		p.doubtful = before
	}
	if err != nil {
		return err
	}
	p.observe(resp.Payload)
	return nil
}

// adopt takes the deploy that an earlier request made, if it did, and reports whether
// it found one.
func (p *publication) adopt(ctx context.Context) (bool, error) {
	if !p.doubtful {
		return false, nil
	}
	twins, err := p.twins(ctx)
	if err != nil || len(twins) == 0 {
		return false, err
	}
	p.observe(twins[0])
	return true, nil
}

// twins lists what our requests may have made, oldest first: deploys with our title,
// alias and commit that nobody has finished, and that are no older than our first
// request by Netlify's clock. A title is needed to tell them from others'.
func (p *publication) twins(ctx context.Context) ([]*models.Deploy, error) {
	if p.Title == "" {
		return nil, nil
	}
	recent, err := p.page(ctx, p.SiteID, p.Alias, 1)
	if err != nil {
		return nil, fmt.Errorf("look whether an earlier request created a deploy: %w", err)
	}
	since := p.createdAfter.Add(p.skew() - clockSlack)
	own := slices.DeleteFunc(slices.Clone(recent), func(m *models.Deploy) bool {
		d := deployOf(m)
		return m.Title != p.Title || m.Branch != p.Alias || d.Created.Before(since) || cmp.Or(m.CommitRef, p.Commit) != p.Commit ||
			slices.Contains([]string{"ready", "error", "rejected"}, m.State)
	})
	slices.SortStableFunc(own, func(a, b *models.Deploy) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return own, nil
}

// endTwins cancels the deploys that our requests made beside the one that is used. They
// may have appeared after it was created. It acts even if ctx has ended.
func (p *publication) endTwins(ctx context.Context) error {
	if !p.doubtful {
		return nil
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	twins, err := p.twins(ctx)
	errs := []error{err}
	for _, m := range twins {
		if m.ID == p.deploy.ID {
			continue
		}
		if err := p.cancelOne(ctx, m.ID); err != nil {
			errs = append(errs, fmt.Errorf("cancel deploy %s, which an unanswered request created: %w", m.ID, p.sanitize(err)))
			continue
		}
		p.stats.Twins++
	}
	return errors.Join(errs...)
}
