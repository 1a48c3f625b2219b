package sandbox

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

// elsewhere ends every message that refuses this machine.
const elsewhere = "use any cluster through KUBECONFIG instead, for example one made by kind"

// Room that a sandbox needs: for its own files, and for a first build.
const (
	diskForSandbox = 2 << 30
	diskForBuild   = 10 << 30
)

// searchPath is where the programs of a sandbox are looked for; also those of root, whatever the caller's PATH.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

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

func checkHost() error { return hostError(runtime.GOOS, os.Geteuid()) }

// hostError says why a sandbox cannot run for this user on this system, or nil.
func hostError(goos string, uid int) error {
	if goos != "linux" {
		return fmt.Errorf("a sandbox needs Linux, this is %s: %s", goos, elsewhere)
	}
	if uid != 0 {
		return fmt.Errorf("a sandbox needs root for containers and network devices, this is uid %d: run it with sudo, or %s", uid, elsewhere)
	}
	return nil
}

// checkDisk refuses a start that would fill the disk half way.
func checkDisk(opts Options) error {
	err := diskError(filepath.Dir(opts.Dir), diskForSandbox, freeBytes(filepath.Dir(opts.Dir)))
	for _, c := range components {
		if _, e := os.Stat(c.path(opts.Cache)); e != nil {
			return errors.Join(err, diskError(opts.Cache, diskForBuild, freeBytes(opts.Cache)))
		}
	}
	return err
}

func diskError(dir string, need, have uint64) error {
	if have >= need {
		return nil
	}
	return fmt.Errorf("%s has %.1f GiB free, the sandbox needs %.1f GiB there: make room, or %s",
		dir, float64(have)/(1<<30), float64(need)/(1<<30), elsewhere)
}

// missingPackages returns the Debian packages of programs that are nowhere.
func missingPackages(exists func(path string) bool) []string {
	var names []string
	for _, p := range packages {
		dirs := filepath.SplitList(searchPath)
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

// cniDir is where this machine has its CNI plugins.
func cniDir() string {
	dir, ok := findIn(cniDirs, cniPlugin, exists)
	if !ok {
		return cniDirs[0]
	}
	return dir
}

// installPackages gets what the sandbox runs but does not build. No service is started by it: a sandbox runs its own containerd and
// Prometheus, and the machine's stay as they are.
func installPackages(ctx context.Context, opts Options) error {
	missing := missingPackages(exists)
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return noAptError(missing)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	opts.say("installing %s", strings.Join(missing, " "))
	quiet, err := denyServices()
	if err != nil {
		return err
	}
	defer quiet()
	for _, args := range [][]string{{"update"}, append([]string{"install", "-y", "--no-install-recommends"}, missing...)} {
		if err := apt(ctx, opts, args...); err != nil {
			return err
		}
	}
	return nil
}

func noAptError(missing []string) error {
	return fmt.Errorf("the sandbox needs %s and there is no apt-get to install them: install them by hand (Debian's names and places), or %s",
		strings.Join(missing, ", "), elsewhere)
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
	return func() { os.Remove(policy) }, errors.Join(err, f.Close())
}

func apt(ctx context.Context, opts Options, args ...string) error {
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
			opts.say("apt-get: %s", l)
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, end.Bytes())
	}
	return nil
}
