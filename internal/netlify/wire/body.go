package wire

import (
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync"
)

// A Body is the body of an upload. It reports how much was sent, and fails if the file
// is no longer what was hashed.
type Body struct {
	io.ReadCloser
	Name     string
	Size     int64     // in bytes
	Digest   string    // in hex
	Hash     hash.Hash // which gives the digest
	Progress func(int64)

	mu    sync.Mutex
	sent  int64
	muted bool
}

// errChanged is in the error of Read.
var errChanged = errors.New("it changed after it was hashed")

// Read implements io.Reader. It holds the last bytes back until the digest is right:
// net/http does not read beyond the announced length.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.Hash.Write(p[:n])
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent += int64(n)
	if !b.muted {
		b.Progress(int64(n))
	}
	if b.sent > b.Size || b.sent == b.Size && hex.EncodeToString(b.Hash.Sum(nil)) != b.Digest || errors.Is(err, io.EOF) && b.sent < b.Size {
		return 0, Permanent("%q: %w", b.Name, errChanged)
	}
	return n, err
}

// Mute ends the progress reports, since net/http may still be reading after a request
// has failed. It returns how much was reported.
func (b *Body) Mute() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.muted = true
	return b.sent
}
