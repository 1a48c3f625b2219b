package previewbench

import (
	"context"
	"crypto/sha1" // Netlify's choice
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// sizes returns the sizes of the files, from 2 KB to about 200 KB, many small and few
// large.
func sizes() []int {
	r := rand.New(rand.NewPCG(1, 2))
	var all []int
	var sum float64
	for range files {
		x := r.ExpFloat64() + .05
		sum += x
		all = append(all, int(x*1e6))
	}
	for i := range all {
		all[i] = int(float64(all[i]) / 1e6 / sum * size)
	}
	return all
}

func name(dir string, i int) string {
	return filepath.Join(dir, fmt.Sprintf("%02d", i%100), fmt.Sprintf("page-%d.html", i))
}

// text fills a buffer with random data of one file and version.
func text(buffer []byte, i, version int) {
	var seed [32]byte
	seed[0], seed[1], seed[2] = byte(i), byte(i>>8), byte(version)
	_, _ = rand.NewChaCha8(seed).Read(buffer) // which never fails
}

// fill writes the folder. It returns the digests of all files but those that will
// change.
func fill(dir string) (known []string, bytes int64, err error) {
	for i, n := range sizes() {
		if i < 100 {
			if err := os.MkdirAll(filepath.Dir(name(dir, i)), 0o755); err != nil {
				return nil, 0, err
			}
		}
		buffer := make([]byte, n)
		text(buffer, i, 0)
		if err := os.WriteFile(name(dir, i), buffer, 0o600); err != nil {
			return nil, 0, err
		}
		if i%(files/changed) != 0 {
			digest := sha1.Sum(buffer)
			known = append(known, hex.EncodeToString(digest[:]))
		}
		bytes += int64(n)
	}
	return known, bytes, nil
}

// change writes new content to the files that change.
func change(dir string, round int) error {
	for i, n := range sizes() {
		if i%(files/changed) == 0 {
			buffer := make([]byte, n)
			text(buffer, i, round+1)
			if err := os.WriteFile(name(dir, i), buffer, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// memorySpeed returns how many bytes a second all cores hash from memory.
func memorySpeed(ctx context.Context) (float64, error) {
	cores := runtime.GOMAXPROCS(0)
	var all sync.WaitGroup
	begun := time.Now()
	for range cores {
		all.Go(func() {
			h, buffer := sha1.New(), make([]byte, 64<<10)
			for done := 0; done < size/cores && ctx.Err() == nil; done += len(buffer) {
				h.Write(buffer)
			}
		})
	}
	all.Wait()
	return size / time.Since(begun).Seconds(), ctx.Err()
}

// plainSpeed returns how many bytes a second all cores read and hash of the folder, in the
// simplest way that does not hold files in memory.
func plainSpeed(ctx context.Context, dir string) (float64, error) {
	cores := runtime.GOMAXPROCS(0)
	errs, read := make([]error, cores), make([]int, cores)
	var all sync.WaitGroup
	begun := time.Now()
	for core := range cores {
		all.Go(func() {
			h, buffer := sha1.New(), make([]byte, 64<<10)
			for i := core; i < files && errs[core] == nil && ctx.Err() == nil; i += cores {
				var n int
				n, errs[core] = hashed(name(dir, i), h, buffer)
				read[core] += n
			}
		})
	}
	all.Wait()
	total := 0
	for _, n := range read {
		total += n
	}
	return float64(total) / time.Since(begun).Seconds(), errors.Join(append(errs, ctx.Err())...)
}

func hashed(name string, h hash.Hash, buffer []byte) (total int, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	h.Reset()
	for {
		n, err := f.Read(buffer)
		h.Write(buffer[:n])
		total += n
		if errors.Is(err, io.EOF) {
			h.Sum(nil)
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
