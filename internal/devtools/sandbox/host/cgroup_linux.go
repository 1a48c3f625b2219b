package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroupRoots are the places where a sandbox has cgroups: one on a unified host, one per controller on others.
func cgroupRoots() []string {
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/cgroup.controllers"); err == nil {
		return []string{root}
	}
	entries, _ := os.ReadDir(root) // without cgroups there are none to clean, and kubelet says what it misses
	var roots []string
	for _, e := range entries {
		if e.IsDir() {
			roots = append(roots, filepath.Join(root, e.Name()))
		}
	}
	return roots
}

// RemoveCgroups removes the sandbox's cgroups, deepest first. Only empty ones can be removed, so a running process is never lost from
// sight.
func RemoveCgroups(name string) error {
	var errs []error
	for _, root := range cgroupRoots() {
		var dirs []string
		_ = filepath.WalkDir(filepath.Join(root, name), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		slices.Reverse(dirs)
		for _, dir := range dirs {
			if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, fmt.Errorf("remove cgroup %s: %w", dir, err))
			}
		}
	}
	return errors.Join(errs...)
}

// MakeCgroups makes the cgroup below which kubelet keeps all pods.
func MakeCgroups(name string) error {
	roots := cgroupRoots()
	for _, root := range roots {
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if strings.HasSuffix(root, "/cpuset") { // a v1 cpuset is unusable until it has been told what it may use
			for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
				data, err := os.ReadFile(filepath.Join(root, f))
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, f), data, 0o644)
				}
				if err != nil {
					return err
				}
			}
		}
		if controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")); err == nil && len(roots) == 1 {
			for _, d := range []string{root, dir} {
				for _, c := range strings.Fields(string(controllers)) {
					_ = os.WriteFile(filepath.Join(d, "cgroup.subtree_control"), []byte("+"+c), 0o644) // kubelet names what it misses
				}
			}
		}
	}
	return nil
}
