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
	apistack "github.com/candlefish/deploy-action/internal/preview/api"
)

// cloud is CloudFormation as the keeper's Backend.
type cloud struct {
	account *aws.Account
	bucket  string // of artifacts; "" until it is known
	code    string // a folder or an archive
	own     string // a template of the user's; "" for ours
	set     apistack.Settings
	protect bool
	runID   string
	// standIn is the server that answers for AWS where it is not Amazon. Such
	// a one may not tell the outputs of stacks that a change set made; it runs
	// the API of a stack below /_api/NAME.
	standIn string
}

var _ Backend = (*cloud)(nil)

func (s *session) backend(ctx context.Context) (*cloud, error) {
	o := aws.ConnectOptions{Region: s.v.String("aws-region")}
	c := &cloud{
		bucket: s.v.String("artifacts-bucket"), code: s.v.String("api-code"), own: s.v.String("api-template"),
		protect: s.v.Bool("protect"), runID: s.runID,
		set: apistack.Settings{Image: s.v.String("api-image"), Runtime: s.v.String("api-runtime"), Handler: s.v.String("api-handler"),
			CertificateArn: s.v.String("certificate-arn"), HostedZoneID: s.v.String("hosted-zone-id")},
	}
	if c.set.Image != "" {
		c.set.Runtime, c.set.Handler = "", ""
	}
	if c.set.CertificateArn != "" || c.set.HostedZoneID != "" {
		c.set.BaseDomain = s.v.String("base-domain")
	}
	if u := s.v.URL("aws-endpoint-url"); u != nil {
		o.Endpoint, c.standIn = u.String(), u.String()
	}
	var err error
	c.account, err = aws.Connect(ctx, o)
	return c, err
}

// bucketTags mark the bucket of artifacts, which all previews share.
func bucketTags() map[string]string {
	return map[string]string{tagManagedBy: managedBy, tagEnvironment: "preview", tagCleanup: "true"}
}

// artifacts makes sure of the bucket and returns its name.
func (c *cloud) artifacts(ctx context.Context) (string, error) {
	if c.bucket == "" {
		id, err := c.account.ID(ctx)
		if err != nil {
			return "", err
		}
		c.bucket = fmt.Sprintf("candlefish-preview-artifacts-%s-%s", id, c.account.Region())
	}
	return c.bucket, bucket.Of(c.account, c.bucket).Ensure(ctx, bucketTags())
}

// Apply implements Backend.
func (c *cloud) Apply(ctx context.Context, o Owner, progress func(string)) (API, error) {
	name, err := c.artifacts(ctx)
	if err != nil {
		return API{}, err
	}
	spec := stack.Spec{
		Name: o.Stack(), Template: apistack.Template(), Tags: o.Tags(), Capabilities: []string{apistack.Capability}, Bucket: name,
		Protect: c.protect, Token: "run-" + strings.ReplaceAll(c.runID, ".", "-") + "-" + short(o.Commit), Owned: o.Owns,
		Event: func(e stack.Event) { progress(e.String()) },
	}
	set := c.set
	set.Number, set.Commit = o.Number, o.Commit
	if c.code != "" {
		body, hash, err := apistack.Package(c.code)
		if err != nil {
			return API{}, err
		}
		set.Bucket, set.Key = name, fmt.Sprintf("pr-%d/%s.zip", o.Number, hash)
		if err := bucket.Of(c.account, name).Put(ctx, set.Key, body); err != nil {
			return API{}, err
		}
	}
	if c.own != "" {
		if spec.Template, err = os.ReadFile(c.own); err != nil {
			return API{}, fmt.Errorf("read the API's template: %w", err)
		}
	}
	if spec.Parameters, err = apistack.Parameters(set); err != nil {
		return API{}, err
	}
	applied, err := stack.Apply(ctx, c.account, spec)
	if err != nil {
		return API{}, err
	}
	a := apiOf(applied.Stack)
	a.Missing = applied.Missing
	for _, change := range applied.Changes {
		text := fmt.Sprintf("API: %s %s", strings.ToLower(change.Action), change.LogicalID)
		if change.Replacement == "True" {
			text += " (replaced)"
		}
		a.Changes = append(a.Changes, text)
	}
	if id := applied.Resources["Api"]; c.standIn != "" && a.URL() == "" && id != "" {
		a.Outputs = map[string]string{"ApiUrl": fmt.Sprintf("%s/_api/%s/preview", c.standIn, o.Stack())}
	}
	return a, nil
}

func apiOf(s stack.Stack) API {
	return API{ID: s.ID, Name: s.Name, Status: s.Status, Outputs: s.Outputs, Tags: s.Tags, Updated: s.Updated}
}

// Stacks implements Backend.
func (c *cloud) Stacks(ctx context.Context) ([]API, error) {
	all, err := stack.List(ctx, c.account, stackPrefix)
	if err != nil {
		return nil, err
	}
	list := make([]API, len(all))
	for i, s := range all {
		list[i] = apiOf(s)
	}
	return list, nil
}

// Remove implements Backend. With the last preview the bucket of artifacts goes,
// where it is the one that was made for them.
func (c *cloud) Remove(ctx context.Context, k Key, progress func(string)) (bool, []string, error) {
	deleted, err := stack.Delete(ctx, c.account, k.Stack(), k.Owns, func(e stack.Event) { progress(e.String()) })
	left := slices.Concat(deleted.Retained, deleted.Left)
	if err != nil {
		return deleted.Existed, left, err
	}
	if deleted.Existed && !deleted.Gone && len(left) == 0 {
		return true, nil, errors.New("the stack was deleted, and is still there")
	}
	others, err := c.Stacks(ctx)
	if err != nil || len(others) > 0 || c.bucket != "" {
		return deleted.Existed, left, err
	}
	id, err := c.account.ID(ctx)
	if err == nil {
		_, err = bucket.Of(c.account, fmt.Sprintf("candlefish-preview-artifacts-%s-%s", id, c.account.Region())).Delete(ctx, bucketTags())
	}
	return deleted.Existed, left, err
}
