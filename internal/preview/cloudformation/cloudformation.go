// Package cloudformation is AWS as the reconciler's Backend: the API's stack applied and
// removed, its code in a bucket, and what AWS did not delete found again by its tags.
package cloudformation

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/aws/stack"
	"github.com/candlefish/deploy-action/internal/aws/stack/template"
	"github.com/candlefish/deploy-action/internal/preview/api"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
	"github.com/candlefish/deploy-action/internal/preview/result"
)

// A Backend is AWS as the reconciler's Backend. Fields without a comment are the inputs
// of their names.
type Backend struct {
	Account    *aws.Account
	Bucket     string // of artifacts, the user's own; empty means the default one, ours
	Code       string // a folder or an archive; empty with an image, or a template that needs none
	Template   string // path of the user's own; empty means ours
	Parameters map[string]string
	Settings   api.Settings
	Protect    bool
	RunID      string
	// TestServer is the URL of a server that replaces AWS. It may not return the
	// outputs of stacks that a change set created, and serves a stack's API below
	// /_api/NAME.
	TestServer string
}

var _ reconcile.Backend = (*Backend)(nil)

// text reads the template.
func (c *Backend) text() ([]byte, error) {
	if c.Template == "" {
		return api.Template(), nil
	}
	text, err := os.ReadFile(c.Template)
	if err != nil {
		return nil, fmt.Errorf("read the API's template: %w", err)
	}
	return text, nil
}

// MaskSecrets registers the values of the parameters that the template marks NoEcho. To
// remove a preview no template is needed, so a missing one is no error here.
func (c *Backend) MaskSecrets(mask func(string)) error {
	text, err := c.text()
	if errors.Is(err, os.ErrNotExist) {
		for _, value := range c.Parameters {
			mask(value)
		}
		return nil
	}
	if err != nil {
		return err
	}
	t, err := template.Parse(text, c.Parameters)
	for _, value := range t.Secrets(c.Parameters) {
		mask(value)
	}
	return err
}

// defaultBucket is the name of the bucket that all previews of an account share.
func (c *Backend) defaultBucket(ctx context.Context) (string, error) {
	id, err := c.Account.ID(ctx)
	return fmt.Sprintf("candlefish-preview-artifacts-%s-%s", id, c.Account.Region()), err
}

// An artifactsBucket is the bucket of artifacts, ours or the user's own.
type artifactsBucket struct {
	*bucket.Bucket
	name string
	own  bool // the user's
}

// artifacts returns the bucket. It sends no request to it.
func (c *Backend) artifacts(ctx context.Context) (artifactsBucket, error) {
	b := artifactsBucket{name: c.Bucket, own: c.Bucket != ""}
	var err error
	if !b.own {
		b.name, err = c.defaultBucket(ctx)
	}
	b.Bucket = bucket.Of(c.Account, b.name)
	return b, err
}

// ready makes our own bucket if it is missing, and checks the user's.
func (b artifactsBucket) ready(ctx context.Context) error {
	if b.own {
		return b.Use(ctx)
	}
	return b.Ensure(ctx, reconcile.SharedTags())
}

// uploads bounds how often an object is written when the bucket went away.
const uploads = 5

// upload writes an object into a bucket that is ready. The removal of another preview
// may delete our bucket while it is still empty: then it is made again.
func (b artifactsBucket) upload(ctx context.Context, key string, body io.ReadSeeker) error {
	for i := 1; ; i++ {
		err := b.ready(ctx)
		if err == nil {
			err = b.Put(ctx, key, body)
		}
		if err == nil || i == uploads || b.own || !aws.HasCode(err, "NoSuchBucket", "OperationAborted") {
			return err
		}
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
}

// artifactsPrefix begins the keys of a preview's objects: a repository's own, since all
// of an account share the bucket.
func artifactsPrefix(k reconcile.Key) string {
	return fmt.Sprintf("candlefish-preview/%s/pr-%d/", k.Repository, k.Number)
}

// Apply implements reconcile.Backend.
func (c *Backend) Apply(ctx context.Context, o reconcile.Owner, logf reconcile.Logf) (reconcile.API, error) {
	suffix, err := c.clear(ctx, o, logf)
	if err != nil {
		return reconcile.API{}, err
	}
	spec, err := c.spec(ctx, o, suffix, logf)
	if err != nil {
		return reconcile.API{}, err
	}
	applied, err := stack.Apply(ctx, c.Account, spec)
	if err != nil {
		return reconcile.API{}, err
	}
	a := apiOf(applied.Stack)
	a.Missing, a.Changes = applied.Missing, changes(applied.Changes)
	a.Secrets = secretsOf(spec, a.Outputs)
	if c.TestServer != "" && a.URL() == "" && (applied.Resources["Api"] != "" || applied.Resources["HttpApi"] != "") {
		a.Outputs = map[string]string{"ApiUrl": fmt.Sprintf("%s/_api/%s/preview", c.TestServer, o.Stack())}
	}
	return a, nil
}

// clear makes room for a new stack: what a removal before this one left is deleted, and
// so is a stack that can only be deleted. It returns the end of all names: the existing
// stack's, or a new one if a resource of the usual name is still in the way.
func (c *Backend) clear(ctx context.Context, o reconcile.Owner, logf reconcile.Logf) (suffix string, err error) {
	current, err := stack.Find(ctx, c.Account, o.Stack())
	if err != nil {
		return "", err
	}
	if current.ID != "" && (o.Owns(current.Tags) != nil || !current.Hopeless() && !c.moved(current)) {
		return current.Parameters["NameSuffix"], nil // stack.Apply refuses what is not ours
	}
	removed, err := c.removeStack(ctx, o.Key, logf)
	if err != nil || len(removed.Left) == 0 {
		return "", err
	}
	suffix = fmt.Sprintf("-%.3x", sha256.Sum256([]byte(c.RunID+o.Commit)))
	logf("AWS did not delete %s; the names of the new stack end in %s", strings.Join(removed.Left, ", "), suffix)
	return suffix, nil
}

// moved reports whether the API would take its domain over from one of the other type,
// which CloudFormation cannot do in an update: it makes the new domain before it deletes
// the old one.
func (c *Backend) moved(current stack.Stack) bool {
	if c.Template != "" || c.Settings.BaseDomain == "" {
		return false
	}
	was := current.Parameters["ApiType"]
	return was != "" && was != c.Settings.Type || was == "" && c.Settings.Type != "rest" // the only type once
}

// spec uploads the code and returns the stack's desired state.
func (c *Backend) spec(ctx context.Context, o reconcile.Owner, suffix string, logf reconcile.Logf) (stack.Spec, error) {
	artifacts, err := c.artifacts(ctx)
	if err != nil {
		return stack.Spec{}, err
	}
	spec := stack.Spec{
		Name: o.Stack(), Tags: o.Tags(), Capabilities: []string{api.Capability}, Bucket: artifacts.Bucket, Prefix: artifactsPrefix(o.Key),
		Protect: c.Protect, Token: "run-" + strings.ReplaceAll(c.RunID, ".", "-") + "-" + result.Short(o.Commit), Owned: o.Owns,
		Event: logEvent(logf),
	}
	if spec.Template, err = c.text(); err != nil {
		return spec, err
	}
	if c.Template != "" {
		spec.Capabilities = append(spec.Capabilities, api.CapabilityMacros)
	}
	settings := c.Settings
	settings.Number, settings.Commit, settings.NameSuffix = o.Number, o.Commit, suffix
	if c.Code != "" {
		settings.Bucket = artifacts.name
		if settings.Key, err = uploadCode(ctx, artifacts, c.Code, artifactsPrefix(o.Key), logf); err != nil {
			return spec, err
		}
	} else if len(spec.Template) > stack.InlineTemplate {
		if err := artifacts.ready(ctx); err != nil {
			return spec, err
		}
	}
	spec.Parameters, err = fill(spec.Template, settings, c.Parameters)
	return spec, err
}

// uploadCode packs the function's code into the bucket and returns its key.
func uploadCode(ctx context.Context, to artifactsBucket, path, prefix string, logf reconcile.Logf) (key string, err error) {
	code, err := api.Package(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, code.Close()) }()
	if len(code.LeftOut) > 0 {
		logf("not packed, since it may hold secrets: %s", strings.Join(code.LeftOut, ", "))
	}
	key = prefix + code.Hash + ".zip"
	return key, to.upload(ctx, key, code)
}

// fill returns the parameters that the template declares.
func fill(text []byte, settings api.Settings, own map[string]string) (map[string]string, error) {
	offered, err := api.Parameters(settings)
	if err != nil {
		return nil, err
	}
	t, err := template.Parse(text, nil)
	if err != nil {
		return nil, err
	}
	filled, err := t.Fill(offered, own)
	if err != nil {
		return nil, fmt.Errorf("the parameters of the API's template: %w", err)
	}
	return filled, nil
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
func (c *Backend) Stacks(ctx context.Context) ([]reconcile.API, error) {
	all, err := stack.List(ctx, c.Account, reconcile.StackPrefix)
	if err != nil {
		return nil, err
	}
	list := make([]reconcile.API, len(all))
	for i, s := range all {
		list[i] = apiOf(s)
	}
	return list, nil
}
