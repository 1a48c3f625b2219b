package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stopLimit bounds how long a sandbox may take to end.
const stopLimit = 30 * time.Second

// clean ends the sandbox of opts.Dir, if there is one, and removes what is left of it. It touches only what the record names.
func clean(ctx context.Context, opts Options) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	rec, err := readRecord(opts.Dir)
	if errors.Is(err, errNotUp) {
		return removeDir(opts.Dir)
	}
	if err != nil {
		return err
	}
	if rec.alive() {
		polite, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := askStop(polite, opts.Dir)
		if err == nil {
			err = rec.gone(polite)
		}
		cancel()
		if err != nil {
			if err := rec.kill(); err != nil {
				return err
			}
		}
	}
	if err := rec.gone(ctx); err != nil {
		return err
	}
	// Another sandbox may have taken the slot since; then nothing in it is ours any more.
	if lock, err := lockSlot(rec.Slot); err == nil {
		defer lock.Close()
		n := network{slot: rec.Slot}
		if _, err := os.Stat("/sys/class/net/" + n.device()); err == nil {
			// the kernel takes namespaces down in the background; no need to wait for it
			if err := ip("link", "del", n.device()); err != nil && !strings.Contains(err.Error(), "Cannot find device") {
				return err
			}
		}
		if err := removeCgroups(n); err != nil {
			return err
		}
	} else if !errors.Is(err, unix.EWOULDBLOCK) {
		return err
	}
	return removeDir(opts.Dir)
}

// removeDir removes the sandbox's files, but only from a directory that is a sandbox's or empty.
func removeDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	l := layout(dir)
	if len(entries) > 0 {
		if _, err := os.Stat(l.path("log")); err != nil {
			return fmt.Errorf("%s is not empty and holds no sandbox: name another directory", dir)
		}
	}
	// The record goes last: while it is there, a next Up or Down finishes the work.
	for _, e := range entries {
		if l.path(e.Name()) == l.record() || e.Name() == "log" {
			continue
		}
		if err := os.RemoveAll(l.path(e.Name())); err != nil {
			return fmt.Errorf("remove the sandbox's files: %w", err)
		}
	}
	if err := errors.Join(ignore(os.Remove(l.record()), fs.ErrNotExist), os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("remove the sandbox's files: %w", err)
	}
	_ = os.Remove("/var/lib/cni") // if empty, it was made for the sandbox
	return nil
}

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

// removeCgroups removes the sandbox's cgroups, deepest first. Only empty ones can be removed, so a running process is never lost from
// sight.
func removeCgroups(n network) error {
	var errs []error
	for _, root := range cgroupRoots() {
		var dirs []string
		_ = filepath.WalkDir(filepath.Join(root, n.cgroup()), func(path string, d fs.DirEntry, err error) error {
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

// makeCgroups makes the cgroup below which kubelet keeps all pods.
func makeCgroups(n network) error {
	roots := cgroupRoots()
	for _, root := range roots {
		dir := filepath.Join(root, n.cgroup())
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
