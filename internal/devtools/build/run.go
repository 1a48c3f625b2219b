package build

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// heartbeat is how long a step may be silent before a line says it is alive.
const heartbeat = 4 * time.Second

// A console is where people watch. It knows when something was last written, so
// that it can speak up when nothing is.
type console struct {
	mu   sync.Mutex
	w    io.Writer
	last time.Time
	step string
	from time.Time
}

func newConsole(w io.Writer) *console { return &console{w: w, last: time.Now(), from: time.Now()} }

// Write passes p on.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = time.Now()
	return c.w.Write(p)
}

// begin names the step that runs from now on.
func (c *console) begin(step string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step, c.from, c.last = step, time.Now(), time.Now()
	fmt.Fprintf(c.w, "==> %s\n", step)
}

// beat writes a line whenever nothing else was written for a while, until the
// returned function is called.
func (c *console) beat() (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				c.pulse(now)
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

func (c *console) pulse(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.last) >= heartbeat {
		c.last = now
		fmt.Fprintf(c.w, "    ... %s, %s so far\n", c.step, now.Sub(c.from).Round(time.Second))
	}
}

// runGo runs the go command and shows what it prints. It is asked to end when
// ctx does, and killed ten seconds later.
func runGo(ctx context.Context, out io.Writer, env []string, args ...string) error {
	cmd := command(ctx, env, "go", args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// output runs a command and returns what it prints on standard output.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := command(ctx, nil, name, args...)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(b), nil
}

func command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}
