package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy"
	"github.com/candlefish/deploy-action/internal/exit"
)

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("no network"), 1},
		{&exit.Error{Status: exit.BadInput, Err: errors.New("no such file"), Hint: "name one"}, 2},
		{fmt.Errorf("replay: %w", &exit.Error{Status: exit.BadInput, Err: errors.New("no such file")}), 2},
	} {
		if got := failed(c.err); got != c.want {
			t.Errorf("failed(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

// Mage ends alone when somebody ends "go tool mage"; its target learns that by a SIGHUP.
func TestATargetEndsWithMage(t *testing.T) {
	if os.Getenv("TARGETS_TEST_MAGE") != "" {
		mage(t)
	}
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The first process stands for mage: it starts the target and goes.
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestATargetEndsWithMage$")
	cmd.Env = append(os.Environ(), "TARGETS_TEST_MAGE=mage")
	cmd.WaitDelay = time.Minute
	out, err := cmd.Output() // until the target has closed it too
	if err != nil || !strings.Contains(string(out), "the target has ended: context canceled") {
		t.Errorf("%v: %s", err, out)
	}
}

// mage is what TestATargetEndsWithMage starts: mage, and the target below it.
func mage(t *testing.T) {
	if os.Getenv("TARGETS_TEST_MAGE") == "target" {
		ctx, stop := untilStopped(context.Background())
		fmt.Fprintln(os.Stderr, "started")
		<-ctx.Done()
		fmt.Println("the target has ended:", ctx.Err())
		stop()
		os.Exit(0)
	}
	target := exec.CommandContext(t.Context(), os.Args[0], os.Args[1:]...)
	target.Env = append(os.Environ(), "TARGETS_TEST_MAGE=target", action.EnvMage+"=1")
	target.Stdout = os.Stdout
	started, err := target.StderrPipe()
	if err == nil {
		err = target.Start()
	}
	if err == nil {
		_, err = bufio.NewReader(started).ReadString('\n')
	}
	if err != nil {
		t.Fatal(err)
	}
	os.Exit(0)
}

func TestPlainTargetsTakeNoArguments(t *testing.T) {
	t.Parallel()
	ran := 0
	target := plain(func(context.Context, io.Writer) error { ran++; return nil })
	if err := target(t.Context(), io.Discard, nil); err != nil || ran != 1 {
		t.Errorf("without arguments: ran %d times, %v", ran, err)
	}
	if err := target(t.Context(), io.Discard, []string{"--fast"}); statusOf(err) != exit.BadInput || ran != 1 {
		t.Errorf("with an argument: ran %d times, %v", ran, err)
	}
}

// Judging again is a target, and bad files are bad input.
func TestReplayIsATarget(t *testing.T) {
	t.Parallel()
	if err := targets["judge:replay"](t.Context(), io.Discard, []string{"--file=none.jsonl"}); statusOf(err) != exit.BadInput {
		t.Errorf("a missing file: %v, want bad input", err)
	}
}

// The manifest is for the namespace and account that a deploy takes by default, and
// names that are none are bad input.
func TestRBAC(t *testing.T) {
	t.Setenv("NAMESPACE", "")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, deploy.RBAC("production", "candlefish-deploy")},
		{[]string{"--namespace=shop", "--account=releaser"}, deploy.RBAC("shop", "releaser")},
	} {
		var out strings.Builder
		if err := targets["rbac"](t.Context(), &out, c.args); err != nil || out.String() != c.want {
			t.Errorf("rbac %q: %v\n%s", c.args, err, &out)
		}
	}
	if err := targets["rbac"](t.Context(), io.Discard, []string{"--account=Not a name"}); statusOf(err) != exit.BadInput {
		t.Errorf("an account with spaces: %v, want bad input", err)
	}
}

func statusOf(err error) exit.Status {
	status, _ := exit.Of(err)
	return status
}
