// Package host is what a sandbox needs of the machine that it runs on: its system and user, room on the disk, Debian packages, locks
// and cgroups.
package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/tail"
)

// Elsewhere ends every message that refuses this machine.
const Elsewhere = "use any cluster through KUBECONFIG instead, for example one made by kind"

// SearchPath is where the programs of a sandbox are looked for; also those of root, whatever the caller's PATH.
const SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// cniDirs are the places of CNI plugins: Debian's, and everybody else's.
var cniDirs = []string{"/usr/lib/cni", "/opt/cni/bin"}

// cniPlugin is one of the CNI plugins. iproute2 has a program of the same name, so it is looked for in cniDirs alone.
const cniPlugin = "bridge"

// packages maps a program that the sandbox runs to the Debian package that has it.
var packages = []struct{ program, name string }{
	{"containerd", "containerd"},
	{"runc", "runc"},
	{cniPlugin, "containernetworking-plugins"},
	{"iptables", "iptables"},
	{"conntrack", "conntrack"},
	{"socat", "socat"},
	{"ipset", "ipset"},
	{"ip", "iproute2"},
	{"mount", "mount"},
	{"prometheus", "prometheus"},
}

// Check refuses a machine or a user that cannot have a sandbox.
func Check() error { return hostError(runtime.GOOS, os.Geteuid()) }

// hostError says why a sandbox cannot run for this user on this system, or nil.
func hostError(goos string, uid int) error {
	if goos != "linux" {
		return fmt.Errorf("a sandbox needs Linux, this is %s: %s", goos, Elsewhere)
	}
	if uid != 0 {
		return fmt.Errorf("a sandbox needs root for containers and network devices, this is uid %d: run it with sudo, or %s", uid, Elsewhere)
	}
	return nil
}

// CheckDisk refuses a start that would fill the disk half way: dir, which may not exist yet, needs so many bytes.
func CheckDisk(dir string, need uint64) error { return diskError(dir, need, freeBytes(dir)) }

func diskError(dir string, need, have uint64) error {
	if have >= need {
		return nil
	}
	return fmt.Errorf("%s has %.1f GiB free, the sandbox needs %.1f GiB there: make room, or %s",
		dir, float64(have)/(1<<30), float64(need)/(1<<30), Elsewhere)
}

// missingPackages returns the Debian packages of programs that are nowhere.
func missingPackages(exists func(path string) bool) []string {
	var names []string
	for _, p := range packages {
		dirs := filepath.SplitList(SearchPath)
		if p.program == cniPlugin {
			dirs = cniDirs
		}
		if _, ok := findIn(dirs, p.program, exists); !ok {
			names = append(names, p.name)
		}
	}
	return names
}

// findIn returns the first of dirs that has name.
func findIn(dirs []string, name string, exists func(path string) bool) (dir string, ok bool) {
	i := slices.IndexFunc(dirs, func(dir string) bool { return exists(filepath.Join(dir, name)) })
	if i < 0 {
		return "", false
	}
	return dirs[i], true
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// CNIDir is where this machine has its CNI plugins.
func CNIDir() string {
	dir, ok := findIn(cniDirs, cniPlugin, exists)
	if !ok {
		return cniDirs[0]
	}
	return dir
}

// InstallPackages gets what the sandbox runs but does not build. No service is started by it: a sandbox runs its own containerd and
// Prometheus, and the machine's stay as they are.
func InstallPackages(ctx context.Context, say func(format string, args ...any)) error {
	missing := missingPackages(exists)
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return noAptError(missing)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	say("installing %s", strings.Join(missing, " "))
	quiet, err := denyServices()
	if err != nil {
		return err
	}
	defer quiet()
	for _, args := range [][]string{{"update"}, append([]string{"install", "-y", "--no-install-recommends"}, missing...)} {
		if err := apt(ctx, say, args...); err != nil {
			return err
		}
	}
	return nil
}

func noAptError(missing []string) error {
	return fmt.Errorf("the sandbox needs %s and there is no apt-get to install them: install them by hand (Debian's names and places), or %s",
		strings.Join(missing, ", "), Elsewhere)
}

// denyServices keeps packages from starting daemons while they are installed, the way Debian provides for it.
func denyServices() (undo func(), err error) {
	const policy = "/usr/sbin/policy-rc.d"
	f, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() {}, nil // the machine has a policy of its own
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString("#!/bin/sh\nexit 101\n")
	return func() { _ = os.Remove(policy) }, errors.Join(err, f.Close())
}

func apt(ctx context.Context, say func(string, ...any), args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	var end tail.Buffer
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = &end
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if l := lines.Text(); strings.HasPrefix(l, "Get:") || strings.HasPrefix(l, "Unpacking") || strings.HasPrefix(l, "Setting up") {
			say("apt-get: %s", l)
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, end.Bytes())
	}
	return nil
}
