// Package tail keeps the end of a program's output, which usually says why it failed.
package tail

import (
	"bytes"
	"cmp"
)

const defaultLimit = 8 << 10 // bytes

// A Buffer keeps the last bytes written to it. The zero value is ready to use. It
// is not safe for concurrent use.
//
// It does not embed bytes.Buffer: io.Copy, which os/exec uses for a command's output,
// would call its ReadFrom and keep everything.
type Buffer struct {
	// Limit is the number of bytes to keep; 0 means 8 KiB.
	Limit int

	kept bytes.Buffer
}

// Write implements io.Writer. It does not fail.
func (b *Buffer) Write(p []byte) (int, error) {
	n, err := b.kept.Write(p)
	if extra := b.kept.Len() - cmp.Or(b.Limit, defaultLimit); extra > 0 {
		b.kept.Next(extra)
	}
	return n, err
}

// Bytes returns the kept bytes, valid until the next Write.
func (b *Buffer) Bytes() []byte { return b.kept.Bytes() }

// String returns the kept bytes as a string.
func (b *Buffer) String() string { return b.kept.String() }
