package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/awstest"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/aws/inventory"
)

// TestArtifacts makes a bucket, finds it again, and keeps from those of others.
func TestArtifacts(t *testing.T) {
	t.Parallel()
	now := time.Now
	a, err := aws.Connect(t.Context(), aws.ConnectOptions{Region: "eu-central-1", Endpoint: awstest.Start(t),
		Clock: aws.Clock{Now: func() time.Time { return now() }},
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	b, objects := bucket.Of(a, "artifacts"), s3.NewFromConfig(a.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	if id, err := a.ID(t.Context()); err != nil || id != "123456789012" {
		t.Errorf("ID() = %q, %v", id, err)
	}
	tags := map[string]string{"ManagedBy": "us", "Repository": "a/b"}
	for range 2 { // the second finds it
		if err := b.Ensure(t.Context(), tags); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.Tags(t.Context())
	if diff := cmp.Diff(tags, got); err != nil || diff != "" {
		t.Errorf("tags: %v (-want +got):\n%s", err, diff)
	}
	access, err := objects.GetPublicAccessBlock(t.Context(), &s3.GetPublicAccessBlockInput{Bucket: sdk.String("artifacts")})
	if err != nil || !*access.PublicAccessBlockConfiguration.BlockPublicPolicy || !*access.PublicAccessBlockConfiguration.RestrictPublicBuckets {
		t.Errorf("public access: %+v, %v", access, err)
	}
	life, err := objects.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: sdk.String("artifacts")})
	if err != nil || len(life.Rules) != 1 || *life.Rules[0].Expiration.Days != 7 {
		t.Errorf("lifecycle: %+v, %v", life, err)
	}
	for _, other := range []map[string]string{nil, {"ManagedBy": "them"}, {"ManagedBy": "us", "Repository": "a/c"}} {
		if err := b.Ensure(t.Context(), other); !errors.Is(err, aws.ErrNotOurs) {
			t.Errorf("Ensure(%v): %v, want %v", other, err, aws.ErrNotOurs)
		}
		if _, err := b.Delete(t.Context(), other); !errors.Is(err, aws.ErrNotOurs) {
			t.Errorf("Delete(%v): %v, want %v", other, err, aws.ErrNotOurs)
		}
	}
	found, err := inventory.Take(t.Context(), a, func(their map[string]string, _ string) bool { return maps.Equal(their, tags) })
	if diff := cmp.Diff([]inventory.Resource{{Service: "s3", ID: "artifacts"}}, found); err != nil || diff != "" {
		t.Errorf("inventory by tags: %v (-want +got):\n%s", err, diff)
	}
	testPut(t, b, objects, func(later time.Duration) { now = func() time.Time { return time.Now().Add(later) } })
	if err := bucket.Of(a, "nobodys").Put(t.Context(), "key", strings.NewReader("")); err == nil {
		t.Error("no error from a bucket that does not exist")
	}
}

// testPut writes once, and again when the first is a day old.
func testPut(t *testing.T, b *bucket.Bucket, objects *s3.Client, pass func(time.Duration)) {
	t.Helper()
	for _, step := range []struct {
		later time.Duration
		text  string
		want  string
	}{{0, "first", "first"}, {time.Hour, "second", "first"}, {25 * time.Hour, "third", "third"}} {
		pass(step.later)
		if err := b.Put(t.Context(), "key", strings.NewReader(step.text)); err != nil {
			t.Fatal(err)
		}
		out, err := objects.GetObject(t.Context(), &s3.GetObjectInput{Bucket: sdk.String("artifacts"), Key: sdk.String("key")}, func(o *s3.Options) { o.ResponseChecksumValidation = sdk.ResponseChecksumValidationWhenRequired })
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if _, err := got.ReadFrom(out.Body); err != nil || got.String() != step.want {
			t.Errorf("after %s: %q, %v, want %q", step.later, got.String(), err, step.want)
		}
		_ = out.Body.Close()
	}
}
