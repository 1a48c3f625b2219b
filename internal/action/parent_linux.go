package action

import (
	"os"
	"runtime"
	"syscall"
)

// watchParent asks the kernel for a SIGHUP when the parent process dies. The
// setting belongs to the calling thread, so the goroutine stays locked to it
// until release.
func watchParent(c chan<- os.Signal) (release func()) {
	done := make(chan struct{})
	asked := make(chan struct{})
	parent := os.Getppid()
	go func() {
		runtime.LockOSThread()
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGHUP), 0)
		if os.Getppid() != parent || parent == 1 {
			// The parent died before the call.
			c <- syscall.SIGHUP
		}
		close(asked)
		<-done
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, 0, 0)
		runtime.UnlockOSThread()
	}()
	<-asked
	return func() { close(done) }
}
