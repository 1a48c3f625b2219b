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
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startLimit bounds the time from the start of the supervisor to a sandbox that serves.
const startLimit = 5 * time.Minute

// spec is what Up tells the supervisor, on its standard input.
type spec struct {
	Dir      string        `json:"dir"`
	Slot     int           `json:"slot"`
	Binaries BinarySet     `json:"binaries"`
	Keep     bool          `json:"keep"`
	Linger   time.Duration `json:"linger"`
}

// report is one line of what the supervisor tells Up until the sandbox is ready.
type report struct {
	Progress string   `json:"progress,omitempty"`
	Error    string   `json:"error,omitempty"`
	Ready    *Sandbox `json:"ready,omitempty"`
}

// The files that the supervisor inherits after its standard ones.
const (
	fdHostNet = 3 + iota // the host's network namespace
	fdReport             // reports go here
	fdSlot               // the lock of its slot, held while it lives
)

// launch starts a supervisor and returns when its sandbox serves.
func launch(ctx context.Context, opts Options, bin BinarySet) (*Sandbox, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	began := time.Now()
	slot, lock, err := claimSlot()
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	l := layout(opts.Dir)
	for _, dir := range l.folders() {
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
		err = errors.Join(writeJSON(l.record(), rec), joinHost(network{slot: slot}, rec.PID))
	}
	if err == nil {
		err = json.NewEncoder(sup.in).Encode(spec{opts.Dir, slot, bin, !opts.Ephemeral, opts.Linger})
	}
	if err != nil {
		return nil, errors.Join(err, clean(context.WithoutCancel(ctx), opts))
	}
	s, err := sup.ready(ctx, opts)
	if err == nil {
		s.opts = opts
		s.lease, err = takeLease(ctx, opts.Dir, !opts.Ephemeral)
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
	s.in.Close()
	s.out.Close()
}

func startSupervisor(l layout, bin BinarySet, slotLock *os.File) (*supervisor, error) {
	hostNet, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	defer hostNet.Close()
	log, err := os.OpenFile(l.log("supervisor"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer inRead.Close()
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		inWrite.Close()
		return nil, err
	}
	defer outWrite.Close()
	cmd := exec.Command(bin.Supervisor) // lives on when ctx ends: the control socket stops it
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + searchPath, "HOME=/root"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inRead, log, log
	cmd.ExtraFiles = []*os.File{hostNet, outWrite, slotLock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		inWrite.Close()
		outRead.Close()
		return nil, fmt.Errorf("start supervisor in namespaces of its own: %w", err)
	}
	go cmd.Wait() // so that it is no zombie while this process lives
	return &supervisor{cmd, inWrite, outRead}, nil
}

// ready reads reports until the sandbox serves.
func (s *supervisor) ready(ctx context.Context, opts Options) (*Sandbox, error) {
	stop := context.AfterFunc(ctx, func() { s.out.SetReadDeadline(time.Unix(1, 0)) })
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
		var r report
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

// claimSlot takes the first free slot by its lock, which ends with the last process that holds it.
func claimSlot() (int, *os.File, error) {
	for slot := range slots {
		if f, err := lockSlot(slot); err == nil {
			return slot, f, nil
		} else if !errors.Is(err, unix.EWOULDBLOCK) {
			return 0, nil, err
		}
	}
	return 0, nil, fmt.Errorf("%d sandboxs are up on this machine: stop one of them", slots)
}

func lockSlot(slot int) (*os.File, error) {
	f, err := os.OpenFile(fmt.Sprintf("/run/candlefish-sandbox-%d.lock", slot), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// joinHost makes the pair of devices between the host and the sandbox whose supervisor is pid, and the host's routes to pods and services.
// Device and routes go when the sandbox's network namespace does.
func joinHost(n network, pid int) error {
	dev := n.device()
	_ = ip("link", "del", dev) // of a sandbox that died: the slot is ours, so nobody uses it
	for _, args := range [][]string{
		{"link", "add", dev, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(pid)},
		{"addr", "add", n.hostIP() + "/30", "dev", dev},
		{"link", "set", dev, "up"},
		{"route", "add", n.pods(), "via", n.nodeIP(), "dev", dev},
		{"route", "add", n.services(), "via", n.nodeIP(), "dev", dev},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// lastLines is the end of the supervisor's log, for an error message: the log itself goes away with the sandbox.
func lastLines(l layout) string {
	data, err := os.ReadFile(l.log("supervisor"))
	if err != nil || len(data) == 0 {
		return ""
	}
	if len(data) > 4<<10 {
		data = data[len(data)-4<<10:]
	}
	return "\nsupervisor's log:\n" + string(data)
}
