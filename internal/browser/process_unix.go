//go:build unix

package browser

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// command is a program in its own process group, which is killed when ctx ends.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// launcher is the program that Playwright starts as the browser. Playwright gives the
// browser an unknown process group; the launcher reports it.
func launcher(_ tools, m modules) string { return m.launcher }

// endBrowser kills the remaining processes of a run's browser, and prevents another start.
// The script must have ended.
func endBrowser(dir string) error {
	if err := os.Remove(filepath.Join(dir, "open")); err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it never started
	}
	if err != nil {
		return err
	}
	group, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || group < 2 {
		return fmt.Errorf("end the browser: its process group is %q", raw)
	}
	// Until no process is left, other than zombies.
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		gone := syscall.Kill(-group, syscall.SIGKILL) != nil
		for _, pid := range descendants(dir) {
			gone = syscall.Kill(pid, syscall.SIGKILL) != nil && gone
		}
		if gone {
			return nil
		}
	}
	return nil
}

// descendants returns the processes of a run, if there is a /proc: the browser's crash
// handlers leave its process group.
func descendants(dir string) []int {
	var pids []int
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range paths {
		env, err := os.ReadFile(path)
		if err != nil || !strings.Contains("\x00"+string(env), "\x00CANDLEFISH_RUN="+dir+"\x00") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// lock waits for the file's lock, between processes and between runs of this one.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}
