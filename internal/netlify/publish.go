package netlify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/netlify/open-api/v2/go/models"
	"github.com/netlify/open-api/v2/go/plumbing/operations"

	"github.com/candlefish/deploy-action/internal/netlify/bundle"
	"github.com/candlefish/deploy-action/internal/netlify/rules"
	"github.com/candlefish/deploy-action/internal/netlify/site"
	"github.com/candlefish/deploy-action/internal/netlify/wire"
)

const (
	maxSyncFiles = 100 // with more, Netlify compares asynchronously
	pollInterval = time.Second
	uploaders    = 5
	// staleLists is how many polls in a row may list files that were just
	// uploaded before they are uploaded again, and maxReuploads how often that
	// is done.
	staleLists   = 3
	maxReuploads = 3
	// cancelTimeout is short: the process may be about to be killed.
	cancelTimeout = 5 * time.Second
)

var (
	aliasForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,35}[a-z0-9])?$`)
	siteForm  = regexp.MustCompile(`^[A-Za-z0-9.-]+$`)
)

// check reports all errors of an upload before any request.
func (u Upload) check() error {
	var errs []error
	if !siteForm.MatchString(u.SiteID) {
		errs = append(errs, fmt.Errorf("site %q: want the ID of a site, or its domain", u.SiteID))
	}
	if !aliasForm.MatchString(u.Alias) {
		errs = append(errs, fmt.Errorf("alias %q: want 1 to 37 of a-z, 0-9 and -, with no - at its ends", u.Alias))
	}
	if u.Dir == "" {
		errs = append(errs, errors.New("no folder to publish"))
	}
	return errors.Join(errs...)
}

// A publication is one run of Publish.
type publication struct {
	*call
	Upload
	reporter reporter
	site     *site.Site
	deploy   Deploy
	stats    Stats

	createdAfter time.Time // by our clock
	doubtful     bool      // whether a request to create it may have made another one
}

// Publish publishes a folder and returns when Netlify says that it is ready. It ends
// with ctx, and after 20 minutes at the latest.
//
// On an error it returns the deploy as far as it came, with an ID if it was created;
// that deploy was cancelled, or the error says that it was not. If the answer to a create
// request was lost or was a 5xx, the deploy that it made is used if Netlify lists it;
// one that appears later is cancelled.
func (a *Account) Publish(ctx context.Context, u Upload) (Deploy, Stats, error) {
	if err := u.check(); err != nil {
		return Deploy{}, Stats{}, fmt.Errorf("publish: %w", err)
	}
	c, err := a.newCall()
	if err != nil {
		return Deploy{}, Stats{}, err
	}
	ctx, stop := context.WithTimeoutCause(ctx, limit, errDeadline)
	defer stop()
	p := &publication{call: c, Upload: u, reporter: reporter{report: u.Progress}}
	var reporting sync.WaitGroup
	reportCtx, stopReports := context.WithCancel(ctx)
	reporting.Go(func() { p.reporter.run(reportCtx) })
	err = p.run(ctx)
	stopReports()
	reporting.Wait()
	p.stats.Requests, p.stats.Retries = c.requests, c.retries
	if err != nil {
		return p.deploy, p.stats, fmt.Errorf("publish %s as %s: %w", u.Dir, u.Alias, err)
	}
	return p.deploy, p.stats, nil
}

func (p *publication) run(ctx context.Context) error {
	functions, remove, err := bundle.Folder(ctx, bundle.Source{
		Functions: p.Functions, Project: p.Project, Config: cmp.Or(p.Config, filepath.Join(p.Dir, rules.ConfigName)),
	})
	if err != nil {
		return err
	}
	defer remove()
	if p.site, err = site.Open(site.Source{Dir: p.Dir, Functions: functions, Config: p.Config}); err != nil {
		return err
	}
	defer p.site.Close()
	if p.Warn != nil {
		for _, w := range p.site.Warnings {
			p.Warn(wire.Printable(w))
		}
	}
	if err := p.hash(ctx); err != nil {
		return err
	}
	if err := p.create(ctx); err != nil {
		return p.andTwins(ctx, err)
	}
	if err := p.complete(ctx); err != nil {
		return p.andTwins(ctx, p.cancel(ctx, err))
	}
	if err := p.endTwins(ctx); err != nil && p.Log != nil {
		p.Log.WarnContext(ctx, "an empty deploy may be left behind under the alias", "error", err)
	}
	return nil
}

// andTwins ends a failed publication's twins, and adds to its error what remains.
func (p *publication) andTwins(ctx context.Context, why error) error {
	if err := p.endTwins(ctx); err != nil {
		return fmt.Errorf("%w (an empty deploy may be left behind: %v)", why, err) //nolint:errorlint // why is the cause
	}
	return why
}

// complete brings a deploy that was created to ready.
func (p *publication) complete(ctx context.Context) error {
	required, err := p.compare(ctx)
	if err != nil {
		return err
	}
	p.stats.Required = len(required.Required) + len(required.RequiredFunctions)
	started := p.now()
	err = p.upload(ctx, required)
	p.stats.Uploading = p.now().Sub(started)
	if err != nil {
		return err
	}
	p.reporter.phase(PhaseWaiting, 0, 0)
	return p.await(ctx)
}

// hash hashes all files and counts what will be published.
func (p *publication) hash(ctx context.Context) error {
	p.reporter.phase(PhaseHashing, len(p.site.Files), p.site.Bytes())
	started := p.now()
	if err := p.site.Hash(ctx, p.reporter.add); err != nil {
		if ctx.Err() != nil {
			return contextError(ctx)
		}
		return err
	}
	p.stats.Hashing = p.now().Sub(started)
	p.stats.Files, p.stats.Functions, p.stats.Bytes = len(p.site.Files), len(p.site.Functions), p.site.Bytes()
	if p.stats.Files+p.stats.Functions == 0 {
		return errors.New("there is nothing to publish")
	}
	return nil
}

// deployFiles is the part that every request for the deploy needs: its alias, and that
// it is no draft.
func (p *publication) deployFiles() *models.DeployFiles {
	return &models.DeployFiles{
		Branch: p.Alias, Draft: false,
		Environment: []*models.DeployEnvironmentVariable{}, FunctionSchedules: []*models.FunctionSchedule{}, // null is no array
	}
}

// observe records what Netlify says of the deploy.
func (p *publication) observe(m *models.Deploy) {
	d := deployOf(m)
	d.Alias, d.Title = p.Alias, p.Title
	if d.SiteID == "" {
		d.SiteID = p.SiteID
	}
	if d.ID == "" { // a sparse response does not unset it
		d.ID = p.deploy.ID
	}
	d.Error, d.State = p.secrets.String(wire.Printable(d.Error)), wire.Printable(d.State)
	p.deploy = d
	p.reporter.state(d.State)
}

// digests is the request that sends all names and digests.
func (p *publication) digests() *models.DeployFiles {
	request := p.deployFiles()
	files := make(map[string]string, len(p.site.Files))
	for _, f := range p.site.Files {
		files[f.Path] = f.SHA1
	}
	request.Files, request.Async = files, len(files) > maxSyncFiles
	if len(p.site.Functions) > 0 {
		describeFunctions(request, p.site.Functions)
	}
	return request
}

// compare sends Netlify all digests and returns those that it lacks.
func (p *publication) compare(ctx context.Context) (*models.Deploy, error) {
	request := p.digests()
	var got *models.Deploy
	err := p.do(ctx, "update", func(ctx context.Context, _ int) error {
		ctx, stop := withTimeout(ctx, int64(len(p.site.Files))*100)
		defer stop()
		params := operations.NewUpdateSiteDeployParamsWithContext(ctx).WithSiteID(p.SiteID).WithDeployID(p.deploy.ID).WithDeploy(request)
		if p.Commit != "" {
			params.SetCommitRef(&p.Commit)
		}
		resp, err := p.ops.UpdateSiteDeploy(params, p.auth)
		if err == nil {
			got = resp.Payload
		}
		return err
	})
	if err != nil {
		return nil, p.wrap("send the digests", err)
	}
	p.observe(got)
	if err := p.rejected(); err != nil {
		return nil, err
	}
	if !request.Async {
		return got, nil
	}
	for n := 0; !slices.Contains([]string{"prepared", "uploading", "uploaded", "ready"}, p.deploy.State); n++ {
		if got, err = p.poll(ctx, n); err != nil {
			return nil, fmt.Errorf("wait for the comparison: %w", err)
		}
	}
	return got, nil
}

// poll reads the deploy, after a pause unless it is the first poll.
func (p *publication) poll(ctx context.Context, n int) (*models.Deploy, error) {
	if n > 0 {
		if err := p.wait(ctx, pollInterval); err != nil {
			return nil, fmt.Errorf("the deploy is %q: %w", p.deploy.State, err)
		}
	}
	var got *models.Deploy
	err := p.do(ctx, "poll", func(ctx context.Context, _ int) error {
		ctx, stop := withTimeout(ctx, 0)
		defer stop()
		params := operations.NewGetSiteDeployParamsWithContext(ctx).WithSiteID(p.SiteID).WithDeployID(p.deploy.ID)
		resp, err := p.ops.GetSiteDeploy(params, p.auth)
		if err == nil {
			got = resp.Payload
		}
		return err
	})
	if err != nil {
		return nil, p.wrap("read the deploy", err)
	}
	p.observe(got)
	return got, p.rejected()
}

// rejected returns an error if Netlify will not publish the deploy.
func (p *publication) rejected() error {
	if p.deploy.State != "error" && p.deploy.State != "rejected" {
		return nil
	}
	why := p.deploy.Error
	if why == "" {
		why = "Netlify gives no reason"
	}
	return fmt.Errorf("the deploy's state is %q: %s", p.deploy.State, why)
}

// wrap adds what was being done to an error, and explains a deploy that is gone.
func (p *publication) wrap(doing string, err error) error {
	if wire.StatusOf(err) == 404 {
		return fmt.Errorf("%s: deploy %s is gone: it or its site was deleted: %w", doing, p.deploy.ID, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// await polls the deploy until it is ready, and uploads again what Netlify keeps
// requiring, a few times.
func (p *publication) await(ctx context.Context) error {
	listed, reuploads := 0, 0
	for n := 0; p.deploy.State != "ready"; n++ {
		got, err := p.poll(ctx, n)
		if err != nil {
			return fmt.Errorf("wait until it is live: %w", err)
		}
		if len(got.Required)+len(got.RequiredFunctions) == 0 || !slices.Contains([]string{"prepared", "uploading"}, got.State) {
			listed = 0
			continue
		}
		if listed++; listed < staleLists {
			continue
		}
		if reuploads == maxReuploads {
			return fmt.Errorf("Netlify still requires %s after %d rounds of uploads", p.named(got), 1+reuploads) //nolint:staticcheck // a name
		}
		listed, reuploads = 0, reuploads+1
		if err := p.upload(ctx, got); err != nil {
			return err
		}
	}
	return nil
}

// named lists what a deploy requires: digests, and one file or function of each.
func (p *publication) named(required *models.Deploy) string {
	names := map[string]string{}
	for _, f := range p.site.Files {
		names[f.SHA1] = f.Path
	}
	for _, f := range p.site.Functions {
		names[f.SHA256] = f.Name
	}
	var all []string
	for _, digest := range slices.Concat(required.Required, required.RequiredFunctions) {
		all = append(all, fmt.Sprintf("%s (%q)", digest, names[digest]))
	}
	return site.Some(all)
}

// cancel cancels a deploy after an error, even if ctx has ended.
func (p *publication) cancel(ctx context.Context, why error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	err := p.cancelOne(ctx, p.deploy.ID)
	if err == nil {
		return fmt.Errorf("%w (deploy %s was cancelled)", why, p.deploy.ID)
	}
	return fmt.Errorf("%w (deploy %s could not be cancelled and may be left behind: %v)", why, p.deploy.ID, p.sanitize(err)) //nolint:errorlint // why is the cause
}

// cancelOne cancels a deploy, with one retry.
func (p *publication) cancelOne(ctx context.Context, id string) (err error) {
	for range 2 {
		p.count("cancel", err != nil)
		_, err = p.ops.CancelSiteDeploy(operations.NewCancelSiteDeployParamsWithContext(ctx).WithDeployID(id), p.auth)
		if err == nil || !wire.IsTransient(err) {
			break
		}
	}
	return err
}

// deployOf translates Netlify's model.
func deployOf(m *models.Deploy) Deploy {
	d := Deploy{
		ID: m.ID, SiteID: m.SiteID, Alias: m.Branch, Title: m.Title, State: m.State, Error: m.ErrorMessage, CommitRef: m.CommitRef, Draft: m.Draft,
	}
	d.Created, _ = time.Parse(time.RFC3339, m.CreatedAt)
	d.Published, _ = time.Parse(time.RFC3339, m.PublishedAt)
	d.URL, d.AliasURL = addresses(m)
	return d
}

// describe names a deploy in an error.
func describe(d Deploy) string { return strings.TrimSpace("deploy " + d.ID + " " + d.Alias) }
