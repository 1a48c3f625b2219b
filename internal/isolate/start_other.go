//go:build !linux

package isolate

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
)

const nonBlocking = syscall.O_NONBLOCK

// A layer is one way to isolate; there is one.
type layer struct{}

func layers() []layer { return []layer{{}} }

// start runs the program with its own environment, in its own process group.
func (r *run) start(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, r.Time)
	defer cancel()
	cmd := exec.CommandContext(bounded, r.program, r.Args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.Dir, r.env, r, &r.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run %s: %w", r.Program, err)
	}
	err := cmd.Wait()
	r.ran.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	r.ran.Enforced = []string{environment}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		r.ran.Ending, r.ran.Why = Cancelled, context.Cause(ctx).Error()
	case bounded.Err() != nil:
		r.ran.Ending, r.ran.Why = TimedOut, fmt.Sprintf("it did not end within %v", r.Time)
	case errors.As(err, &exit) && !exit.Exited():
		r.ran.Ending, r.ran.Why = Signalled, exit.String()
	case errors.As(err, &exit):
		r.ran.Ending, r.ran.Status = Exited, exit.ExitCode()
	case err != nil:
		return fmt.Errorf("run %s: %w", r.Program, err)
	default:
		r.ran.Ending = Exited
	}
	return nil
}
