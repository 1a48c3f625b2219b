package cloudformation

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/awstest/strict"
	"github.com/candlefish/deploy-action/internal/aws/inventory"
	"github.com/candlefish/deploy-action/internal/aws/resource"
	"github.com/candlefish/deploy-action/internal/aws/stack"
	"github.com/candlefish/deploy-action/internal/preview/api"
	"github.com/candlefish/deploy-action/internal/preview/reconcile"
)

const (
	repo   = "candlefish/website"
	commit = "1111111111111111111111111111111111111111"
	assets = "candlefish-preview-assets-pr-7-123456789012"
)

// A cloud is the strict front, with faults that a test adds before it.
type cloud struct {
	t       *testing.T
	account *aws.Account
	url     string
	// fault answers a request instead of AWS, and reports whether it did.
	fault atomic.Value // func(w http.ResponseWriter, r *http.Request) bool
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	to, err := url.Parse(strict.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t}
	c.disturb(nil)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := c.fault.Load().(func(http.ResponseWriter, *http.Request) bool); fault == nil || !fault(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	c.url = s.URL
	c.account, err = aws.Connect(t.Context(), aws.ConnectOptions{Region: "us-east-1", Endpoint: s.URL,
		Clock: aws.Clock{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }},
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cloud) disturb(fault func(w http.ResponseWriter, r *http.Request) bool) {
	c.fault.Store(fault)
}

// refuse answers with one of S3's errors.
func refuse(w http.ResponseWriter, status int, code string) bool {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>by the test</Message></Error>")
	return true
}

func (c *cloud) backend() *Backend {
	return &Backend{Account: c.account, Code: "../../../testdata/preview/api", TestServer: c.url, RunID: "5.1",
		Settings: api.Settings{Type: "http", Runtime: "nodejs22.x", Handler: "index.handler"}}
}

func (c *cloud) apply(b *Backend, o reconcile.Owner) {
	c.t.Helper()
	a, err := b.Apply(c.t.Context(), o, c.t.Logf)
	if err != nil || len(a.Missing) > 0 {
		c.t.Fatalf("apply: %v, missing %q", err, a.Missing)
	}
}

func (c *cloud) remove(b *Backend, k reconcile.Key) reconcile.Removal {
	c.t.Helper()
	r, err := b.Remove(c.t.Context(), k, c.t.Logf)
	if err != nil {
		c.t.Fatalf("remove: %v", err)
	}
	return r
}

// left lists all that there is.
func (c *cloud) left() (all []string) {
	c.t.Helper()
	found, err := inventory.Take(c.t.Context(), c.account, func(map[string]string, string) bool { return true })
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range found {
		all = append(all, r.String())
	}
	return all
}

func (c *cloud) s3() *s3.Client {
	return s3.NewFromConfig(c.account.Config(), func(o *s3.Options) { o.UsePathStyle = true })
}

// bucket makes a bucket with an object and tags.
func (c *cloud) bucket(name, key string, tags map[string]string) {
	c.t.Helper()
	ctx, client := c.t.Context(), c.s3()
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name})
	if err == nil {
		_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: &name, Key: &key, Body: strings.NewReader("x")})
	}
	if err == nil && len(tags) > 0 {
		set := &types.Tagging{}
		for k, v := range tags {
			set.TagSet = append(set.TagSet, types.Tag{Key: sdk.String(k), Value: sdk.String(v)})
		}
		_, err = client.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &name, Tagging: set})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func owner(n int) reconcile.Owner {
	return reconcile.Owner{Key: reconcile.Key{Repository: repo, Number: n}, Commit: commit, Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// TestRemainsAreTakenUp finds a bucket without its stack that AWS did not delete, again
// and again until it is gone, and gives a reopened pull request other names meanwhile.
func TestRemainsAreTakenUp(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	o := owner(7)
	b := c.backend()
	c.apply(b, o)
	if r := c.remove(b, o.Key); !r.Existed || r.Asked != 6 || len(r.Left) > 0 {
		t.Fatalf("the first removal: %+v", r)
	}
	if left := c.left(); len(left) > 0 {
		t.Fatalf("left: %q", left)
	}
	c.bucket(assets, "kept", o.Tags()) // as a deletion leaves it that AWS skipped
	c.disturb(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodDelete && strings.Trim(r.URL.Path, "/") == assets && refuse(w, http.StatusForbidden, "AccessDenied")
	})
	for range 2 {
		if r := c.remove(b, o.Key); !r.Existed || len(r.Left) != 1 || !strings.Contains(r.Left[0], assets) || !strings.Contains(r.Left[0], "AccessDenied") {
			t.Errorf("while it cannot be deleted: %+v", r)
		}
	}
	remains, err := b.Remains(t.Context())
	if err != nil || len(remains) != 1 || remains[0].Key != o.Key || !remains[0].Expires.Equal(o.Expires) || remains[0].What != "AWS::S3::Bucket "+assets {
		t.Errorf("remains: %+v, %v", remains, err)
	}

	for range 2 { // the second run keeps the names
		c.apply(b, o)
		b.RunID = "6.1"
	}
	st, err := stack.Find(t.Context(), c.account, o.Stack())
	suffix := st.Parameters["NameSuffix"]
	if err != nil || len(suffix) != 7 || !slices.Contains(c.left(), "s3 "+assets+suffix) {
		t.Errorf("reopened: suffix %q, %v, %q", suffix, err, c.left())
	}
	if r := c.remove(b, o.Key); len(r.Left) != 1 {
		t.Errorf("closed again: %+v", r)
	}
	c.disturb(nil)
	if r := c.remove(b, o.Key); !r.Existed || r.Asked != 1 || len(r.Left) > 0 {
		t.Errorf("when it can be deleted: %+v", r)
	}
	if r := c.remove(b, o.Key); r.Existed || len(c.left()) > 0 {
		t.Errorf("afterwards: %+v, %q", r, c.left())
	}
}

// TestArtifactsStay leaves the bucket of artifacts while another pull request stands
// between its upload and its change set.
func TestArtifactsStay(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	first, second := owner(1), owner(2)
	b := c.backend()
	c.apply(b, first)
	spec, err := b.spec(t.Context(), second, "", t.Logf) // uploaded, and no change set yet
	if err != nil {
		t.Fatal(err)
	}
	if r := c.remove(b, first.Key); len(r.Left) > 0 {
		t.Errorf("%+v", r)
	}
	if _, err := stack.Apply(t.Context(), c.account, spec); err != nil {
		t.Errorf("the other one: %v", err)
	}
	c.remove(b, second.Key)
	if left := c.left(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestBucketGoesAway makes our bucket again when the removal of another preview deletes
// it between the check and the upload.
func TestBucketGoesAway(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	var times atomic.Int32
	c.disturb(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".zip") && times.Add(1) < 3 && refuse(w, http.StatusNotFound, "NoSuchBucket")
	})
	c.apply(c.backend(), owner(1))
	if n := times.Load(); n != 3 {
		t.Errorf("%d uploads", n)
	}
}

// TestOwnBucket puts only its own objects into a bucket of the user's and takes only
// those away, and refuses another account's.
func TestOwnBucket(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.bucket("theirs", "important", nil)
	b := c.backend()
	b.Bucket = "theirs"
	c.apply(b, owner(7))
	keys := func() (all []string) {
		out, err := c.s3().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: sdk.String("theirs")})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range out.Contents {
			all = append(all, *o.Key)
		}
		return all
	}
	if got := keys(); len(got) != 2 || !strings.HasPrefix(got[0], "candlefish-preview/candlefish/website/pr-7/") {
		t.Errorf("keys %q", got)
	}
	if _, err := c.s3().GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: sdk.String("theirs")}); !aws.HasCode(err, "NoSuchLifecycleConfiguration") {
		t.Errorf("its lifecycle: %v", err)
	}
	if _, err := c.s3().GetBucketTagging(t.Context(), &s3.GetBucketTaggingInput{Bucket: sdk.String("theirs")}); !aws.HasCode(err, "NoSuchTagSet") {
		t.Errorf("its tags: %v", err)
	}
	c.remove(b, owner(7).Key)
	if diff := cmp.Diff([]string{"important"}, keys()); diff != "" {
		t.Errorf("after the removal (-want +got):\n%s", diff)
	}
	b.Bucket = strict.ForeignBucket
	if _, err := b.Apply(t.Context(), owner(7), t.Logf); err == nil || !strings.Contains(err.Error(), "does not belong to account") {
		t.Errorf("another account's: %v", err)
	}
}

// ownTemplate needs no code, declares one of our parameters and two of its own, and
// keeps its table.
const ownTemplate = `
Parameters:
  PRNumber: {Type: String}
  Size: {Type: Number, Default: 1}
  Password: {Type: String, NoEcho: true}
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    Properties:
      TableName: !Sub kept-${PRNumber}
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
  Queue: {Type: "AWS::SQS::Queue", Properties: {QueueName: !Sub "own-${PRNumber}-${Size}"}}
Outputs:
  ApiUrl: {Value: "https://abc.execute-api.eu-central-1.amazonaws.com"}
`

// TestOwnTemplate sends the parameters that a template of the user's own declares, and
// leaves alone what it keeps.
func TestOwnTemplate(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	path := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, []byte(ownTemplate), 0o644); err != nil {
		t.Fatal(err)
	}
	b := &Backend{Account: c.account, Template: path, RunID: "5.1", Settings: api.Settings{OwnTemplate: true, Runtime: "nodejs22.x", Handler: "index.handler", AllowedOrigin: "https://x"},
		Parameters: map[string]string{"Size": "2", "Password": "planted-password"}}
	o := owner(7)
	c.apply(b, o)
	st, err := stack.Find(t.Context(), c.account, o.Stack())
	if err != nil || st.Parameters["PRNumber"] != "7" || st.Parameters["Size"] != "2" || len(st.Parameters) != 3 {
		t.Errorf("parameters %v, %v", st.Parameters, err)
	}
	var masked []string
	if err := b.MaskSecrets(func(s string) { masked = append(masked, s) }); err != nil || !slices.Equal(masked, []string{"planted-password"}) {
		t.Errorf("masked %q, %v", masked, err)
	}
	r := c.remove(b, o.Key)
	if !slices.Equal(r.Kept, []string{"AWS::DynamoDB::Table kept-7"}) || len(r.Left) > 0 || len(r.Unasked) != 1 || !strings.HasPrefix(r.Unasked[0], "AWS::SQS::Queue ") {
		t.Errorf("removed: %+v", r)
	}
	exists, tags, err := resource.Exists(t.Context(), c.account, resource.Resource{Type: "AWS::DynamoDB::Table", ID: "kept-7"})
	if err != nil || !exists || reconcile.CleanupTags()["AutoCleanup"] == tags["AutoCleanup"] {
		t.Errorf("the kept table: exists %t, tags %v, %v", exists, tags, err)
	}
	if remains, err := b.Remains(t.Context()); err != nil || len(remains) > 0 {
		t.Errorf("remains: %+v, %v", remains, err)
	}
	if r := c.remove(b, o.Key); r.Existed {
		t.Errorf("a second removal: %+v", r)
	}

	b.Parameters = map[string]string{"Colour": "red"}
	_, err = b.Apply(t.Context(), o, t.Logf)
	for _, want := range []string{`no parameter "Colour"`, `parameter "Password" has no default`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestUnreadableTags ends a removal that cannot look for what an earlier one left.
func TestUnreadableTags(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.disturb(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.Header.Get("X-Amz-Target"), "GetResources") {
			return false
		}
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"no"}`)
		return true
	})
	if _, err := c.backend().Remove(t.Context(), owner(7).Key, t.Logf); err == nil || !strings.Contains(err.Error(), "tag:GetResources") {
		t.Errorf("%v", err)
	}
}

// TestMoved recreates a stack whose domain would pass from one kind of API to the other.
func TestMoved(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		was, is, domain, template string
		want                      bool
	}{
		{"rest", "http", "example.com", "", true}, {"", "http", "example.com", "", true}, {"", "rest", "example.com", "", false},
		{"http", "http", "example.com", "", false}, {"rest", "http", "", "", false}, {"rest", "http", "example.com", "own.yaml", false},
	} {
		b := &Backend{Template: tt.template, Settings: api.Settings{Type: tt.is, BaseDomain: tt.domain}}
		st := stack.Stack{Parameters: map[string]string{}}
		if tt.was != "" {
			st.Parameters["ApiType"] = tt.was
		}
		if got := b.moved(st); got != tt.want {
			t.Errorf("%+v: %t", tt, got)
		}
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	got, err := ParametersOf([]string{"A=1", "B=x=y", "C="})
	if diff := cmp.Diff(map[string]string{"A": "1", "B": "x=y", "C": ""}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	_, err = ParametersOf([]string{"planted", "A-B=1", "A=1", "A=2", "L=" + strings.Repeat("x", 4097)})
	for _, want := range []string{"line 1:", "line 2:", "line 4: A is given twice", "line 5: L has 4097 bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestSecretsOf takes only for a secret what is named like one, has a password in it, or
// came in as one: an address stays readable.
func TestSecretsOf(t *testing.T) {
	t.Parallel()
	spec := stack.Spec{Template: []byte(ownTemplate), Parameters: map[string]string{"Password": "given", "Size": "2"}}
	got := secretsOf(spec, map[string]string{
		"ApiUrl": "https://abc.execute-api.eu-central-1.amazonaws.com", "Region": "eu-central-1", "DbPassword": "one", "ApiToken": "two",
		"SecretArn": "arn:aws:secretsmanager:x", "DatabaseURL": "postgres://u:p@h/d", "ApiKeyId": "k1",
	})
	if diff := cmp.Diff([]string{"given", "one", "postgres://u:p@h/d", "two"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
