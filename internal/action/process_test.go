package action_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
)

// role makes this test binary play a part in another process.
const role = "ACTION_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "wrapper":
		os.Exit(wrapper())
	case "child":
		os.Exit(demo(untilStopped)(action.OS(), nil))
	}
}

// untilStopped waits for a signal and takes it for an abort that worked.
func untilStopped(ctx context.Context, a *action.Action, _ input.Values) (action.Result, error) {
	a.Printf("ready %d", os.Getpid())
	<-ctx.Done()
	return action.Result{Status: exit.Aborted}, context.Cause(ctx)
}

// wrapper stands in for mage: it starts the target and waits for it.
func wrapper() int {
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), role+"=child", action.EnvMage+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Println("wrapper:", err)
	}
	return 0
}

// The end of mage reaches the target, which got no signal itself.
func TestParentDeathStopsATarget(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), role+"=wrapper")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var rest strings.Builder
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ready ") {
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
		rest.WriteString(lines.Text() + "\n")
	}
	_ = cmd.Wait() // killed above
	if want := "the parent process or the terminal is gone"; !strings.Contains(rest.String(), want) {
		t.Errorf("%q is not in:\n%s", want, rest.String())
	}
	if !strings.Contains(rest.String(), "(exit status 4)") {
		t.Errorf("the target did not end in order:\n%s", rest.String())
	}
}

// A cancelled job's first signal is enough.
func TestCancelledJob(t *testing.T) {
	t.Parallel()
	step := actiontest.NewStep(t, nil)
	step.Setenv(role, "child")
	cancel := make(chan struct{})
	step.WhenPrinted("ready", func() { close(cancel) })
	r, sent := step.Exec(cancel, os.Args[0])
	if r.Code != 4 || sent != syscall.SIGINT {
		t.Errorf("exit status %d after %v, want 4 after %v; log:\n%s", r.Code, sent, syscall.SIGINT, r.Log)
	}
	if r.Outputs["status"] != "aborted" || len(r.Annotations["error"]) != 1 {
		t.Errorf("outputs %v, errors %q", r.Outputs, r.Annotations["error"])
	}
}
