package preview

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/aws/stack"
	"github.com/candlefish/deploy-action/internal/preview/api"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
	"github.com/candlefish/deploy-action/internal/preview/result"
)

// A cloudFormation is AWS as the reconciler's Backend.
type cloudFormation struct {
	account  *aws.Account
	bucket   string // of artifacts; empty means the default one
	code     string // a folder or an archive
	template string // the user's own; empty means ours
	settings api.Settings
	protect  bool
	runID    string
	// testServer is the URL of a server that replaces AWS. It may not return the
	// outputs of stacks that a change set created, and serves a stack's API below
	// /_api/NAME.
	testServer string
}

var _ reconcile.Backend = (*cloudFormation)(nil)

// backend connects to the AWS account of the inputs.
func (s *session) backend(ctx context.Context) (*cloudFormation, error) {
	o := aws.ConnectOptions{Region: s.v.String("aws-region")}
	c := &cloudFormation{
		bucket: s.v.String("artifacts-bucket"), code: s.v.String("api-code"), template: s.v.String("api-template"),
		protect: s.v.Bool("protect"), runID: s.runID,
		settings: api.Settings{Image: s.v.String("api-image"), Runtime: s.v.String("api-runtime"), Handler: s.v.String("api-handler"),
			CertificateArn: s.v.String("certificate-arn"), HostedZoneID: s.v.String("hosted-zone-id")},
	}
	if c.settings.Image != "" {
		c.settings.Runtime, c.settings.Handler = "", ""
	}
	if c.settings.CertificateArn != "" || c.settings.HostedZoneID != "" {
		c.settings.BaseDomain = s.v.String("base-domain")
	}
	if u := s.v.URL("aws-endpoint-url"); u != nil {
		o.Endpoint, c.testServer = u.String(), u.String()
	}
	var err error
	c.account, err = aws.Connect(ctx, o)
	return c, err
}

// defaultBucket is the name of the bucket that all previews of an account share.
func (c *cloudFormation) defaultBucket(ctx context.Context) (string, error) {
	id, err := c.account.ID(ctx)
	return fmt.Sprintf("candlefish-preview-artifacts-%s-%s", id, c.account.Region()), err
}

// artifacts ensures that the bucket exists, and returns its name.
func (c *cloudFormation) artifacts(ctx context.Context) (string, error) {
	if c.bucket == "" {
		name, err := c.defaultBucket(ctx)
		if err != nil {
			return "", err
		}
		c.bucket = name
	}
	return c.bucket, bucket.Of(c.account, c.bucket).Ensure(ctx, reconcile.SharedTags())
}

// Apply implements reconcile.Backend.
func (c *cloudFormation) Apply(ctx context.Context, o reconcile.Owner, logf reconcile.Logf) (reconcile.API, error) {
	spec, err := c.spec(ctx, o, logf)
	if err != nil {
		return reconcile.API{}, err
	}
	applied, err := stack.Apply(ctx, c.account, spec)
	if err != nil {
		return reconcile.API{}, err
	}
	a := apiOf(applied.Stack)
	a.Missing, a.Changes = applied.Missing, changes(applied.Changes)
	if id := applied.Resources["Api"]; c.testServer != "" && a.URL() == "" && id != "" {
		a.Outputs = map[string]string{"ApiUrl": fmt.Sprintf("%s/_api/%s/preview", c.testServer, o.Stack())}
	}
	return a, nil
}

// spec uploads the code and returns the stack's desired state.
func (c *cloudFormation) spec(ctx context.Context, o reconcile.Owner, logf reconcile.Logf) (stack.Spec, error) {
	name, err := c.artifacts(ctx)
	if err != nil {
		return stack.Spec{}, err
	}
	spec := stack.Spec{
		Name: o.Stack(), Template: api.Template(), Tags: o.Tags(), Capabilities: []string{api.Capability}, Bucket: name,
		Protect: c.protect, Token: "run-" + strings.ReplaceAll(c.runID, ".", "-") + "-" + result.Short(o.Commit), Owned: o.Owns,
		Event: logEvent(logf),
	}
	settings := c.settings
	settings.Number, settings.Commit = o.Number, o.Commit
	if c.code != "" {
		body, hash, err := api.Package(c.code)
		if err != nil {
			return spec, err
		}
		settings.Bucket, settings.Key = name, fmt.Sprintf("pr-%d/%s.zip", o.Number, hash)
		if err := bucket.Of(c.account, name).Put(ctx, settings.Key, body); err != nil {
			return spec, err
		}
	}
	if c.template != "" {
		if spec.Template, err = os.ReadFile(c.template); err != nil {
			return spec, fmt.Errorf("read the API's template: %w", err)
		}
	}
	spec.Parameters, err = api.Parameters(settings)
	return spec, err
}

func logEvent(logf reconcile.Logf) func(stack.Event) {
	return func(e stack.Event) { logf("%s", e) }
}

// changes describes the changes of a stack for people.
func changes(all []stack.Change) []string {
	var lines []string
	for _, change := range all {
		line := fmt.Sprintf("API: %s %s", strings.ToLower(change.Action), change.LogicalID)
		if change.Replacement == "True" {
			line += " (replaced)"
		}
		lines = append(lines, line)
	}
	return lines
}

func apiOf(s stack.Stack) reconcile.API {
	return reconcile.API{ID: s.ID, Name: s.Name, Status: s.Status, Outputs: s.Outputs, Tags: s.Tags, Updated: s.Updated}
}

// Stacks implements reconcile.Backend.
func (c *cloudFormation) Stacks(ctx context.Context) ([]reconcile.API, error) {
	all, err := stack.List(ctx, c.account, reconcile.StackPrefix)
	if err != nil {
		return nil, err
	}
	list := make([]reconcile.API, len(all))
	for i, s := range all {
		list[i] = apiOf(s)
	}
	return list, nil
}

// Remove implements reconcile.Backend. With the last preview it deletes the default
// bucket of artifacts.
func (c *cloudFormation) Remove(ctx context.Context, k reconcile.Key, logf reconcile.Logf) (bool, []string, error) {
	deleted, err := stack.Delete(ctx, c.account, k.Stack(), k.Owns, logEvent(logf))
	left := slices.Concat(deleted.Retained, deleted.Left)
	if err != nil {
		return deleted.Existed, left, err
	}
	if deleted.Existed && !deleted.Gone && len(left) == 0 {
		return true, nil, errors.New("the stack was deleted and still exists")
	}
	others, err := c.Stacks(ctx)
	if err != nil || len(others) > 0 || c.bucket != "" {
		return deleted.Existed, left, err
	}
	name, err := c.defaultBucket(ctx)
	if err == nil {
		_, err = bucket.Of(c.account, name).Delete(ctx, reconcile.SharedTags())
	}
	return deleted.Existed, left, err
}
