package netlify

import (
	"context"
	"crypto/sha1" // Netlify's choice
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/netlify/open-api/v2/go/models"
	"github.com/netlify/open-api/v2/go/plumbing/operations"
)

const (
	asyncAbove = 100 // files; Netlify then compares on its own time
	between    = time.Second
	uploaders  = 5
	// stale is for how many looks in a row Netlify may ask for what it was
	// just given before that is taken seriously, and rounds how often it is
	// then given again.
	stale  = 3
	rounds = 3
	// lastWords is how long a cancellation may take: the process may be about
	// to be killed.
	lastWords = 5 * time.Second
)

var (
	aliasForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,35}[a-z0-9])?$`)
	siteForm  = regexp.MustCompile(`^[A-Za-z0-9.-]+$`)
)

// check finds all that is wrong with an upload before anything is asked.
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
	*flow
	Upload
	reporter  reporter
	folder    *os.Root
	functions *os.Root // nil for none
	files     []file
	bundle    bundle
	deploy    Deploy
	stats     Stats
}

// Publish puts a folder on Netlify and returns when Netlify says that it is ready.
// It ends with ctx, and after 20 minutes at the latest.
//
// On an error the deploy it returns is as far as it came, with an ID if it was
// created; it was cancelled then, or the error says that it was not. A request to
// create it whose answer was lost may leave one behind that holds nothing; it has
// the same title and alias.
func (a *Account) Publish(ctx context.Context, u Upload) (Deploy, Stats, error) {
	if err := u.check(); err != nil {
		return Deploy{}, Stats{}, fmt.Errorf("publish: %w", err)
	}
	f, err := a.begin()
	if err != nil {
		return Deploy{}, Stats{}, err
	}
	ctx, stop := context.WithTimeoutCause(ctx, limit, errDeadline)
	defer stop()
	p := &publication{flow: f, Upload: u, reporter: reporter{tell: u.Progress}}
	var watching sync.WaitGroup
	pulsing, still := context.WithCancel(ctx)
	watching.Go(func() { p.reporter.pulse(pulsing) })
	err = p.run(ctx)
	still()
	watching.Wait()
	p.stats.Requests, p.stats.Retries = f.requests, f.retries
	if err != nil {
		return p.deploy, p.stats, fmt.Errorf("publish %s as %s: %w", u.Dir, u.Alias, err)
	}
	return p.deploy, p.stats, nil
}

func (p *publication) run(ctx context.Context) error {
	if err := p.open(); err != nil {
		return err
	}
	defer p.close()
	if err := p.read(ctx); err != nil {
		return err
	}
	if err := p.create(ctx); err != nil {
		return err
	}
	err := p.fill(ctx)
	if err != nil {
		return p.cancel(ctx, err)
	}
	return nil
}

// fill brings a deploy that was created to ready.
func (p *publication) fill(ctx context.Context) error {
	required, err := p.compare(ctx)
	if err != nil {
		return err
	}
	p.stats.Required = len(required.Required) + len(required.RequiredFunctions)
	begun := p.now()
	err = p.upload(ctx, required)
	p.stats.Uploading = p.now().Sub(begun)
	if err != nil {
		return err
	}
	p.reporter.phase(PhaseWaiting, 0, 0)
	return p.await(ctx)
}

func (p *publication) open() (err error) {
	if p.folder, err = os.OpenRoot(p.Dir); err != nil {
		return err
	}
	if p.Functions == "" {
		return nil
	}
	if p.functions, err = os.OpenRoot(p.Functions); err != nil {
		_ = p.folder.Close()
		return fmt.Errorf("functions: %w", err)
	}
	return nil
}

// close is for folders that were only read.
func (p *publication) close() {
	_ = p.folder.Close()
	if p.functions != nil {
		_ = p.functions.Close()
	}
}

// read finds and hashes all there is to publish.
func (p *publication) read(ctx context.Context) error {
	var err error
	if p.files, err = list(p.folder, isRoot(p.Dir, p.Config)); err != nil {
		return err
	}
	made, err := generated(p.folder, p.Config)
	if err != nil {
		return err
	}
	if p.functions != nil {
		if p.bundle, err = bundled(p.functions); err != nil {
			return fmt.Errorf("functions: %w", err)
		}
	}
	var total int64
	for _, f := range p.files {
		total += f.size
	}
	p.reporter.phase(PhaseHashing, len(p.files), total)
	begun := p.now()
	if err := sum(ctx, p.folder, p.files, p.reporter.add); err != nil {
		if ctx.Err() != nil {
			return ended(ctx)
		}
		return err
	}
	p.stats.Hashing = p.now().Sub(begun)
	if made != nil {
		digest := sha1.Sum(made)
		p.files = append(p.files, file{path: configName, size: int64(len(made)), sum: hex.EncodeToString(digest[:]), body: made})
	}
	if len(p.files)+len(p.bundle.functions) == 0 {
		return errors.New("there is nothing to publish")
	}
	p.stats.Files, p.stats.Functions = len(p.files), len(p.bundle.functions)
	for _, f := range p.files {
		p.stats.Bytes += f.size
	}
	return nil
}

// settings are what every request for the deploy has to say: under which alias it
// will answer, and that it is meant to.
func (p *publication) settings() *models.DeployFiles {
	return &models.DeployFiles{Branch: p.Alias, Draft: false}
}

func (p *publication) create(ctx context.Context) error {
	p.reporter.phase(PhaseComparing, len(p.files), 0)
	err := p.ask(ctx, "create", func(ctx context.Context, _ int) error {
		ctx, stop := limited(ctx, 0)
		defer stop()
		params := operations.NewCreateSiteDeployParamsWithContext(ctx).WithSiteID(p.SiteID).WithTitle(&p.Title).WithDeploy(p.settings())
		resp, err := p.ops.CreateSiteDeploy(params, p.auth)
		if err != nil {
			return err
		}
		p.saw(resp.Payload)
		return nil
	})
	switch {
	case status(err) == 404:
		return fmt.Errorf("create a deploy: there is no site %q, or this token does not reach it: %w", p.SiteID, err)
	case err != nil:
		return fmt.Errorf("create a deploy: %w", err)
	case p.deploy.ID == "":
		return errors.New("create a deploy: Netlify names no ID")
	}
	return nil
}

// saw notes what Netlify says of the deploy.
func (p *publication) saw(m *models.Deploy) {
	d := deployOf(m)
	d.Alias, d.Title = p.Alias, p.Title
	if d.SiteID == "" {
		d.SiteID = p.SiteID
	}
	if d.ID == "" { // an answer of little content is no reason to forget it
		d.ID = p.deploy.ID
	}
	d.Error = p.secrets.String(d.Error)
	p.deploy = d
	p.reporter.state(d.State)
}

// compare tells Netlify all digests and returns those that it lacks.
func (p *publication) compare(ctx context.Context) (*models.Deploy, error) {
	body := p.settings()
	files := make(map[string]string, len(p.files))
	for _, f := range p.files {
		files[f.path] = f.sum
	}
	body.Files, body.Async = files, len(files) > asyncAbove
	if len(p.bundle.functions) > 0 {
		functions := map[string]string{}
		for _, f := range p.bundle.functions {
			functions[f.name] = f.sum
		}
		body.Functions, body.FunctionSchedules, body.FunctionsConfig = functions, p.bundle.schedules, p.bundle.config
	}
	var got *models.Deploy
	err := p.ask(ctx, "update", func(ctx context.Context, _ int) error {
		ctx, stop := limited(ctx, int64(len(files))*100)
		defer stop()
		params := operations.NewUpdateSiteDeployParamsWithContext(ctx).WithSiteID(p.SiteID).WithDeployID(p.deploy.ID).WithDeploy(body)
		resp, err := p.ops.UpdateSiteDeploy(params, p.auth)
		if err == nil {
			got = resp.Payload
		}
		return err
	})
	if err != nil {
		return nil, p.lost("tell the digests", err)
	}
	p.saw(got)
	if err := p.refused(); err != nil {
		return nil, err
	}
	if !body.Async {
		return got, nil
	}
	for n := 0; !slices.Contains([]string{"prepared", "uploading", "uploaded", "ready"}, p.deploy.State); n++ {
		if got, err = p.poll(ctx, n); err != nil {
			return nil, fmt.Errorf("wait for the comparison: %w", err)
		}
	}
	return got, nil
}

// poll looks at the deploy, after a moment but for the first of some looks.
func (p *publication) poll(ctx context.Context, n int) (*models.Deploy, error) {
	if n > 0 {
		if err := p.wait(ctx, between); err != nil {
			return nil, fmt.Errorf("the deploy is %q: %w", p.deploy.State, err)
		}
	}
	var got *models.Deploy
	err := p.ask(ctx, "poll", func(ctx context.Context, _ int) error {
		ctx, stop := limited(ctx, 0)
		defer stop()
		params := operations.NewGetSiteDeployParamsWithContext(ctx).WithSiteID(p.SiteID).WithDeployID(p.deploy.ID)
		resp, err := p.ops.GetSiteDeploy(params, p.auth)
		if err == nil {
			got = resp.Payload
		}
		return err
	})
	if err != nil {
		return nil, p.lost("look at the deploy", err)
	}
	p.saw(got)
	return got, p.refused()
}

// refused is an error when Netlify will not publish the deploy.
func (p *publication) refused() error {
	if p.deploy.State != "error" && p.deploy.State != "rejected" {
		return nil
	}
	why := p.deploy.Error
	if why == "" {
		why = "Netlify does not say why"
	}
	return fmt.Errorf("the deploy's state is %q: %s", p.deploy.State, why)
}

// lost explains a deploy that is no more.
func (p *publication) lost(doing string, err error) error {
	if status(err) == 404 {
		return fmt.Errorf("%s: deploy %s is gone, somebody deleted it or its site: %w", doing, p.deploy.ID, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// await looks at the deploy until it is ready, and uploads again what Netlify keeps
// asking for.
func (p *publication) await(ctx context.Context) error {
	asked, given := 0, 0
	for n := 0; p.deploy.State != "ready"; n++ {
		got, err := p.poll(ctx, n)
		if err != nil {
			return fmt.Errorf("wait until it is live: %w", err)
		}
		if len(got.Required)+len(got.RequiredFunctions) == 0 || !slices.Contains([]string{"prepared", "uploading"}, got.State) {
			asked = 0
			continue
		}
		if asked++; asked >= stale && given < rounds {
			asked, given = 0, given+1
			if err := p.upload(ctx, got); err != nil {
				return err
			}
		}
	}
	return nil
}

// cancel ends a deploy after an error, whatever became of ctx.
func (p *publication) cancel(ctx context.Context, why error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer stop()
	var err error
	for range 2 {
		p.count("cancel", err != nil)
		params := operations.NewCancelSiteDeployParamsWithContext(ctx).WithDeployID(p.deploy.ID)
		_, err = p.ops.CancelSiteDeploy(params, p.auth)
		if err == nil || !temporary(err) {
			break
		}
	}
	if err == nil {
		return fmt.Errorf("%w (deploy %s was cancelled)", why, p.deploy.ID)
	}
	return fmt.Errorf("%w (deploy %s could not be cancelled and may be left behind: %v)", why, p.deploy.ID, p.plain(err)) //nolint:errorlint // the cause is why
}

// deployOf translates Netlify's description.
func deployOf(m *models.Deploy) Deploy {
	d := Deploy{
		ID: m.ID, SiteID: m.SiteID, Alias: m.Branch, Title: m.Title, State: m.State, Error: m.ErrorMessage, CommitRef: m.CommitRef,
	}
	d.Created, _ = time.Parse(time.RFC3339, m.CreatedAt)
	d.URL, d.AliasURL = addresses(m)
	return d
}

// describe says of what an error is about.
func describe(d Deploy) string { return strings.TrimSpace("deploy " + d.ID + " " + d.Alias) }
