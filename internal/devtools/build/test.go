package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/gobuild"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
)

const (
	fuzzCount   = "5000x" // a time instead of a count sometimes ends in the fuzzer's own "context deadline exceeded"
	testTimeout = "60m"   // go test's own limit of ten minutes is for one package
	// sideBySide is how many tests of a package run at once. On the sandbox they
	// mostly wait, for dwells, drains and the gateway.
	sideBySide = "3"
	downTime   = time.Minute
)

// Test runs everything that a change must pass: format, generated files, tidy
// modules, linters, vet, the race detector, short fuzzing, and all tests on a
// sandbox that is stopped at the end whatever happens. The sandbox starts, and on
// a new machine is built, while the quick checks run. The last line counts the
// tests and checks of the whole run.
func Test(ctx context.Context, out io.Writer) error {
	t := &testRun{console: newConsole(out), tally: newTally(io.Discard)}
	defer t.console.beat()()
	var pkgs []pkg
	t.step(ctx, "list packages", func(io.Writer) (err error) {
		pkgs, err = listPackages(ctx)
		return err
	})
	if len(pkgs) == 0 {
		return t.close()
	}
	s := t.quick(ctx, pkgs)
	defer s.stop()
	t.all(ctx, pkgs, s)
	if t.tally.Passed == 0 && t.tally.Failed == 0 {
		t.fail("go test", errors.New("no test ran"))
	}
	return t.close()
}

// A testRun is one run of Test.
type testRun struct {
	console *console
	tally   *tally

	mu     sync.Mutex
	failed []string // the steps that did
}

// quick runs what needs no sandbox, and starts one beside it. The cheapest step
// comes first; a failed one does not keep others from being run.
func (t *testRun) quick(ctx context.Context, pkgs []pkg) *running {
	s := &running{}
	var wg sync.WaitGroup
	if slices.ContainsFunc(pkgs, pkg.needsSandbox) {
		wg.Go(func() {
			t.step(ctx, "start the sandbox", func(out io.Writer) (err error) {
				*s, err = startSandbox(ctx, out)
				return err
			})
		})
	}
	if slices.ContainsFunc(pkgs, pkg.needsTools) {
		// Beside tests on the sandbox their builds would take its processors.
		wg.Go(func() {
			t.step(ctx, "install the tools", func(out io.Writer) error { return InstallTools(ctx, out, []string{"-gate=all"}) })
		})
	}
	wg.Go(func() {
		t.step(ctx, "golangci-lint", func(out io.Writer) error { return golangci(ctx, out) })
	})
	t.step(ctx, "gofmt", func(io.Writer) error { return checkFormat(ctx) })
	t.step(ctx, "generated files", func(io.Writer) error { return checkGenerated(".") })
	t.step(ctx, "go mod tidy", func(out io.Writer) error { return checkTidy(ctx, out) })
	t.step(ctx, "actionlint", func(out io.Writer) error { return actionlint(ctx, out) })
	t.step(ctx, "go vet", func(out io.Writer) error { return vet(ctx, out) })
	t.race(ctx, pkgs)
	t.fuzz(ctx, pkgs)
	wg.Wait()
	return s
}

// step runs f under a name, with its output in a block, unless the run was
// cancelled before.
func (t *testRun) step(ctx context.Context, name string, f func(io.Writer) error) {
	if ctx.Err() != nil {
		t.fail(name, nil)
		return
	}
	b := t.console.begin(name, false)
	err := f(b)
	b.end(err)
	if err != nil {
		t.fail(name, nil)
	}
}

// fail counts a step that failed, and shows why if nobody has.
func (t *testRun) fail(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = append(t.failed, name)
	if err != nil {
		fmt.Fprintf(t.console, "%s: %v\n", name, err)
	}
}

// close writes the closing line, in which a failed step that is no test counts
// too.
func (t *testRun) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tally.Failed = max(t.tally.Failed, len(t.failed))
	t.tally.recap(t.console)
	var err error
	if len(t.failed) > 0 {
		err = fmt.Errorf("failed: %s", strings.Join(t.failed, ", "))
		fmt.Fprintf(t.console, "\n%v\n", err)
	}
	fmt.Fprintf(t.console, "\n%s\n", t.tally)
	return err
}

// checkFormat names the Go files that gofmt would change, as an error.
func checkFormat(ctx context.Context) error {
	files, err := output(ctx, "gofmt", "-l", ".")
	if err == nil && files != "" {
		err = fmt.Errorf("gofmt would change:\n%s", files)
	}
	return err
}

func checkGenerated(root string) error {
	stale, err := Stale(root)
	if len(stale) > 0 {
		err = errors.Join(err, fmt.Errorf("run go tool mage generate: stale are %s", strings.Join(stale, ", ")))
	}
	return err
}

// checkTidy compares go.mod and go.sum of all modules here with what they need.
func checkTidy(ctx context.Context, out io.Writer) error {
	var errs []error
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.Name() != "go.mod":
			return nil
		}
		cmd := command(ctx, nil, "go", "mod", "tidy", "-diff")
		cmd.Dir = filepath.Dir(path)
		if err := run(cmd, out); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}

func vet(ctx context.Context, out io.Writer) error {
	return errors.Join(
		runGo(ctx, out, gobuild.Env(), "vet", "./..."),
		runGo(ctx, out, gobuild.Env(), "vet", "-tags", "mage", "."),
	)
}

// race runs what needs neither the sandbox nor the tools of the gates under the race detector.
func (t *testRun) race(ctx context.Context, pkgs []pkg) {
	args := []string{"-race", "-shuffle=on"}
	for _, p := range pkgs {
		if p.pure() && !p.needsTools() {
			args = append(args, p.ImportPath)
		}
	}
	if len(args) == 2 {
		return
	}
	t.step(ctx, "go test -race", func(out io.Writer) error { return goTest(ctx, t.tally.to(out), ".", nil, args...) })
}

// fuzz gives every fuzz target of a pure package some inputs to find something.
// Elsewhere all of client-go would be compiled once more, with the fuzzer's
// counters in it: minutes for seconds. The ordinary tests still run its seed inputs.
func (t *testRun) fuzz(ctx context.Context, pkgs []pkg) {
	for _, p := range pkgs {
		if !p.pure() {
			continue
		}
		names, err := p.fuzzTargets()
		if err != nil {
			t.fail("fuzz", err)
		}
		for _, name := range names {
			t.step(ctx, "fuzz "+filepath.Base(p.ImportPath)+" "+name, func(out io.Writer) error {
				return runGo(ctx, out, gobuild.Env(), "test", "-run=^$", "-fuzz=^"+name+"$", "-fuzztime="+fuzzCount, p.ImportPath)
			})
		}
	}
}

// all runs every test, on the sandbox if it is up and else those that need none.
// Packages run one after another: the sandbox is one machine, and tests that
// watch traffic should not compete with each other for it.
func (t *testRun) all(ctx context.Context, pkgs []pkg, s *running) {
	if ctx.Err() != nil {
		t.fail("go test", errors.New("not begun"))
		return
	}
	args := []string{"-p=1", "-parallel=" + sideBySide, "-shuffle=on", "-count=1", "-timeout=" + testTimeout}
	for _, p := range pkgs {
		if s.up || !p.needsSandbox() {
			args = append(args, p.ImportPath)
		}
	}
	b := t.console.begin("go test", true)
	err := goTest(ctx, t.tally.to(b), ".", append(gobuild.Env(), s.env...), args...)
	b.end(err)
	if err != nil {
		t.fail("go test", nil)
	}
}

// running is the sandbox of a run.
type running struct {
	up   bool
	env  []string // of the tests that use it
	down func() error
	out  io.Writer
}

func (s *running) stop() {
	if s.down == nil {
		return
	}
	if err := s.down(); err != nil {
		fmt.Fprintf(s.out, "stop the sandbox: %v\n", err)
	}
}

// startSandbox starts a sandbox that belongs to this run alone. It is ephemeral:
// should this process be killed, the sandbox ends with its last user.
func startSandbox(ctx context.Context, out io.Writer) (running, error) {
	dir, err := os.MkdirTemp("", "candlefish-sandbox-")
	if err != nil {
		return running{}, err
	}
	opts := sandbox.Options{Dir: dir, Ephemeral: true, Progress: out}
	stop := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), downTime)
		defer cancel()
		return errors.Join(sandbox.Down(ctx, opts), os.RemoveAll(dir))
	}
	if _, err := sandbox.Up(ctx, opts); err != nil {
		return running{}, errors.Join(err, stop())
	}
	return running{up: true, env: []string{sandbox.EnvDir + "=" + dir}, down: stop, out: os.Stderr}, nil
}

// goTest runs go test in dir and counts into counted.
func goTest(ctx context.Context, counted *tally, dir string, env []string, args ...string) error {
	cmd := command(ctx, env, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = dir
	cmd.Stderr = counted.out
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	before := counted.Failed
	err = errors.Join(counted.read(stdout), cmd.Wait())
	if failed := counted.Failed - before; failed > 0 {
		err = errors.Join(fmt.Errorf("%d failed or skipped", failed), err)
	}
	return err
}
