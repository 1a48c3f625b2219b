package isolate

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A mount is a file or folder that the program sees at the same place, or at another.
type mount struct {
	From, To string
	Link     string // To is a symbolic link to it
	Write    bool
	Device   bool
	List     bool // of the folder only the names, for Landlock
}

// system are the parts of the machine that programs need. Not in the list, so not
// there for a program, are homes, /run with its sockets, /var, /opt, /etc but for this.
var system = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store",
	"/etc/ssl", "/etc/pki", "/etc/crypto-policies", "/etc/ca-certificates", "/etc/ca-certificates.conf",
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime", "/etc/mime.types",
	"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/services", "/etc/protocols", "/etc/os-release",
}

var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

// mounts is all that the program can see, parents before what is in them.
func (r *run) mounts() []mount {
	var all []mount
	read := func(paths ...string) {
		for _, path := range paths {
			all = append(all, seen(path, false)...)
		}
	}
	read(system...)
	if r.Network {
		read("/etc/resolv.conf")
		for _, name := range authorities {
			if v := variable(r.env, name); v != "" {
				read(v)
			}
		}
	}
	read(r.sandbox.workspace, r.Program, r.program)
	read(r.sandbox.reads...)
	read(r.Reads...)
	for _, path := range r.Writes {
		all = append(all, seen(path, true)...)
	}
	all = append(all, mount{From: r.tmp, To: "/tmp", Write: true}, mount{From: r.home, To: r.home, Write: true}, mount{From: r.tmp, To: r.tmp, Write: true})
	for _, path := range devices {
		all = append(all, mount{From: path, To: path, Device: true})
	}
	for i, c := range r.sandbox.covers {
		all = append(all, mount{From: r.coverFile(i), To: c.path})
	}
	slices.SortStableFunc(all, func(a, b mount) int {
		return cmp.Compare(strings.Count(filepath.Clean(a.To), "/"), strings.Count(filepath.Clean(b.To), "/"))
	})
	return all
}

// withoutCovers reports whether Landlock, which cannot show a clean copy in the place
// of a file, keeps the files with credentials from the program. One without a network
// can read them, since git does not work without its configuration.
func (r *run) withoutCovers() bool { return r.Network || len(r.sandbox.covers) == 0 }

// allowed makes mounts into what Landlock allows: folders without what is covered.
func (r *run) allowed(mounts []mount) []mount {
	var all []mount
	for _, m := range mounts {
		switch {
		case slices.ContainsFunc(r.sandbox.covers, func(c cover) bool { return m.To == c.path }):
		case m.Link != "" || m.Device || m.Write || !r.withoutCovers():
			all = append(all, m)
		default:
			all = append(all, r.uncovered(m.From)...)
		}
	}
	return all
}

// uncovered is what of a path is not covered.
func (r *run) uncovered(path string) []mount {
	if slices.ContainsFunc(r.sandbox.covers, func(c cover) bool { return c.path == path }) {
		return nil
	}
	if !slices.ContainsFunc(r.sandbox.covers, func(c cover) bool { return below(c.path, path) }) {
		return []mount{{From: path, To: path}}
	}
	all := []mount{{From: path, To: path, List: true}}
	entries, _ := os.ReadDir(path) // what cannot be read is not allowed
	for _, e := range entries {
		all = append(all, r.uncovered(filepath.Join(path, e.Name()))...)
	}
	return all
}

// seen is a path as it is reached: where it really is, and under the name it was given.
func seen(path string, write bool) []mount {
	if link, err := os.Readlink(path); err == nil && slices.Contains(system, path) && strings.Count(path, "/") == 1 {
		return []mount{{To: path, Link: link}}
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil // nothing is there; the program will say so
	}
	all := []mount{{From: real, To: real, Write: write}}
	if path != real {
		all = append(all, mount{From: real, To: path, Write: write})
	}
	return all
}

// newRoot makes a root of the mounts and nothing else, and enters it.
func newRoot(root string, mounts []mount) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=16m,mode=0755"); err != nil {
		return fmt.Errorf("mount a new root: %w", err)
	}
	for _, m := range mounts {
		if err := m.add(root); err != nil {
			return fmt.Errorf("mount %s: %w", m.To, err)
		}
	}
	if err := addOwn(root); err != nil {
		return err
	}
	if err := errors.Join(unix.Chdir(root), unix.PivotRoot(".", "."), unix.Unmount(".", unix.MNT_DETACH), unix.Chdir("/")); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	return setAttr("/", 0, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
}

func (m mount) add(root string) error {
	to := filepath.Join(root, m.To)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if m.Link != "" {
		return os.Symlink(m.Link, to)
	}
	info, err := os.Stat(m.From)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := point(to, info.IsDir()); err != nil {
		return err
	}
	if err := unix.Mount(m.From, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	attr := uint64(unix.MOUNT_ATTR_NOSUID)
	if !m.Device {
		attr |= unix.MOUNT_ATTR_NODEV
	}
	if !m.Write && !m.Device {
		attr |= unix.MOUNT_ATTR_RDONLY
	}
	return setAttr(to, unix.AT_RECURSIVE, attr)
}

// point makes a place to mount at, unless there is one.
func point(path string, dir bool) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	if dir {
		return os.Mkdir(path, 0o755)
	}
	return os.WriteFile(path, nil, 0o600)
}

func setAttr(path string, flags uint, attr uint64) error {
	return unix.MountSetattr(unix.AT_FDCWD, path, flags, &unix.MountAttr{Attr_set: attr})
}

// addOwn adds what belongs to the program alone: its processes, its shared memory.
func addOwn(root string) error {
	dirs := []string{filepath.Join(root, "proc"), filepath.Join(root, "dev/shm")}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("proc", dirs[0], "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", dirs[1], "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=256m,mode=1777"); err != nil {
		return fmt.Errorf("mount /dev/shm: %w", err)
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, filepath.Join(root, "dev", name)); err != nil {
			return err
		}
	}
	return nil
}
