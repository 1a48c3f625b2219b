package imagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const startLimit = time.Minute

// A daemon is a Docker daemon that belongs to one test.
type daemon struct {
	tb   testing.TB
	host string // the value of DOCKER_HOST
}

// startDaemon starts dockerd with all of its files in a folder of the test. It
// is the first process of PID and mount namespaces of its own: when it ends, at
// the test's end or because the test was killed, the kernel ends the containers
// and takes the mounts down. It has no bridge and writes no firewall rule:
// containers run on the host's network or on none.
func startDaemon(tb testing.TB) *daemon {
	tb.Helper()
	installDocker(tb)
	dir, err := os.MkdirTemp("", "docker-") //nolint:usetesting // a socket's path must be short
	if err != nil {
		tb.Fatal(err)
	}
	d := &daemon{tb: tb, host: "unix://" + filepath.Join(dir, "sock")}
	log := &safeBuffer{}
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "dockerd",
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "--host", d.host,
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start dockerd: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed in the end; its log says why, should it end before
		close(ended)
	}()
	tb.Cleanup(func() { d.stop(cmd, ended, dir) })
	if err := d.await(ended); err != nil {
		tb.Fatalf("start dockerd: %v\n%s", err, tail(log.String()))
	}
	return d
}

// await returns when the daemon answers.
func (d *daemon) await(ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		err := d.command(ctx, "version", "--format", "{{.Server.Version}}").Run()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v", startLimit)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stop kills unshare, and with it all that is in the namespaces.
func (d *daemon) stop(cmd *exec.Cmd, ended <-chan struct{}, dir string) {
	_ = cmd.Process.Kill() // it may be gone
	<-ended
	if err := os.RemoveAll(dir); err != nil {
		d.tb.Errorf("remove dockerd's files: %v", err)
	}
}

// of is the daemon for a subtest of its test.
func (d *daemon) of(tb testing.TB) *daemon { return &daemon{tb: tb, host: d.host} }

// command prepares a docker command for the daemon.
func (d *daemon) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host, "DOCKER_BUILDKIT=0")
	return cmd
}

// docker runs a docker command and fails the test when it fails.
func (d *daemon) docker(args ...string) {
	d.tb.Helper()
	if out, err := d.command(d.tb.Context(), args...).CombinedOutput(); err != nil {
		d.tb.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, tail(string(out)))
	}
}

// installDocker installs Debian's docker.io where it is missing.
func installDocker(tb testing.TB) {
	tb.Helper()
	if _, err := exec.LookPath("dockerd"); err == nil {
		return
	}
	for _, args := range [][]string{{"update", "-q"}, {"install", "-q", "-y", "--no-install-recommends", "docker.io"}} {
		// Its service would start a daemon of its own.
		if err := aptGet(tb.Context(), args...); err != nil {
			tb.Fatal(err)
		}
	}
}

// tail returns the end of a log.
func tail(log string) string {
	const enough = 4000
	if len(log) > enough {
		return "[…]" + log[len(log)-enough:]
	}
	return log
}

// safeBuffer is a bytes.Buffer for two goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
