package netlify

import (
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync"
)

// A body is the body of an upload. It reports how much was sent, and fails if the file
// is no longer what was hashed.
type body struct {
	io.ReadCloser
	name     string
	size     int64
	digest   string
	hash     hash.Hash
	progress func(int64)

	mu    sync.Mutex
	sent  int64
	muted bool
}

// errChanged is in the error of Read.
var errChanged = errors.New("it changed after it was hashed")

// Read implements io.Reader. It holds the last bytes back until the digest is right:
// net/http does not read beyond the announced length.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.hash.Write(p[:n])
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent += int64(n)
	if !b.muted {
		b.progress(int64(n))
	}
	if b.sent > b.size || b.sent == b.size && hex.EncodeToString(b.hash.Sum(nil)) != b.digest || errors.Is(err, io.EOF) && b.sent < b.size {
		return 0, permanent("%q: %w", b.name, errChanged)
	}
	return n, err
}

// mute ends the progress reports, since net/http may still be reading after a request
// has failed. It returns how much was reported.
func (b *body) mute() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.muted = true
	return b.sent
}
