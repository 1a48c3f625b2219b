package isolate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The first process of an isolated program is this program again, with the name
// initName. It must be told from a usual start before anything else of the program
// runs, in tests too; that is what init is for.
func init() {
	if len(os.Args) == 1 && os.Args[0] == initName {
		runtime.LockOSThread() // privileges belong to a thread
		firstProcess(os.NewFile(3, "orders"), os.NewFile(4, "answers"))
		os.Exit(0) //nolint:forbidigo // it is not the program whose edge exits
	}
}

// firstProcess sets the isolation up from within, runs the program, and says how it
// ended. The end of its orders means that who gave them is gone: then all ends.
func firstProcess(orders, answers *os.File) {
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	var o order
	var e ended
	d := json.NewDecoder(orders)
	if err := d.Decode(&o); err != nil {
		e.Setup = fmt.Sprintf("read the orders: %v", err)
	} else if err := o.setUp(&e); err != nil {
		e.Setup = err.Error()
	} else {
		gone := make(chan struct{})
		go func() { _, _ = io.Copy(io.Discard, orders); close(gone) }()
		o.runProgram(&e, gone)
	}
	raw, _ := json.Marshal(e)
	_, _ = answers.Write(raw)
}

// setUp restricts this process, and so the program.
func (o order) setUp(e *ended) error {
	if o.Loopback {
		if err := loopbackUp(); err != nil {
			return fmt.Errorf("bring up lo: %w", err)
		}
	}
	if o.Root != "" {
		if err := newRoot(o.Root, o.Mounts); err != nil {
			return err
		}
	}
	if !o.Own {
		// Orphans become children of this process, which ends them.
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("become the parent of orphans: %w", err)
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("switch core dumps off: %w", err)
	}
	if err := dropPrivileges(o.Own && os.Geteuid() == 0); err != nil {
		return err
	}
	if !o.Own {
		return o.landlock(e)
	}
	return nil
}

// dropPrivileges gives up all capabilities, and the ways to get any. Root among its
// own mounts keeps the one that passes by the permissions of files: what it may write
// is decided by the mounts.
func dropPrivileges(passPermissions bool) error {
	var keep uint32
	if passPermissions {
		keep = 1 << unix.CAP_DAC_OVERRIDE
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if c == unix.CAP_DAC_OVERRIDE && passPermissions {
			continue
		}
		// Those without CAP_SETPCAP have nothing to lose here.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear the ambient capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("refuse new privileges: %w", err)
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&head, &have[0]); err != nil {
		return fmt.Errorf("read the capabilities: %w", err)
	}
	data := [2]unix.CapUserData{{Effective: keep & have[0].Permitted, Permitted: keep & have[0].Permitted}, {}}
	if err := unix.Capset(&head, &data[0]); err != nil {
		return fmt.Errorf("give up the capabilities: %w", err)
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// runProgram starts the program, waits for it, and ends what it left.
func (o order) runProgram(e *ended, gone <-chan struct{}) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGQUIT)
	pid, err := syscall.ForkExec(o.Program, o.Args, &syscall.ProcAttr{
		Dir: o.Dir, Env: o.Env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		e.Start = err.Error()
		return
	}
	done := make(chan struct{})
	go o.endWhenAsked(pid, signals, gone, done)
	status := reapUntil(pid)
	close(done)
	e.Status, e.Signal = status.ExitStatus(), 0
	if status.Signaled() {
		e.Signal = int(status.Signal())
	}
	if !o.Own {
		endChildren()
	}
}

// endWhenAsked ends the program: in order and after a while by force, or at once.
func (o order) endWhenAsked(pid int, signals <-chan os.Signal, gone, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-gone:
	case s := <-signals:
		if s == syscall.SIGTERM {
			_ = syscall.Kill(-pid, syscall.SIGTERM)
			wait := time.NewTimer(o.Grace)
			defer wait.Stop()
			select {
			case <-done:
				return
			case <-gone:
			case <-signals:
			case <-wait.C:
			}
		}
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// reapUntil takes the ends of all processes below until that of pid.
func reapUntil(pid int) syscall.WaitStatus {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || got == pid {
			return status
		}
	}
}

// endChildren kills what is below this process until nothing is.
func endChildren() {
	for range 1000 {
		for _, child := range children(os.Getpid()) {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
		got, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.ECHILD) {
			return
		}
		if got == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
}
