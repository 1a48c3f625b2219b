//go:build !linux

package host

import (
	"context"
	"runtime"
)

// What follows is behind Check, which refuses systems other than Linux. The package compiles there so that programs which can start a
// sandbox can be built.

// DirLock names no lock.
func DirLock(string) string { return "" }

// Lock says that it needs Linux.
func Lock(context.Context, string, func()) (func(), error) { return nil, hostError(runtime.GOOS, 0) }

func freeBytes(string) uint64 { return 0 }
