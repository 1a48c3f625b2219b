package netlify

import (
	"context"
	"crypto/sha1" // Netlify's choice
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
)

// chunk is what is read of a file at a time: more is no faster.
const chunk = 64 << 10

// sum hashes all files, on all cores, and sets their sizes to what was read. Each
// core has one buffer. It reads the folder's files in their order, which is that of
// the disk if any is.
func sum(ctx context.Context, folder *os.Root, files []file, read func(files int, bytes int64)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		workers.Go(func() {
			h, buffer := sha1.New(), make([]byte, chunk)
			for {
				i := int(next.Add(1) - 1)
				if i >= len(files) || ctx.Err() != nil {
					return
				}
				if err := files[i].hash(ctx, folder, h, buffer, read); err != nil {
					stop(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

func (f *file) hash(ctx context.Context, folder *os.Root, h hash.Hash, buffer []byte, read func(int, int64)) error {
	from, err := folder.Open(filepath.FromSlash(f.path))
	if err != nil {
		return err
	}
	defer from.Close()
	h.Reset()
	f.size = 0
	for {
		n, err := from.Read(buffer)
		h.Write(buffer[:n])
		f.size += int64(n)
		read(0, int64(n))
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	f.sum = hex.EncodeToString(h.Sum(nil))
	read(1, 0)
	return nil
}

// A content is the body of an upload: it says how much was sent, and fails where a
// file is no longer what was hashed.
type content struct {
	io.ReadCloser
	name string
	size int64
	sum  string
	hash hash.Hash
	tell func(int64)

	mu   sync.Mutex
	sent int64
	over bool
}

func newContent(from io.ReadCloser, h hash.Hash, name, sum string, size int64, tell func(int64)) *content {
	return &content{ReadCloser: from, name: name, size: size, sum: sum, hash: h, tell: tell}
}

// errChanged is what Read of a content fails with.
var errChanged = errors.New("it changed after it was hashed")

// Read implements io.Reader. The last bytes are held back until all are known to be
// right: net/http does not read on after as many as were announced.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.hash.Write(p[:n])
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent += int64(n)
	if !c.over {
		c.tell(int64(n))
	}
	if c.sent > c.size || c.sent == c.size && hex.EncodeToString(c.hash.Sum(nil)) != c.sum || errors.Is(err, io.EOF) && c.sent < c.size {
		return 0, final("%q: %w", c.name, errChanged)
	}
	return n, err
}

// stop ends what it tells, since net/http may still be reading after a request has
// failed. It returns how much it told.
func (c *content) stop() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	return c.sent
}
