// Package tail keeps the end of what a program prints, which is where it says why
// it failed.
package tail

import (
	"bytes"
	"cmp"
)

const usual = 8 << 10 // bytes

// A Buffer keeps the last bytes written to it. The zero value is ready to use. It
// is not safe for concurrent use.
//
// It is not a bytes.Buffer with another Write: io.Copy, by which os/exec fills a
// command's output, would find that one's ReadFrom and keep everything.
type Buffer struct {
	// Limit is how many bytes are kept; 0 means 8 KiB.
	Limit int

	kept bytes.Buffer
}

// Write implements io.Writer. It does not fail.
func (b *Buffer) Write(p []byte) (int, error) {
	n, err := b.kept.Write(p)
	if extra := b.kept.Len() - cmp.Or(b.Limit, usual); extra > 0 {
		b.kept.Next(extra)
	}
	return n, err
}

// Bytes returns what is kept, until the next Write.
func (b *Buffer) Bytes() []byte { return b.kept.Bytes() }

// String returns what is kept.
func (b *Buffer) String() string { return b.kept.String() }
