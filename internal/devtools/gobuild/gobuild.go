// Package gobuild builds Go programs where somebody watches: it says how many
// packages of how many are done and how long the rest will take, instead of
// minutes of silence. It imports nothing but the standard library, so that what
// starts everything else is itself built in no time.
package gobuild

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/tail"
)

// limit bounds one build; the longest, of all of Kubernetes, takes about ten
// minutes on two cores.
const limit = time.Hour

// A Program is what to build and where to put it.
type Program struct {
	Name     string   // in messages
	Dir      string   // the module's folder
	Packages []string // the main packages, as the go command takes them
	Out      string   // the file, or a folder with a slash behind it
	Flags    []string // of go build and go list
}

// Env is what all builds on this machine have in their environment, so that no package is compiled twice: most of what this project is
// made of, Kubernetes is made of too. Debugging information is left out because writing it takes a tenth of the time.
func Env() []string {
	return []string{"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -gcflags=all=-dwarf=false", "GOWORK=off"}
}

// Build compiles p without cgo and tells say how far it is every few seconds. A
// build that is done at once is not spoken of.
func (p Program) Build(ctx context.Context, say func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	progress := &progress{name: p.Name, began: time.Now()}
	defer progress.reportEvery(interval, say)()

	env := buildEnv(os.Environ(), memAvailable())
	command := func(ctx context.Context, verb string, args ...string) *exec.Cmd {
		args = slices.Concat([]string{verb}, p.Flags, args, p.Packages)
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = p.Dir, env
		return cmd
	}
	// How many packages there are is only for the progress: the build does not wait for it, and says itself what is wrong.
	counting, done := context.WithCancel(ctx)
	var count sync.WaitGroup
	count.Go(func() {
		out, err := command(counting, "list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}").Output()
		if err == nil {
			progress.of(len(strings.Fields(string(out))))
		}
	})
	err := progress.run(command(ctx, "build", "-v", "-o", p.Out))
	done()
	count.Wait()
	if err != nil {
		return err
	}
	if took := time.Since(progress.began); took > interval {
		say(fmt.Sprintf("%s: built in %s", p.Name, took.Round(time.Second)))
	}
	return nil
}

// interval is how often the progress is told.
const interval = 4 * time.Second

// buildEnv lets each compiler use the memory there is instead of collecting garbage: on a machine with enough it is a fifth faster.
func buildEnv(env []string, available uint64) []string {
	env = append(env, Env()...)
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
	tail        tail.Buffer
}

// of says how many packages there are to build.
func (p *progress) of(total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = total
}

// run runs go build -v, whose stderr names each package as it is begun.
func (p *progress) run(cmd *exec.Cmd) error {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	// Interrupted, the Go command ends its compilers too.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		p.line(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, p.tail.Bytes())
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
		if p.buildBegan.IsZero() {
			p.buildBegan = time.Now()
		}
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
	if p.total == 0 {
		return fmt.Sprintf("built %d packages", p.done)
	}
	text := fmt.Sprintf("built %d/%d packages", p.done, max(p.total, p.done))
	if p.done >= p.total-1 { // the last one is the program itself
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

// reportEvery tells how far p is until stop is called.
func (p *progress) reportEvery(interval time.Duration, say func(string)) (stop func()) {
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
				say(p.name + ": " + p.String())
			}
		}
	}()
	return func() { close(quit); <-ended }
}
