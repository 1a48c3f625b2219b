package site

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

// chunk is the size of one read: larger ones are no faster.
const chunk = 64 << 10

// hashAll hashes all files, on all cores with one buffer each, and sets their sizes
// to what was read. It reads the files in their order, which is that of the disk if
// any is.
func hashAll(ctx context.Context, dir *os.Root, files []File, progress func(files int, bytes int64)) error {
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
				if err := files[i].hash(ctx, dir, h, buffer, progress); err != nil {
					stop(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

func (f *File) hash(ctx context.Context, dir *os.Root, h hash.Hash, buffer []byte, progress func(int, int64)) error {
	from, err := dir.Open(filepath.FromSlash(f.Path))
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	h.Reset()
	f.Size = 0
	for {
		n, err := from.Read(buffer)
		h.Write(buffer[:n])
		f.Size += int64(n)
		progress(0, int64(n))
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
	f.SHA1 = hex.EncodeToString(h.Sum(nil))
	progress(1, 0)
	return nil
}
