// Package bucket keeps the bucket that holds a preview's code and large templates, and
// empties buckets so that they can be deleted.
//
// A bucket of ours is known by its tags, and one without them is refused. A bucket of
// the user's own is used as it is: it gets objects and nothing else. A bucket of
// another account is refused in either case.
package bucket

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/candlefish/deploy-action/internal/aws"
)

const (
	// objectDays is the lifetime of an object in a bucket of ours, in days. A failed
	// update goes back to the code before it, which is as old as a preview may live, 90
	// days, and a day more because a fresh object is not written again.
	objectDays = 97
	// freshFor is the age below which an object is not written again: its
	// lifetime counts from when it was written.
	freshFor = 24 * time.Hour
)

// A Bucket is a bucket by its name, whether it exists or not.
type Bucket struct {
	account *aws.Account
	name    string
	s3      *s3.Client
	owner   *string // the account's number once it is known; nil asks S3 for no owner
}

// Of returns the account's bucket of that name. It sends no request.
func Of(a *aws.Account, name string) *Bucket {
	return &Bucket{account: a, name: name, s3: s3.NewFromConfig(a.Config(), func(o *s3.Options) {
		// A replaced endpoint has no subdomains, so the bucket goes into the path.
		o.UsePathStyle = a.Config().BaseEndpoint != nil
		o.DisableLogOutputChecksumValidationSkipped = true // a line for each object without a checksum
	})}
}

// URL is the address by which CloudFormation reads an object.
func (b *Bucket) URL(key string) string {
	domain := "amazonaws.com"
	if strings.HasPrefix(b.account.Region(), "cn-") {
		domain = "amazonaws.com.cn"
	}
	return fmt.Sprintf("https://%s.s3.%s.%s/%s", b.name, b.account.Region(), domain, key)
}

// Ensure creates the bucket with the tags unless it exists: private, its objects
// deleted after 97 days. It returns aws.ErrNotOurs for a bucket that lacks one of the
// tags.
func (b *Bucket) Ensure(ctx context.Context, tags map[string]string) error {
	if err := b.identify(ctx); err != nil {
		return err
	}
	if err := b.ensure(ctx, tags); err != nil {
		return fmt.Errorf("bucket %s: %w", b.name, err)
	}
	return nil
}

// Use checks that a bucket of the user's own exists and belongs to the account. It
// changes nothing about it.
func (b *Bucket) Use(ctx context.Context) error {
	if err := b.identify(ctx); err != nil {
		return err
	}
	_, err := b.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name, ExpectedBucketOwner: b.owner})
	switch {
	case aws.HasCode(err, "Forbidden", "AccessDenied"):
		return fmt.Errorf("bucket %s: it does not belong to account %s, or these credentials may not read it: %w", b.name, *b.owner, err)
	case err != nil:
		return fmt.Errorf("bucket %s: read it: %w", b.name, err)
	}
	return nil
}

// identify learns the number of the account, which every later request names as the
// owner of the bucket.
func (b *Bucket) identify(ctx context.Context) error {
	if b.owner != nil {
		return nil
	}
	id, err := b.account.ID(ctx)
	if err == nil {
		b.owner = &id
	}
	return err
}

func (b *Bucket) ensure(ctx context.Context, tags map[string]string) error {
	found, err := b.Tags(ctx)
	switch {
	case aws.HasCode(err, "NoSuchBucket"):
		err = b.create(ctx, tags)
	case err == nil:
		err = checkTags(found, tags)
	}
	if err != nil {
		return err
	}
	return b.secure(ctx) // for an old one too: a run may have ended before this
}

// checkTags refuses a bucket without all of the tags.
func checkTags(found, want map[string]string) error {
	if len(want) == 0 {
		return fmt.Errorf("%w: no tags to identify it by", aws.ErrNotOurs)
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if found[k] != want[k] {
			return fmt.Errorf("%w: its tag %s is %q, want %q", aws.ErrNotOurs, k, found[k], want[k])
		}
	}
	return nil
}

// Tags returns the bucket's tags, none if it has none. The error of a bucket that
// does not exist has the code NoSuchBucket.
func (b *Bucket) Tags(ctx context.Context) (map[string]string, error) {
	out, err := b.s3.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: &b.name, ExpectedBucketOwner: b.owner})
	if aws.HasCode(err, "NoSuchTagSet") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read its tags: %w", err)
	}
	found := map[string]string{}
	for _, t := range out.TagSet {
		found[sdk.ToString(t.Key)] = sdk.ToString(t.Value)
	}
	return found, nil
}

// create makes the bucket with its tags in one call, so that a run that ends in
// between leaves no bucket without an owner.
func (b *Bucket) create(ctx context.Context, tags map[string]string) error {
	in := &s3.CreateBucketInput{Bucket: &b.name, CreateBucketConfiguration: &types.CreateBucketConfiguration{}}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		in.CreateBucketConfiguration.Tags = append(in.CreateBucketConfiguration.Tags, types.Tag{Key: sdk.String(k), Value: sdk.String(tags[k])})
	}
	if region := b.account.Region(); region != "us-east-1" { // S3 refuses to be told that one
		in.CreateBucketConfiguration.LocationConstraint = types.BucketLocationConstraint(region)
	}
	if _, err := b.s3.CreateBucket(ctx, in); err != nil {
		return fmt.Errorf("create it: %w", err)
	}
	_, err := b.s3.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &b.name, Tagging: &types.Tagging{TagSet: in.CreateBucketConfiguration.Tags}})
	if err != nil {
		return fmt.Errorf("tag it: %w", err)
	}
	return nil
}

// secure blocks public access and sets the lifetime of objects.
func (b *Bucket) secure(ctx context.Context) error {
	yes := sdk.Bool(true)
	_, err := b.s3.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: &b.name, ExpectedBucketOwner: b.owner,
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes}})
	if err != nil {
		return fmt.Errorf("block public access to it: %w", err)
	}
	_, err = b.s3.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: &b.name, ExpectedBucketOwner: b.owner,
		LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: sdk.String("expire"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: sdk.String("")},
			Expiration:                     &types.LifecycleExpiration{Days: sdk.Int32(objectDays)},
			AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: sdk.Int32(1)},
		}}}})
	if err != nil {
		return fmt.Errorf("set when its objects expire: %w", err)
	}
	return nil
}

// Put writes an object, unless one was written under the key within a day. The key
// should contain the content's hash.
func (b *Bucket) Put(ctx context.Context, key string, body io.ReadSeeker) error {
	head, err := b.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &key, ExpectedBucketOwner: b.owner})
	if err == nil && b.account.Clock().Now().Sub(sdk.ToTime(head.LastModified)) < freshFor {
		return nil
	}
	if err != nil && !aws.HasCode(err, "NotFound", "NoSuchKey") {
		return fmt.Errorf("read s3://%s/%s: %w", b.name, key, err)
	}
	if _, err := b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: body, ExpectedBucketOwner: b.owner}); err != nil {
		return fmt.Errorf("write s3://%s/%s: %w", b.name, key, err)
	}
	return nil
}

// DeleteEmpty deletes a bucket that Ensure made with these tags, if it holds nothing,
// and reports whether it is gone. S3 itself refuses to delete a bucket that somebody
// wrote to a moment ago. One that does not exist is gone; one that lacks a tag is
// aws.ErrNotOurs.
func (b *Bucket) DeleteEmpty(ctx context.Context, tags map[string]string) (gone bool, err error) {
	found, err := b.Tags(ctx)
	if err == nil {
		err = checkTags(found, tags)
	}
	if err == nil {
		_, err = b.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &b.name, ExpectedBucketOwner: b.owner})
	}
	switch {
	case err == nil, aws.HasCode(err, "NoSuchBucket"):
		return true, nil
	case aws.HasCode(err, "BucketNotEmpty"):
		return false, nil
	}
	return false, fmt.Errorf("delete bucket %s: %w", b.name, err)
}

// Delete empties and deletes a bucket, whoever made it. One that does not exist is no
// error.
func (b *Bucket) Delete(ctx context.Context) error {
	if _, err := b.Empty(ctx); err != nil {
		return err
	}
	_, err := b.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &b.name, ExpectedBucketOwner: b.owner})
	if err != nil && !aws.HasCode(err, "NoSuchBucket") {
		return fmt.Errorf("delete bucket %s: %w", b.name, err)
	}
	return nil
}
