package host

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// freeBytes looks at the nearest folder above path that exists.
func freeBytes(path string) uint64 {
	var fs unix.Statfs_t
	for {
		if err := unix.Statfs(path, &fs); err == nil {
			return fs.Bavail * uint64(fs.Bsize)
		}
		up := filepath.Dir(path)
		if up == path {
			return 0
		}
		path = up
	}
}
