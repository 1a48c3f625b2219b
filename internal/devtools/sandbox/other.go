//go:build !linux

package sandbox

import (
	"context"
	"runtime"
)

// Everything below is behind checkHost, which refuses systems other than Linux; the package compiles there so that programs which can
// start a sandbox can be built.

func refuse() error { return hostError(runtime.GOOS, 0) }

// Supervise says that it needs Linux.
func Supervise(context.Context) error { return refuse() }

// Close has nothing to close.
func (s *Sandbox) Close() error { return nil }

func dirLock(string) string                                        { return "" }
func lockFile(context.Context, string, func()) (func(), error)     { return nil, refuse() }
func attach(context.Context, Options) (*Sandbox, error)            { return nil, refuse() }
func inspect(context.Context, Options) (Status, error)             { return Status{}, refuse() }
func clean(context.Context, Options) error                         { return refuse() }
func launch(context.Context, Options, BinarySet) (*Sandbox, error) { return nil, refuse() }
func freeBytes(string) uint64                                      { return 0 }
