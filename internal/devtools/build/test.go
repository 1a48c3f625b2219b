package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
)

const (
	fuzzTime    = "5s"
	testTimeout = "60m" // go test's own limit of ten minutes is for one package
	downTime    = time.Minute
)

// Test runs everything there is to run: format, vet, the race detector, short
// fuzzing, and all tests on a sandbox that is started once and stopped at the end
// whatever happens. The last line counts the tests of the whole run.
func Test(ctx context.Context, out io.Writer) error {
	t := &testRun{console: newConsole(out)}
	t.tally = newTally(t.console)
	defer t.console.beat()()
	pkgs, err := listPackages(ctx)
	if err != nil {
		return err
	}
	err = errors.Join(
		t.step(ctx, "gofmt", func() error { return checkFormat(ctx) }),
		t.step(ctx, "go vet", func() error { return vet(ctx, t.console) }),
		t.step(ctx, "go test -race", func() error { return t.race(ctx, pkgs) }),
		t.fuzz(ctx, pkgs),
		t.all(ctx, pkgs),
	)
	if t.tally.Passed == 0 && t.tally.Failed == 0 {
		err = errors.Join(err, errors.New("no test ran"))
	}
	if err != nil {
		t.tally.Failed = max(t.tally.Failed, 1)
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

func vet(ctx context.Context, out io.Writer) error {
	return errors.Join(
		runGo(ctx, out, nil, "vet", "./..."),
		runGo(ctx, out, nil, "vet", "-tags", "mage", "."),
	)
}

// A testRun is one run of Test.
type testRun struct {
	console *console
	tally   *tally
}

// step runs f under a name, unless the run was cancelled before.
func (t *testRun) step(ctx context.Context, name string, f func() error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: not begun", name)
	}
	t.console.begin(name)
	if err := f(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// race runs what needs no sandbox under the race detector. The same tests run
// again with the others, so that only failures count here.
func (t *testRun) race(ctx context.Context, pkgs []pkg) error {
	args := []string{"-race", "-shuffle=on"}
	for _, p := range pkgs {
		if p.pure() {
			args = append(args, p.ImportPath)
		}
	}
	if len(args) == 2 {
		return nil
	}
	counted := newTally(t.console)
	err := goTest(ctx, counted, ".", nil, args...)
	t.tally.Failed += counted.Failed
	return err
}

// fuzz gives every fuzz target of a pure package a short time to find something.
// Elsewhere all of client-go would be compiled once more, with the fuzzer's
// counters in it: minutes for seconds. The seeds there run with the tests.
func (t *testRun) fuzz(ctx context.Context, pkgs []pkg) error {
	var errs []error
	for _, p := range pkgs {
		if !p.pure() {
			continue
		}
		names, err := p.fuzzTargets()
		errs = append(errs, err)
		for _, name := range names {
			errs = append(errs, t.step(ctx, "fuzz "+filepath.Base(p.ImportPath)+" "+name, func() error {
				return runGo(ctx, t.console, nil, "test", "-run=^$", "-fuzz=^"+name+"$", "-fuzztime="+fuzzTime, p.ImportPath)
			}))
		}
	}
	return errors.Join(errs...)
}

// all runs every test, on a sandbox when one of them asks for it. Packages run
// one after another: the sandbox is one machine, and tests that watch traffic
// should not compete with each other for it.
func (t *testRun) all(ctx context.Context, pkgs []pkg) error {
	var env []string
	if slices.ContainsFunc(pkgs, pkg.needsSandbox) {
		var stop func() error
		err := t.step(ctx, "start the sandbox", func() (err error) {
			env, stop, err = startSandbox(ctx, t.console)
			return err
		})
		if err != nil {
			return err
		}
		defer func() {
			if err := t.step(context.WithoutCancel(ctx), "stop the sandbox", stop); err != nil {
				fmt.Fprintln(t.console, err)
			}
		}()
	}
	return t.step(ctx, "go test", func() error {
		return goTest(ctx, t.tally, ".", env, "-p=1", "-shuffle=on", "-count=1", "-timeout="+testTimeout, "./...")
	})
}

// startSandbox starts a sandbox that belongs to this run alone. It is ephemeral:
// should this process be killed, the sandbox ends with its last user.
func startSandbox(ctx context.Context, out io.Writer) (env []string, stop func() error, err error) {
	dir, err := os.MkdirTemp("", "candlefish-sandbox-")
	if err != nil {
		return nil, nil, err
	}
	opts := sandbox.Options{Dir: dir, Ephemeral: true, Progress: out}
	stop = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), downTime)
		defer cancel()
		return errors.Join(sandbox.Down(ctx, opts), os.RemoveAll(dir))
	}
	if _, err := sandbox.Up(ctx, opts); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return []string{sandbox.EnvDir + "=" + dir}, stop, nil
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
