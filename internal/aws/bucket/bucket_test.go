package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/awstest"
	"github.com/candlefish/deploy-action/internal/aws/awstest/strict"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/aws/inventory"
)

func connect(t *testing.T, endpoint string, clock aws.Clock) *aws.Account {
	t.Helper()
	a, err := aws.Connect(t.Context(), aws.ConnectOptions{Region: "eu-central-1", Endpoint: endpoint, Clock: clock,
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
			return sdk.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func client(a *aws.Account) *s3.Client {
	return s3.NewFromConfig(a.Config(), func(o *s3.Options) { o.UsePathStyle = true })
}

func create(t *testing.T, objects *s3.Client, name string) {
	t.Helper()
	_, err := objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "eu-central-1"}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestManyVersions empties a bucket of 1,050 objects with a version and a delete marker
// each, more than two pages of S3's.
func TestManyVersions(t *testing.T) {
	t.Parallel()
	a := connect(t, awstest.Start(t), aws.Clock{})
	objects, name := client(a), sdk.String("assets")
	create(t, objects, *name)
	_, err := objects.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		t.Fatal(err)
	}
	const n = 1050
	var keys []types.ObjectIdentifier
	for i := range n {
		key := sdk.String(fmt.Sprintf("%d/%d", i%7, i))
		if _, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: name, Key: key, Body: strings.NewReader("x")}); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, types.ObjectIdentifier{Key: key})
	}
	for some := range slices.Chunk(keys, 1000) { // without a version: each gets a delete marker
		if _, err := objects.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: name, Delete: &types.Delete{Objects: some}}); err != nil {
			t.Fatal(err)
		}
	}
	b := bucket.Of(a, *name)
	if deleted, err := b.EmptyBelow(t.Context(), "3/"); err != nil || deleted != 2*n/7 {
		t.Errorf("below a prefix: %d, %v, want %d", deleted, err, 2*n/7)
	}
	deleted, err := b.Empty(t.Context())
	if err != nil || deleted != 2*n-2*n/7 {
		t.Errorf("%d, %v, want %d", deleted, err, 2*n-2*n/7)
	}
	left, err := objects.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: name})
	if err != nil || len(left.Versions)+len(left.DeleteMarkers) > 0 {
		t.Errorf("left: %d versions, %d markers, %v", len(left.Versions), len(left.DeleteMarkers), err)
	}
	if err := b.Delete(t.Context()); err != nil {
		t.Error(err)
	}
	if exists, err := b.Exists(t.Context()); err != nil || exists {
		t.Errorf("after Delete: exists %t, %v", exists, err)
	}
}

// TestOwn uses a bucket of the user's own as it is, and refuses another account's.
func TestOwn(t *testing.T) {
	t.Parallel()
	a := connect(t, strict.Start(t), aws.Clock{})
	objects, name := client(a), sdk.String("mine")
	create(t, objects, *name)
	b := bucket.Of(a, *name)
	if err := errors.Join(b.Use(t.Context()), b.Put(t.Context(), "key", strings.NewReader("x"))); err != nil {
		t.Fatal(err)
	}
	if tags, err := b.Tags(t.Context()); err != nil || len(tags) > 0 {
		t.Errorf("tags: %v, %v", tags, err)
	}
	if life, err := objects.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: name}); err == nil {
		t.Errorf("it has a lifecycle: %+v", life.Rules)
	}
	if gone, err := b.DeleteEmpty(t.Context(), map[string]string{"ManagedBy": "us"}); gone || !errors.Is(err, aws.ErrNotOurs) {
		t.Errorf("DeleteEmpty: %t, %v", gone, err)
	}
	if err := bucket.Of(a, strict.ForeignBucket).Use(t.Context()); err == nil || !strings.Contains(err.Error(), "does not belong to account 123456789012") {
		t.Errorf("another account's: %v", err)
	}
	if err := bucket.Of(a, strict.ForeignBucket).Ensure(t.Context(), map[string]string{"ManagedBy": "us"}); err == nil {
		t.Error("another account's, as ours: no error")
	}
	if err := bucket.Of(a, "none").Use(t.Context()); err == nil {
		t.Error("one that does not exist: no error")
	}
}

// TestDeleteEmpty leaves a bucket that somebody has written to.
func TestDeleteEmpty(t *testing.T) {
	t.Parallel()
	a := connect(t, awstest.Start(t), aws.Clock{})
	tags := map[string]string{"ManagedBy": "us"}
	b := bucket.Of(a, "artifacts")
	if err := errors.Join(b.Ensure(t.Context(), tags), b.Put(t.Context(), "key", strings.NewReader("x"))); err != nil {
		t.Fatal(err)
	}
	if gone, err := b.DeleteEmpty(t.Context(), tags); err != nil || gone {
		t.Errorf("with an object: gone %t, %v", gone, err)
	}
	if _, err := b.EmptyBelow(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if gone, err := b.DeleteEmpty(t.Context(), tags); err != nil || !gone {
			t.Errorf("empty: gone %t, %v", gone, err)
		}
	}
}

// TestArtifacts makes a bucket, finds it again, and keeps from those of others.
func TestArtifacts(t *testing.T) {
	t.Parallel()
	now := time.Now
	a := connect(t, awstest.Start(t), aws.Clock{Now: func() time.Time { return now() }})
	b, objects := bucket.Of(a, "artifacts"), client(a)
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
	if err != nil || len(life.Rules) != 1 || *life.Rules[0].Expiration.Days <= 90 {
		t.Errorf("lifecycle: %+v, %v", life, err)
	}
	for _, other := range []map[string]string{nil, {"ManagedBy": "them"}, {"ManagedBy": "us", "Repository": "a/c"}} {
		if err := b.Ensure(t.Context(), other); !errors.Is(err, aws.ErrNotOurs) {
			t.Errorf("Ensure(%v): %v, want %v", other, err, aws.ErrNotOurs)
		}
		if gone, err := b.DeleteEmpty(t.Context(), other); gone || !errors.Is(err, aws.ErrNotOurs) {
			t.Errorf("DeleteEmpty(%v): %t, %v, want %v", other, gone, err, aws.ErrNotOurs)
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
