package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/binaries"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/host"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
)

// startLimit bounds the time from the start of the supervisor to a sandbox that serves.
const startLimit = 5 * time.Minute

// launch starts a supervisor and returns when its sandbox serves.
func launch(ctx context.Context, opts Options, bin binaries.Set) (*Sandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	began := time.Now()
	slot, lock, err := network.Claim()
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	l := control.Dir(opts.Dir)
	for _, dir := range l.Folders() {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	sup, err := startSupervisor(l, bin, lock)
	if err != nil {
		return nil, err
	}
	defer sup.close()
	rec, err := newRecord(sup.cmd.Process.Pid, slot)
	if err == nil {
		err = control.WriteJSON(l.Record(), rec)
	}
	if err == nil {
		rec.Ranges, err = network.Join(ctx, slot, rec.PID)
	}
	if err == nil {
		err = errors.Join(control.WriteJSON(l.Record(), rec), json.NewEncoder(sup.in).Encode(control.Spec{Dir: opts.Dir, Slot: slot,
			Ranges: rec.Ranges, Programs: bin, Keep: !opts.Ephemeral, Linger: opts.Linger}))
	}
	if err != nil {
		return nil, errors.Join(err, clean(context.WithoutCancel(ctx), opts))
	}
	serving, err := sup.ready(ctx, opts)
	s := &Sandbox{opts: opts}
	if err == nil {
		s.Serving = *serving
		s.lease, err = control.TakeLease(ctx, opts.Dir, !opts.Ephemeral)
	}
	if err != nil {
		err = fmt.Errorf("%w%s", err, lastLines(l))
		return nil, errors.Join(err, clean(context.WithoutCancel(ctx), opts))
	}
	opts.say("ready after %.1f s: KUBECONFIG=%s, entry points %s and %s (slow)", time.Since(began).Seconds(), s.Kubeconfig, s.EntryPoint, s.SlowEntryPoint)
	return s, nil
}

// supervisor is the started process and the two pipes to it. Closing in before the sandbox is ready makes it give up, so that
// an Up that is killed leaves nothing.
type supervisor struct {
	cmd *exec.Cmd
	in  *os.File
	out *os.File
}

func (s *supervisor) close() {
	_ = s.in.Close()
	_ = s.out.Close()
}

func startSupervisor(l control.Dir, bin binaries.Set, slotLock *os.File) (*supervisor, error) {
	hostNet, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	defer func() { _ = hostNet.Close() }()
	log, err := os.OpenFile(l.Log("supervisor"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = inRead.Close() }()
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		_ = inWrite.Close()
		return nil, err
	}
	defer func() { _ = outWrite.Close() }()
	cmd := exec.Command(bin.Supervisor) //nolint:noctx // it lives on when ctx ends: the control socket stops it
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + host.SearchPath, "HOME=/root"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inRead, log, log
	cmd.ExtraFiles = []*os.File{hostNet, outWrite, slotLock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		_ = inWrite.Close()
		_ = outRead.Close()
		return nil, fmt.Errorf("start supervisor in namespaces of its own: %w", err)
	}
	go func() { _ = cmd.Wait() }() // so that it is no zombie while this process lives
	return &supervisor{cmd, inWrite, outRead}, nil
}

// ready reads reports until the sandbox serves.
func (s *supervisor) ready(ctx context.Context, opts Options) (*control.Serving, error) {
	stop := context.AfterFunc(ctx, func() { _ = s.out.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	last := "the supervisor's first word"
	lines := bufio.NewReader(s.out)
	for {
		line, err := lines.ReadBytes('\n')
		if ctx.Err() != nil {
			return nil, fmt.Errorf("wait for %s: %w", last, context.Cause(ctx))
		}
		if err == io.EOF {
			return nil, fmt.Errorf("the supervisor ended while it waited for %s", last)
		}
		if err != nil {
			return nil, err
		}
		var r control.Report
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("supervisor said %q: %w", line, err)
		}
		switch {
		case r.Ready != nil:
			return r.Ready, nil
		case r.Error != "":
			return nil, errors.New(r.Error)
		default:
			last = r.Progress
			opts.say("waiting for %s", last)
		}
	}
}

// lastLines is the end of the supervisor's log, for an error message: the log itself goes away with the sandbox.
func lastLines(l control.Dir) string {
	data, err := os.ReadFile(l.Log("supervisor"))
	if err != nil || len(data) == 0 {
		return ""
	}
	if len(data) > 4<<10 {
		data = data[len(data)-4<<10:]
	}
	return "\nsupervisor's log:\n" + string(data)
}
