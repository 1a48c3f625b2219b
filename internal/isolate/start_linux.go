package isolate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const nonBlocking = syscall.O_NONBLOCK

// initName is the first argument of this program when it is the first process of an
// isolated one.
const initName = "candlefish-isolated"

// An order is what the first process is to do.
type order struct {
	Program  string
	Args     []string // with the name of the program
	Dir      string
	Env      []string
	Root     string  // an empty folder for the new root; "" for none
	Mounts   []mount // in the new root, or what a program may read and write
	Loopback bool    // it has a network of its own, to bring up
	Offline  bool    // it has no network
	Own      bool    // it has namespaces, and is the first process in them
	Grace    time.Duration
}

// A report is what the first process says at its end.
type ended struct {
	Setup  string // why the isolation could not be set up
	Start  string // why the program could not be started
	Status int
	Signal int
	TCP    bool // Landlock keeps TCP off
	Files  bool // Landlock restricts files
}

// A layer is one way to isolate, by what the kernel allows to whom.
type layer struct {
	user bool // in a user namespace
	own  bool // mount, process and IPC namespaces
	net  bool // and a network namespace, if the command needs no network
}

// layers are tried from the first to the last.
func layers() []layer {
	all := []layer{{user: true, own: true, net: true}, {user: true, own: true}, {}}
	if os.Geteuid() == 0 {
		all = append([]layer{{own: true, net: true}, {own: true}}, all...)
	}
	return all
}

// errSetup says that a layer is not to be had here.
var errSetup = errors.New("set up the isolation")

// start runs the program in the first layer that can be had, and fills in r.ran.
func (r *run) start(ctx context.Context) error {
	var refused []error
	for _, l := range r.sandbox.layers {
		if r.sandbox.hasRefused(l) {
			continue
		}
		err := r.startIn(ctx, l)
		if !errors.Is(err, errSetup) {
			return err
		}
		refused = append(refused, err)
		r.sandbox.mu.Lock()
		r.sandbox.refused[l] = true
		r.sandbox.mu.Unlock()
	}
	return fmt.Errorf("run %s: %w", r.Program, errors.Join(refused...))
}

func (s *Sandbox) hasRefused(l layer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused[l] && l != layer{} // there is nothing below the last one
}

// startIn runs the program in one layer.
func (r *run) startIn(ctx context.Context, l layer) error {
	orders, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = tell.Close() }()
	answer, answers, err := os.Pipe()
	if err != nil {
		return errors.Join(err, orders.Close())
	}
	defer func() { _ = answer.Close() }()
	if !l.own && landlockVersion() == 0 {
		// Nothing else keeps the program, of our user, from our environment.
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			return fmt.Errorf("hide the environment of this process: %w", err)
		}
	}
	cmd := r.first(l)
	cmd.ExtraFiles = []*os.File{orders, answers}
	err = cmd.Start()
	_, _ = orders.Close(), answers.Close()
	if err != nil {
		return fmt.Errorf("%w: %w", errSetup, err)
	}
	raw, err := json.Marshal(r.order(l))
	if err == nil {
		_, err = tell.Write(raw)
	}
	if err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() { defer close(watched); r.watch(ctx, cmd.Process, done) }()
	said, _ := io.ReadAll(io.LimitReader(answer, 64<<10))
	waitErr := cmd.Wait()
	r.ran.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	close(done)
	<-watched
	return r.judge(l, said, waitErr)
}

// first is this program as the first process of a layer.
func (r *run) first(l layer) *exec.Cmd {
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{initName}, Env: []string{"LANG=C.UTF-8"}, Dir: "/",
		Stdout: r, Stderr: &r.stderr, WaitDelay: 2 * time.Second}
	attr := &syscall.SysProcAttr{Setsid: true}
	if l.own {
		attr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC
		if l.net && !r.Network {
			attr.Cloneflags |= syscall.CLONE_NEWNET
		}
	}
	if l.user {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP}
	}
	cmd.SysProcAttr = attr
	return cmd
}

func (r *run) order(l layer) order {
	o := order{
		Program: r.program, Args: append([]string{r.Program}, r.Args...), Dir: r.Dir, Env: r.env, Grace: grace,
		Loopback: l.own && l.net && !r.Network, Offline: !r.Network, Own: l.own, Mounts: r.mounts(),
	}
	if l.own {
		o.Root = filepath.Join(r.scratch, "root")
	} else {
		o.Mounts = r.allowed(o.Mounts)
	}
	return o
}

// watch ends the program when its time is over, ctx ends, or it has too much memory.
func (r *run) watch(ctx context.Context, p *os.Process, done <-chan struct{}) {
	limit := time.NewTimer(r.Time)
	defer limit.Stop()
	look := time.NewTicker(memoryInterval)
	defer look.Stop()
	for r.stopped == "" {
		select {
		case <-done:
			return
		case <-ctx.Done():
			r.stopped, r.stoppedFor = Cancelled, context.Cause(ctx).Error()
		case <-limit.C:
			r.stopped, r.stoppedFor = TimedOut, fmt.Sprintf("it did not end within %v", r.Time)
		case <-look.C:
			if used := memoryOf(p.Pid); used > r.Memory {
				r.stopped = OutOfMemory
				r.stoppedFor = fmt.Sprintf("it used %d MiB of memory, the limit is %d MiB", used>>20, r.Memory>>20)
			}
		}
	}
	// The first process asks the program to end, and kills it after a while; if it
	// does not, its own end takes all with it.
	_ = p.Signal(syscall.SIGTERM)
	if r.stopped == OutOfMemory {
		_ = p.Signal(syscall.SIGQUIT)
	}
	last := time.NewTimer(grace + 5*time.Second)
	defer last.Stop()
	select {
	case <-done:
	case <-last.C:
		_ = p.Kill()
	}
}

// judge says how the program ended.
func (r *run) judge(l layer, said []byte, waitErr error) error {
	var e ended
	err := json.Unmarshal(said, &e)
	switch {
	case r.stopped != "":
		r.ran.Ending, r.ran.Why = r.stopped, r.stoppedFor
	case err != nil:
		r.ran.Ending, r.ran.Why = Signalled, fmt.Sprintf("its first process ended without a word: %v", waitErr)
	case e.Setup != "":
		return fmt.Errorf("%w: %s", errSetup, e.Setup)
	case e.Start != "":
		return fmt.Errorf("run %s: %s", r.Program, e.Start)
	case r.outErr != nil:
		r.ran.Ending, r.ran.Why = Signalled, r.outErr.Error()
	case e.Signal != 0:
		r.ran.Ending, r.ran.Why = Signalled, fmt.Sprintf("signal %d: %v", e.Signal, syscall.Signal(e.Signal))
	default:
		r.ran.Ending, r.ran.Status = Exited, e.Status
	}
	r.ran.Enforced = r.enforced(l, e)
	return nil
}

func (r *run) enforced(l layer, e ended) []string {
	words := []string{environment, memory}
	if l.own {
		words = append(words, readOnly, files, processes)
		if l.net && !r.Network {
			words = append(words, network)
		}
		return words
	}
	if e.Files {
		words = append(words, readOnly)
		if r.withoutCovers() {
			words = append(words, files)
		}
	}
	if e.TCP && !r.Network {
		words = append(words, tcp)
	}
	return words
}

// memoryInterval is how often the memory is looked at. Address space cannot be
// limited: programs of Go and Node reserve far more than they use.
const memoryInterval = 100 * time.Millisecond

// memoryOf returns the bytes of memory of a process and those below it that belong to
// no file.
func memoryOf(pid int) int64 {
	total := ownMemory(pid)
	for _, child := range children(pid) {
		total += memoryOf(child)
	}
	return total
}

func children(pid int) []int {
	var all []int
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		raw, err := os.ReadFile(list)
		if err != nil {
			continue // it ended
		}
		for field := range strings.FieldsSeq(string(raw)) {
			var child int
			if _, err := fmt.Sscan(field, &child); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}

func ownMemory(pid int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	var total int64
	for line := range strings.Lines(string(raw)) {
		var kib int64
		name, value, _ := strings.Cut(line, ":")
		if name == "RssAnon" || name == "RssShmem" || name == "VmSwap" {
			if n, _ := fmt.Sscanf(strings.TrimSpace(value), "%d kB", &kib); n == 1 {
				total += kib << 10
			}
		}
	}
	return total
}
