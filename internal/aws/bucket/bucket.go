// Package bucket keeps the private bucket that holds a preview's code and large
// templates, and empties buckets so that they can be deleted.
//
// A bucket is known by its tags: one that lacks a tag, or belongs to another
// account, is refused.
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
	// objectDays is the lifetime of an object, in days.
	objectDays = 7
	// freshFor is the age below which an object is not written again: its
	// lifetime counts from when it was written.
	freshFor = 24 * time.Hour
)

// A Bucket is a bucket by its name, whether it exists or not.
type Bucket struct {
	account *aws.Account
	name    string
	s3      *s3.Client
}

// Of returns the account's bucket of that name. It sends no request.
func Of(a *aws.Account, name string) *Bucket {
	return &Bucket{account: a, name: name, s3: s3.NewFromConfig(a.Config(), func(o *s3.Options) {
		// A replaced endpoint has no subdomains, so the bucket goes into the path.
		o.UsePathStyle = a.Config().BaseEndpoint != nil
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
// deleted after 7 days. It returns aws.ErrNotOurs for a bucket that lacks one of the
// tags.
func (b *Bucket) Ensure(ctx context.Context, tags map[string]string) error {
	owner, err := b.account.ID(ctx)
	if err != nil {
		return err
	}
	if err := b.ensure(ctx, owner, tags); err != nil {
		return fmt.Errorf("bucket %s: %w", b.name, err)
	}
	return nil
}

func (b *Bucket) ensure(ctx context.Context, owner string, tags map[string]string) error {
	found, err := b.tags(ctx, owner)
	switch {
	case aws.HasCode(err, "NoSuchBucket"):
		err = b.create(ctx, tags)
	case err == nil:
		err = checkTags(found, tags)
	}
	if err != nil {
		return err
	}
	return b.secure(ctx, owner) // for an old one too: a run may have ended before this
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
func (b *Bucket) Tags(ctx context.Context) (map[string]string, error) { return b.tags(ctx, "") }

func (b *Bucket) tags(ctx context.Context, owner string) (map[string]string, error) {
	in := &s3.GetBucketTaggingInput{Bucket: &b.name}
	if owner != "" {
		in.ExpectedBucketOwner = &owner
	}
	out, err := b.s3.GetBucketTagging(ctx, in)
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
func (b *Bucket) secure(ctx context.Context, owner string) error {
	yes := sdk.Bool(true)
	_, err := b.s3.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: &b.name, ExpectedBucketOwner: &owner,
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes}})
	if err != nil {
		return fmt.Errorf("block public access to it: %w", err)
	}
	_, err = b.s3.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: &b.name, ExpectedBucketOwner: &owner,
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
	head, err := b.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &key})
	if err == nil && b.account.Clock().Now().Sub(sdk.ToTime(head.LastModified)) < freshFor {
		return nil
	}
	if err != nil && !aws.HasCode(err, "NotFound", "NoSuchKey") {
		return fmt.Errorf("read s3://%s/%s: %w", b.name, key, err)
	}
	if _, err := b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: body}); err != nil {
		return fmt.Errorf("write s3://%s/%s: %w", b.name, key, err)
	}
	return nil
}

// Delete empties and deletes a bucket that Ensure made with these tags, and returns
// how many objects it deleted. A bucket that does not exist is no error; one that
// lacks a tag is aws.ErrNotOurs.
func (b *Bucket) Delete(ctx context.Context, tags map[string]string) (deleted int, err error) {
	found, err := b.Tags(ctx)
	if aws.HasCode(err, "NoSuchBucket") {
		return 0, nil
	}
	if err == nil {
		err = checkTags(found, tags)
	}
	if err == nil {
		deleted, err = b.Empty(ctx)
	}
	if err == nil {
		_, err = b.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &b.name})
	}
	if err != nil {
		return deleted, fmt.Errorf("delete bucket %s: %w", b.name, err)
	}
	return deleted, nil
}

// Empty deletes all objects, versions, delete markers and unfinished uploads, and
// counts them. A bucket that does not exist is empty.
func (b *Bucket) Empty(ctx context.Context) (int, error) {
	n, err := b.deleteVersions(ctx)
	if err == nil {
		var uploads int
		uploads, err = b.abortUploads(ctx)
		n += uploads
	}
	if aws.HasCode(err, "NoSuchBucket") {
		return n, nil
	}
	if err != nil {
		return n, fmt.Errorf("empty bucket %s: %w", b.name, err)
	}
	return n, nil
}

// deleteVersions deletes page by page, up to 1,000 objects each. A bucket without
// versioning lists an object as one version with the id "null".
func (b *Bucket) deleteVersions(ctx context.Context) (n int, err error) {
	pages := s3.NewListObjectVersionsPaginator(b.s3, &s3.ListObjectVersionsInput{Bucket: &b.name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return n, err
		}
		var all []types.ObjectIdentifier
		for _, v := range page.Versions {
			all = append(all, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			all = append(all, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		if err := b.deleteObjects(ctx, all); err != nil {
			return n, err
		}
		n += len(all)
	}
	return n, nil
}

func (b *Bucket) deleteObjects(ctx context.Context, all []types.ObjectIdentifier) error {
	if len(all) == 0 {
		return nil // S3 refuses an empty list
	}
	out, err := b.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &b.name, Delete: &types.Delete{Objects: all, Quiet: sdk.Bool(true)}})
	if err != nil {
		return err
	}
	if len(out.Errors) > 0 {
		e := out.Errors[0]
		return fmt.Errorf("%d of %d objects, the first %q: %s: %s", len(out.Errors), len(all), sdk.ToString(e.Key), sdk.ToString(e.Code), sdk.ToString(e.Message))
	}
	return nil
}

func (b *Bucket) abortUploads(ctx context.Context) (n int, err error) {
	pages := s3.NewListMultipartUploadsPaginator(b.s3, &s3.ListMultipartUploadsInput{Bucket: &b.name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return n, err
		}
		for _, u := range page.Uploads {
			_, err := b.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: u.Key, UploadId: u.UploadId})
			if err != nil && !aws.HasCode(err, "NoSuchUpload") {
				return n, err
			}
			n++
		}
	}
	return n, nil
}
