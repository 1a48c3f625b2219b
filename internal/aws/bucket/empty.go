package bucket

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/candlefish/deploy-action/internal/aws"
)

// maxPages bounds the pages of 1,000 objects that one call deletes: a bucket that
// others fill as fast as it is emptied must not keep a run for ever.
const maxPages = 10_000

// errFilling is the end of an attempt to empty such a bucket.
var errFilling = errors.New("there are still objects after ten million were deleted: something goes on writing to it")

// Exists reports whether there is a bucket of that name that belongs to the account.
func (b *Bucket) Exists(ctx context.Context) (bool, error) {
	_, err := b.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name, ExpectedBucketOwner: b.owner})
	if aws.HasCode(err, "NotFound", "NoSuchBucket") {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for bucket %s: %w", b.name, err)
	}
	return true, nil
}

// Empty deletes all objects, versions, delete markers and unfinished uploads, and
// counts them. It returns when S3 lists none. A bucket that does not exist is empty.
func (b *Bucket) Empty(ctx context.Context) (int, error) { return b.EmptyBelow(ctx, "") }

// EmptyBelow is Empty for the keys that begin with prefix.
func (b *Bucket) EmptyBelow(ctx context.Context, prefix string) (int, error) {
	n, err := b.deleteVersions(ctx, prefix)
	if err == nil {
		var uploads int
		uploads, err = b.abortUploads(ctx, prefix)
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

// deleteVersions deletes up to 1,000 objects at a time and lists again from the start
// until there is none: a marker of the page before may name a version that this loop
// has deleted, and a listing from there skips what follows. A bucket without
// versioning lists an object as one version with the id "null".
func (b *Bucket) deleteVersions(ctx context.Context, prefix string) (n int, err error) {
	for range maxPages {
		page, err := b.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &b.name, Prefix: &prefix, ExpectedBucketOwner: b.owner})
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
			return n, nil
		}
		if err := b.deleteObjects(ctx, all); err != nil {
			return n, err
		}
		n += len(all)
	}
	return n, errFilling
}

func (b *Bucket) deleteObjects(ctx context.Context, all []types.ObjectIdentifier) error {
	out, err := b.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &b.name, ExpectedBucketOwner: b.owner, Delete: &types.Delete{Objects: all, Quiet: sdk.Bool(true)}})
	if err != nil {
		return err
	}
	if len(out.Errors) > 0 {
		e := out.Errors[0]
		return fmt.Errorf("%d of %d objects, the first %q: %s: %s", len(out.Errors), len(all), sdk.ToString(e.Key), sdk.ToString(e.Code), sdk.ToString(e.Message))
	}
	return nil
}

// abortUploads aborts page by page, from the start each time, as deleteVersions does.
func (b *Bucket) abortUploads(ctx context.Context, prefix string) (n int, err error) {
	for range maxPages {
		page, err := b.s3.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &b.name, Prefix: &prefix, ExpectedBucketOwner: b.owner})
		if err != nil {
			return n, err
		}
		if len(page.Uploads) == 0 {
			return n, nil
		}
		for _, u := range page.Uploads {
			_, err := b.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: u.Key, UploadId: u.UploadId, ExpectedBucketOwner: b.owner})
			if err != nil && !aws.HasCode(err, "NoSuchUpload") {
				return n, err
			}
			n++
		}
	}
	return n, errFilling
}
