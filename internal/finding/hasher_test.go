package finding

import (
	"bytes"
	"testing"
)

func TestHasherKnowsACredentialWithinARun(t *testing.T) {
	t.Parallel()
	run, other := NewHasher(bytes.Repeat([]byte{1}, 32)), NewHasher(bytes.Repeat([]byte{2}, 32))
	if run.Hash("\"s3cret\"\n") != run.Hash("s3cret") {
		t.Error("quotes and white space make another hash")
	}
	if run.Hash("s3cret") == run.Hash("s3cret2") {
		t.Error("two credentials have one hash")
	}
	if run.Hash("s3cret") == other.Hash("s3cret") {
		t.Error("two runs give a credential the same hash")
	}
}
