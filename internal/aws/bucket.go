package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

const (
	// artifactDays is how long an artifact is kept.
	artifactDays = 7
	// artifactFresh is how old one may be and not be written again: its days
	// count from when it was written.
	artifactFresh = 24 * time.Hour
)

// AccountID is the number of the account that the credentials belong to.
func (a *Account) AccountID(ctx context.Context) (string, error) {
	out, err := sts.NewFromConfig(a.config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("ask AWS who is calling: %w", err)
	}
	return aws.ToString(out.Account), nil
}

// s3 names buckets in the path when an endpoint replaces AWS's: its host has no
// subdomains.
func (a *Account) s3() *s3.Client {
	return s3.NewFromConfig(a.config, func(o *s3.Options) { o.UsePathStyle = a.config.BaseEndpoint != nil })
}

// objectURL is where CloudFormation finds an object.
func (a *Account) objectURL(bucket, key string) string {
	domain := "amazonaws.com"
	if strings.HasPrefix(a.Region(), "cn-") {
		domain = "amazonaws.com.cn"
	}
	return fmt.Sprintf("https://%s.s3.%s.%s/%s", bucket, a.Region(), domain, key)
}

// Artifacts makes a private bucket with the tags, whose objects are deleted after
// 7 days, unless it is there. A bucket that lacks one of the tags, or belongs to
// another account, is refused.
func (a *Account) Artifacts(ctx context.Context, bucket string, tags map[string]string) error {
	owner, err := a.AccountID(ctx)
	if err != nil {
		return err
	}
	if err := a.artifacts(ctx, bucket, owner, tags); err != nil {
		return fmt.Errorf("bucket %s: %w", bucket, err)
	}
	return nil
}

func (a *Account) artifacts(ctx context.Context, bucket, owner string, tags map[string]string) error {
	found, err := a.bucketTags(ctx, bucket, owner)
	if code(err, "NoSuchBucket") {
		if err := a.createBucket(ctx, bucket, tags); err != nil {
			return err
		}
		return a.closeBucket(ctx, bucket, owner)
	}
	if err != nil {
		return err
	}
	if err := carries(found, tags); err != nil {
		return err
	}
	return a.closeBucket(ctx, bucket, owner) // a run may have ended in between
}

// carries refuses a bucket without all of the tags.
func carries(found, tags map[string]string) error {
	if len(tags) == 0 {
		return fmt.Errorf("%w: no tags say whose it is", ErrNotOurs)
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if found[k] != tags[k] {
			return fmt.Errorf("%w: its tag %s is %q, want %q", ErrNotOurs, k, found[k], tags[k])
		}
	}
	return nil
}

// bucketTags are a bucket's, none if it has none.
func (a *Account) bucketTags(ctx context.Context, bucket, owner string) (map[string]string, error) {
	in := &s3.GetBucketTaggingInput{Bucket: &bucket}
	if owner != "" {
		in.ExpectedBucketOwner = &owner
	}
	out, err := a.s3().GetBucketTagging(ctx, in)
	if code(err, "NoSuchTagSet") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read its tags: %w", err)
	}
	found := map[string]string{}
	for _, t := range out.TagSet {
		found[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return found, nil
}

// code says that AWS answered with this error.
func code(err error, want ...string) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains(want, e.ErrorCode())
}

// createBucket makes it with its tags in one call, so that a run that ends in
// between leaves no bucket of nobody's.
func (a *Account) createBucket(ctx context.Context, bucket string, tags map[string]string) error {
	in := &s3.CreateBucketInput{Bucket: &bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{}}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		in.CreateBucketConfiguration.Tags = append(in.CreateBucketConfiguration.Tags, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	if a.Region() != "us-east-1" { // which has no name here
		in.CreateBucketConfiguration.LocationConstraint = types.BucketLocationConstraint(a.Region())
	}
	if _, err := a.s3().CreateBucket(ctx, in); err != nil {
		return fmt.Errorf("create it: %w", err)
	}
	_, err := a.s3().PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &bucket, Tagging: &types.Tagging{TagSet: in.CreateBucketConfiguration.Tags}})
	if err != nil {
		return fmt.Errorf("tag it: %w", err)
	}
	return nil
}

// closeBucket blocks public access and sets the end of what is in it.
func (a *Account) closeBucket(ctx context.Context, bucket, owner string) error {
	yes := aws.Bool(true)
	_, err := a.s3().PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: &bucket, ExpectedBucketOwner: &owner,
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: yes, BlockPublicPolicy: yes, IgnorePublicAcls: yes, RestrictPublicBuckets: yes}})
	if err != nil {
		return fmt.Errorf("block public access to it: %w", err)
	}
	_, err = a.s3().PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: &bucket, ExpectedBucketOwner: &owner,
		LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: aws.String("expire"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
			Expiration:                     &types.LifecycleExpiration{Days: aws.Int32(artifactDays)},
			AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(1)},
		}}}})
	if err != nil {
		return fmt.Errorf("set when its objects expire: %w", err)
	}
	return nil
}

// PutArtifact writes an object, unless one was written under the key within a
// day. The key should be made of the content's hash.
func (a *Account) PutArtifact(ctx context.Context, bucket, key string, body io.ReadSeeker) error {
	head, err := a.s3().HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err == nil && a.clock.Now().Sub(aws.ToTime(head.LastModified)) < artifactFresh {
		return nil
	}
	if err != nil && !code(err, "NotFound", "NoSuchKey") {
		return fmt.Errorf("look at s3://%s/%s: %w", bucket, key, err)
	}
	if _, err := a.s3().PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: body}); err != nil {
		return fmt.Errorf("write s3://%s/%s: %w", bucket, key, err)
	}
	return nil
}

// DeleteArtifacts empties and deletes a bucket that Artifacts made with these
// tags. That there is none is fine; one that lacks a tag is refused.
func (a *Account) DeleteArtifacts(ctx context.Context, bucket string, tags map[string]string) (deleted int, err error) {
	found, err := a.bucketTags(ctx, bucket, "")
	if code(err, "NoSuchBucket") {
		return 0, nil
	}
	if err == nil {
		err = carries(found, tags)
	}
	if err == nil {
		deleted, err = a.emptyBucket(ctx, bucket)
	}
	if err == nil {
		_, err = a.s3().DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	}
	if err != nil {
		return deleted, fmt.Errorf("delete bucket %s: %w", bucket, err)
	}
	return deleted, nil
}

// emptyBucket deletes all objects, versions, delete markers and unfinished
// uploads, and counts them. A bucket that is gone is empty.
func (a *Account) emptyBucket(ctx context.Context, bucket string) (int, error) {
	n, err := a.deleteVersions(ctx, bucket)
	if err == nil {
		var uploads int
		uploads, err = a.abortUploads(ctx, bucket)
		n += uploads
	}
	if code(err, "NoSuchBucket") {
		return n, nil
	}
	if err != nil {
		return n, fmt.Errorf("empty bucket %s: %w", bucket, err)
	}
	return n, nil
}

// deleteVersions deletes by pages of up to 1000, as S3 lists and deletes. In a
// bucket without versions an object is listed as one, with the id "null".
func (a *Account) deleteVersions(ctx context.Context, bucket string) (n int, err error) {
	pages := s3.NewListObjectVersionsPaginator(a.s3(), &s3.ListObjectVersionsInput{Bucket: &bucket})
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
		if len(all) == 0 {
			continue
		}
		out, err := a.s3().DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: all, Quiet: aws.Bool(true)}})
		if err != nil {
			return n, err
		}
		if len(out.Errors) > 0 {
			e := out.Errors[0]
			return n, fmt.Errorf("%d of %d objects, the first %q: %s: %s", len(out.Errors), len(all), aws.ToString(e.Key), aws.ToString(e.Code), aws.ToString(e.Message))
		}
		n += len(all)
	}
	return n, nil
}

func (a *Account) abortUploads(ctx context.Context, bucket string) (n int, err error) {
	pages := s3.NewListMultipartUploadsPaginator(a.s3(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return n, err
		}
		for _, u := range page.Uploads {
			_, err := a.s3().AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: u.Key, UploadId: u.UploadId})
			if err != nil && !code(err, "NoSuchUpload") {
				return n, err
			}
			n++
		}
	}
	return n, nil
}
