//go:build unix

package folder

import (
	"os"
	"path/filepath"
	"syscall"
)

// hold locks a folder until this process ends. The lock is held before it has its name:
// who looks for dead folders meanwhile would take it, and remove this one.
func hold(folder string) (unlock func(), err error) {
	name := filepath.Join(folder, lockName)
	f, err := os.OpenFile(name+"-new", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		err = os.Rename(name+"-new", name)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// removeDead removes a folder whose process has ended. One without a lock file is
// about to get one.
func removeDead(folder string) {
	f, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		_ = Remove(folder)
	}
}
