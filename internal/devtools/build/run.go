package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// heartbeat is how long a console may be silent before a line says what runs.
const heartbeat = 4 * time.Second

// A console is where people watch steps that run beside each other. Each step's
// output is held until the step ends and shown as one block, since lines of
// several steps in turn could not be read. While nothing is shown, a line names
// the steps that run, with the last that each has said.
type console struct {
	mu   sync.Mutex
	w    io.Writer
	last time.Time
	runs []*block // in the order of their begin
}

func newConsole(w io.Writer) *console { return &console{w: w, last: time.Now()} }

// write shows text at once.
func (c *console) write(p []byte) (int, error) {
	c.last = time.Now()
	return c.w.Write(p)
}

// Write shows p at once, below no step.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(p)
}

// A block is the output of one step.
type block struct {
	console *console
	name    string
	from    time.Time
	live    bool // shown as it comes
	held    bytes.Buffer
	said    string // its last whole line
}

// begin starts the block of a step. A live one is shown as it comes: that is for
// a step that runs alone.
func (c *console) begin(name string, live bool) *block {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := &block{console: c, name: name, from: time.Now(), live: live}
	c.runs = append(c.runs, b)
	if live {
		fmt.Fprintf(writer(c.write), "==> %s\n", name)
	}
	return b
}

// writer makes an io.Writer of a function.
type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// Write holds p until the step ends.
func (b *block) Write(p []byte) (int, error) {
	b.console.mu.Lock()
	defer b.console.mu.Unlock()
	for line := range strings.Lines(string(p)) {
		if text := strings.TrimSpace(line); text != "" {
			b.said = text
		}
	}
	if b.live {
		return b.console.write(p)
	}
	return b.held.Write(p)
}

// end shows the block, and how the step ended.
func (b *block) end(err error) {
	c := b.console
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, r := range c.runs {
		if r == b {
			c.runs = append(c.runs[:i], c.runs[i+1:]...)
			break
		}
	}
	how := "ok"
	if err != nil {
		how = "FAILED"
	}
	if !b.live {
		fmt.Fprintf(writer(c.write), "==> %s: %s, %s\n", b.name, how, time.Since(b.from).Round(100*time.Millisecond))
		if err == nil && b.held.Len() > quiet {
			return // what a step says while all is well is for who waits
		}
		_, _ = c.write(b.held.Bytes())
	}
	if err != nil {
		fmt.Fprintf(writer(c.write), "%v\n", err)
	}
}

// quiet is how much a step may say that went well.
const quiet = 2 << 10

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
	if now.Sub(c.last) < heartbeat || len(c.runs) == 0 {
		return
	}
	var parts []string
	for _, b := range c.runs {
		part := b.name + ", " + now.Sub(b.from).Round(time.Second).String()
		if b.said != "" && !b.live {
			part += " (" + shorten(b.said) + ")"
		}
		parts = append(parts, part)
	}
	fmt.Fprintf(writer(c.write), "    ... %s\n", strings.Join(parts, " | "))
	c.last = now
}

func shorten(text string) string {
	const most = 70
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "..."
	}
	return text
}

// runGo runs the go command and shows what it prints. It is asked to end when
// ctx does, and killed ten seconds later.
func runGo(ctx context.Context, out io.Writer, env []string, args ...string) error {
	return run(command(ctx, env, "go", args...), out)
}

func run(cmd *exec.Cmd, out io.Writer) error {
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
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
