package bucket_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/aws/awstest/strict"
	"github.com/candlefish/deploy-action/internal/aws/bucket"
)

// An object is only replaced as it was read.
func TestReplace(t *testing.T) {
	t.Parallel()
	a := connect(t, strict.Start(t), aws.Clock{})
	create(t, client(a), "mine")
	b := bucket.Of(a, "mine")
	const key = "a/b.json"
	content, tag, err := b.Get(t.Context(), key, 10)
	if err != nil || content != nil || tag != "" {
		t.Fatalf("before: %q, %q, %v", content, tag, err)
	}
	if err := b.Replace(t.Context(), key, "", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := b.Replace(t.Context(), key, "", []byte("2")); !errors.Is(err, bucket.ErrChanged) {
		t.Errorf("created twice: %v", err)
	}
	content, first, err := b.Get(t.Context(), key, 10)
	if err != nil || string(content) != "1" {
		t.Fatalf("%q, %v", content, err)
	}
	if err := b.Replace(t.Context(), key, first, []byte("3")); err != nil {
		t.Fatal(err)
	}
	if err := b.Replace(t.Context(), key, first, []byte("4")); !errors.Is(err, bucket.ErrChanged) {
		t.Errorf("by an old tag: %v", err)
	}
	if content, _, err = b.Get(t.Context(), key, 10); err != nil || string(content) != "3" {
		t.Errorf("%q, %v", content, err)
	}
	if _, _, err = b.Get(t.Context(), key, 0); err == nil || !strings.Contains(err.Error(), "more than 0 bytes") {
		t.Errorf("too large: %v", err)
	}
	if _, err := b.Empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Replace(t.Context(), key, first, []byte("5")); !errors.Is(err, bucket.ErrChanged) {
		t.Errorf("deleted meanwhile: %v", err)
	}
	foreign := bucket.Of(a, strict.ForeignBucket)
	if _, _, err := foreign.Get(t.Context(), key, 10); err == nil || !strings.Contains(err.Error(), "s3:ListBucket") {
		t.Errorf("read another account's: %v", err)
	}
	if err := foreign.Replace(t.Context(), key, "", nil); err == nil || !strings.Contains(err.Error(), "s3:PutObject") {
		t.Errorf("write to another account's: %v", err)
	}
}
