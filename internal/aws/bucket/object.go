package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/candlefish/deploy-action/internal/aws"
)

// ErrChanged is in the error for an object that somebody wrote meanwhile.
var ErrChanged = errors.New("the object was changed meanwhile")

// Get reads an object of at most max bytes, and its entity tag. Without such an object
// both are empty. S3 says so only to those who may list the bucket; to others the
// object is forbidden, which is an error.
func (b *Bucket) Get(ctx context.Context, key string, limit int64) (content []byte, tag string, err error) {
	if err := b.identify(ctx); err != nil {
		return nil, "", err
	}
	what := fmt.Sprintf("read s3://%s/%s", b.name, key)
	out, err := b.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key, ExpectedBucketOwner: b.owner})
	switch {
	case aws.HasCode(err, "NoSuchKey"):
		return nil, "", nil
	case aws.HasCode(err, "AccessDenied", "Forbidden"):
		return nil, "", fmt.Errorf("%s: grant s3:GetObject on it and s3:ListBucket on the bucket, which must belong to account %s: %w", what, *b.owner, err)
	case err != nil:
		return nil, "", fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = out.Body.Close() }()
	content, err = io.ReadAll(io.LimitReader(out.Body, limit+1))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("%s: %w", what, err)
	case int64(len(content)) > limit:
		return nil, "", fmt.Errorf("%s: it has more than %d bytes", what, limit)
	case sdk.ToString(out.ETag) == "":
		return nil, "", fmt.Errorf("%s: the response has no entity tag", what)
	}
	return content, *out.ETag, nil
}

// Replace writes an object in the place of the one with this entity tag, or for "" where
// there is none. It returns ErrChanged if that is not so any more.
func (b *Bucket) Replace(ctx context.Context, key, tag string, content []byte) error {
	if err := b.identify(ctx); err != nil {
		return err
	}
	in := &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: bytes.NewReader(content), ContentType: sdk.String("application/json"), ExpectedBucketOwner: b.owner}
	if tag == "" {
		in.IfNoneMatch = sdk.String("*")
	} else {
		in.IfMatch = &tag
	}
	what := fmt.Sprintf("write s3://%s/%s", b.name, key)
	_, err := b.s3.PutObject(ctx, in)
	switch {
	// 412, 409 for two at the same time, and 404 if it was deleted:
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
	case aws.HasCode(err, "PreconditionFailed", "ConditionalRequestConflict"), tag != "" && aws.HasCode(err, "NoSuchKey"):
		return fmt.Errorf("%s: %w: %w", what, ErrChanged, err)
	case aws.HasCode(err, "AccessDenied", "Forbidden"):
		return fmt.Errorf("%s: grant s3:PutObject on it, and s3:GetObject for writes that must not undo others': %w", what, err)
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
