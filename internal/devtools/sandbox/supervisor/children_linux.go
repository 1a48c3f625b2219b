package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/component"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
)

// children are the processes that the supervisor has started, and how those are that ended.
type children struct {
	began time.Time

	mu         sync.Mutex
	components []control.Component
	running    map[int]int // pid to index in components
}

func newChildren() *children { return &children{began: time.Now(), running: map[int]int{}} }

// start runs p, with its output in a log of its own. in is where it runs when that is not the sandbox's own network.
func (c *children) start(p component.Process, l control.Dir, in netns) error {
	log, err := os.OpenFile(l.Log(p.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(p.Argv[0], p.Argv[1:]...) //nolint:noctx // it ends with the supervisor
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	c.mu.Lock()
	defer c.mu.Unlock() // until the child is known, so that reap does not miss its end
	if p.Host {
		err = in.do(cmd.Start)
	} else {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	c.running[cmd.Process.Pid] = len(c.components)
	c.components = append(c.components, control.Component{Name: p.Name, State: control.Running, Log: l.Log(p.Name)})
	return cmd.Process.Release() // reap waits for all children
}

// states are the components as they are now, in the order of their start.
func (c *children) states() []control.Component {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.components)
}

// failed says which component has ended, if one has.
func (c *children) failed() error {
	return control.Status{Serving: &control.Serving{}, Components: c.states()}.Err()
}

// reap collects every process that ends below this one: its own children, and the orphans that the first process of a
// namespace inherits, such as containerd's shims.
func (c *children) reap() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	for range ended {
		for {
			var status unix.WaitStatus
			pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if pid <= 0 {
				break
			}
			c.ended(pid, status)
		}
	}
}

func (c *children) ended(pid int, status unix.WaitStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ours := c.running[pid]
	if !ours {
		return
	}
	delete(c.running, pid)
	state := fmt.Sprintf("exited with status %d", status.ExitStatus())
	if status.Signaled() {
		state = "was killed by " + syscall.Signal(status.Signal()).String()
	}
	c.components[i].State = state
	fmt.Fprintf(os.Stderr, "%5.1fs %s %s\n", time.Since(c.began).Seconds(), c.components[i].Name, state)
}
