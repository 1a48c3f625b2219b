package actiontest

import (
	"errors"
	"os/exec"
	"syscall"
	"time"
)

// The runner's pauses between the signals to a cancelled job.
const (
	AfterInterrupt = 7500 * time.Millisecond
	AfterTerminate = 2500 * time.Millisecond
)

// Exec runs a program as the step and returns its result; see [Step.ExecCmd].
func (s *Step) Exec(cancel <-chan struct{}, path string, args ...string) (Result, syscall.Signal) {
	s.tb.Helper()
	cmd := exec.CommandContext(s.tb.Context(), path, args...)
	cmd.Dir = s.Workspace
	for name, value := range s.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return s.ExecCmd(cancel, cmd)
}

// ExecCmd runs a prepared command, captures its output and returns the step's
// result. When cancel is closed, it sends the signals of a cancelled job:
// SIGINT, 7.5 seconds later SIGTERM, 2.5 seconds later SIGKILL. It returns the
// last signal sent, 0 if the process ended by itself.
func (s *Step) ExecCmd(cancel <-chan struct{}, cmd *exec.Cmd) (Result, syscall.Signal) {
	s.tb.Helper()
	out := buffer{watch: s.watch}
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	sent, err := wait(cmd, cancel)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.tb.Fatal(err)
	}
	return s.Read(cmd.ProcessState.ExitCode(), out.String()), sent
}

func wait(cmd *exec.Cmd, cancel <-chan struct{}) (syscall.Signal, error) {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return 0, err
	case <-cancel:
	}
	var sent syscall.Signal
	for _, next := range []struct {
		signal syscall.Signal
		pause  time.Duration
	}{{syscall.SIGINT, AfterInterrupt}, {syscall.SIGTERM, AfterTerminate}} {
		sent = next.signal
		_ = cmd.Process.Signal(sent) // it may have ended by itself
		select {
		case err := <-done:
			return sent, err
		case <-time.After(next.pause):
		}
	}
	_ = cmd.Process.Kill()
	return syscall.SIGKILL, <-done
}
