//go:build unix

package baseline

import (
	"errors"
	"os"
	"syscall"
)

// lock takes a file that one process has at a time: errConflict says that another has
// it. The system unlocks that of a process which was killed.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return func() { _ = f.Close() }, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errConflict
	}
	return nil, err
}
