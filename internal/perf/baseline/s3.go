package baseline

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
	"github.com/candlefish/deploy-action/internal/measure/history"
)

// A stored has the file in a bucket.
type stored struct {
	bucket    *bucket.Bucket
	name, key string
}

func inBucket(a *aws.Account, l Location, file string) stored {
	return stored{bucket.Of(a, l.Bucket), l.Bucket, path.Join(l.Prefix, file)}
}

func (s stored) where() string { return fmt.Sprintf("s3://%s/%s", s.name, s.key) }
func (s stored) reset() string { return "aws s3 rm " + quote(s.where()) }

func (s stored) read(ctx context.Context) ([]byte, string, error) {
	content, tag, err := s.bucket.Get(ctx, s.key, history.MaxSize)
	if err == nil && tag != "" && content == nil {
		content = []byte{}
	}
	return content, tag, err
}

func (s stored) write(ctx context.Context, content []byte, token string) error {
	err := s.bucket.Replace(ctx, s.key, token, content)
	if errors.Is(err, bucket.ErrChanged) {
		return fmt.Errorf("%w: %w", errConflict, err)
	}
	return err
}
