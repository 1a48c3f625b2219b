//go:build !linux

package action

import (
	"os"
	"syscall"
	"time"
)

// watchParent sends a SIGHUP when the parent process dies. Only Linux can
// signal that; elsewhere it polls twice a second.
func watchParent(c chan<- os.Signal) (release func()) {
	done := make(chan struct{})
	parent := os.Getppid()
	go func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if os.Getppid() != parent {
					c <- syscall.SIGHUP
					return
				}
			}
		}
	}()
	return func() { close(done) }
}
