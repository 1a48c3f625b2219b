//go:build !unix

package browser

import (
	"context"
	"os/exec"
	"sync"
	"time"
)

// command is a program that is killed when ctx ends.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// launcher is the program that Playwright starts as the browser.
func launcher(t tools, _ modules) string { return t.chromium }

// endBrowser does nothing: the browser ends with the script.
func endBrowser(string) error { return nil }

var installing sync.Mutex

// lock separates the runs of this process; it does not see other processes.
func lock(context.Context, string) (unlock func(), err error) {
	installing.Lock()
	return installing.Unlock, nil
}
