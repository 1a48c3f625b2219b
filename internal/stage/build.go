package stage

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// buildLimit bounds one build; a cold one takes about ten minutes on two cores.
const buildLimit = time.Hour

// build compiles c to out and reports how far it is at least every five seconds.
func (c component) build(ctx context.Context, opts Options, module, out string) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	opts.say("%s: %s is built from Go modules once, which takes minutes", c.name, c.version)
	p := &progress{name: c.name, began: time.Now()}
	stop := p.reportEvery(5*time.Second, opts)
	defer stop()

	flags := []string{"-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w " + c.ldflags}
	env := buildEnv(os.Environ(), memAvailable())
	list := exec.CommandContext(ctx, "go", append(append([]string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, flags...), c.pkg)...)
	list.Dir, list.Env = module, env
	if err := p.run(list, true); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", append(append([]string{"build", "-v"}, flags...), "-o", out, c.pkg)...)
	build.Dir, build.Env = module, env
	if err := p.run(build, false); err != nil {
		return err
	}
	opts.say("%s: built in %s", c.name, time.Since(p.began).Round(time.Second))
	return nil
}

// buildEnv lets each compiler use the memory there is instead of collecting garbage: on a machine with enough it is a fifth faster.
func buildEnv(env []string, available uint64) []string {
	env = append(env, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	const gib = 1 << 30
	if available < 4*gib {
		return env
	}
	// The limit is per process, and as many compilers run at once as there are cores; two big ones rarely meet.
	return append(env, "GOGC=off", fmt.Sprintf("GOMEMLIMIT=%dMiB", min(available/4, 5*gib)>>20))
}

func memAvailable() uint64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	return parseMemAvailable(string(data))
}

func parseMemAvailable(meminfo string) uint64 {
	for line := range strings.Lines(meminfo) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

// progress counts what the Go command says it does.
type progress struct {
	name  string
	began time.Time

	mu          sync.Mutex
	buildBegan  time.Time
	total, done int
	downloads   int
	last        string // the package that was begun last
	tail        tailBuffer
}

// run runs a Go command: list, whose output is the packages to build, or build, whose stderr names each package as it is begun.
func (p *progress) run(cmd *exec.Cmd, list bool) error {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	var out strings.Builder
	cmd.Stdout = &out
	// Interrupted, the Go command ends its compilers too.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if !list {
		p.mu.Lock()
		p.buildBegan = time.Now()
		p.mu.Unlock()
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		p.line(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", cmd.Args[1], err, p.tail.Bytes())
	}
	if list {
		p.mu.Lock()
		p.total = len(strings.Fields(out.String()))
		p.mu.Unlock()
	}
	return nil
}

// line takes one line of the Go command's stderr.
func (p *progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch kindOf(text) {
	case lineDownload:
		p.downloads++
	case linePackage:
		p.done++
		p.last = text
	default:
		fmt.Fprintln(&p.tail, text)
	}
}

type lineKind int

const (
	lineOther lineKind = iota
	lineDownload
	linePackage
)

// kindOf tells an import path, which is what -v prints, from messages: those have spaces or begin with #.
func kindOf(text string) lineKind {
	switch {
	case strings.HasPrefix(text, "go: downloading "):
		return lineDownload
	case text == "" || strings.HasPrefix(text, "#") || strings.ContainsAny(text, " \t:"):
		return lineOther
	default:
		return linePackage
	}
}

// String is how far the build is.
func (p *progress) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.buildBegan.IsZero() {
		return fmt.Sprintf("looking up what to build, %d modules downloaded", p.downloads)
	}
	text := fmt.Sprintf("built %d/%d packages", p.done, max(p.total, p.done))
	if p.total > 0 && p.done >= p.total-1 { // the last one is the program itself
		return text + ", linking"
	}
	if left := timeLeft(p.done, p.total, time.Since(p.buildBegan)); left > 0 {
		text += ", about " + roughly(left) + " left"
	}
	return text
}

// timeLeft goes by the pace so far; 0 when there is no telling yet.
func timeLeft(done, total int, elapsed time.Duration) time.Duration {
	if done < 20 || done >= total {
		return 0
	}
	return elapsed / time.Duration(done) * time.Duration(total-done)
}

func roughly(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds())/10*10+10)
	}
	return fmt.Sprintf("%d min", int(d.Minutes()+0.5))
}

// reportEvery writes how far p is until stop is called.
func (p *progress) reportEvery(interval time.Duration, opts Options) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				opts.say("%s: %s", p.name, p)
			}
		}
	}()
	return func() { close(quit); <-ended }
}
