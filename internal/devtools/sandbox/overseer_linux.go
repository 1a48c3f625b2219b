package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sys/unix"
)

// overseer is the state of the supervisor: the first process of the sandbox's PID namespace, parent of all others.
type overseer struct {
	spec spec
	l    layout
	net  network

	hostNet int           // the host's network namespace
	reports *json.Encoder // to Up

	mu         sync.Mutex
	since      time.Time
	sandbox    *Sandbox // set when it serves
	users      int
	idle       *time.Timer
	components []Component
	children   map[int]int // pid to index in components

	stopping chan string // why it ends
}

// Supervise runs a sandbox until it is told to stop. It is the whole of the program in the folder supervisor, which Up starts in
// namespaces of its own, with the specification on standard input.
func Supervise(ctx context.Context) error {
	if os.Getpid() != 1 {
		return errors.New("the supervisor is started by sandbox:up, in a PID namespace of its own")
	}
	reports := os.NewFile(fdReport, "reports")
	unix.CloseOnExec(fdHostNet)
	unix.CloseOnExec(fdReport)
	unix.CloseOnExec(fdSlot)
	v := &overseer{
		hostNet:  fdHostNet,
		reports:  json.NewEncoder(reports),
		since:    time.Now(),
		children: map[int]int{},
		stopping: make(chan string, 1),
	}
	input := json.NewDecoder(os.Stdin)
	if err := input.Decode(&v.spec); err != nil {
		return fmt.Errorf("read specification: %w", err)
	}
	v.l = layout(v.spec.Dir)
	v.net.slot = v.spec.Slot

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	go func() { v.stop((<-signals).String()) }()
	go func() {
		// Up holds the other end until it has a lease; before the sandbox serves, its end means that nobody waits any more.
		_, _ = io.Copy(io.Discard, os.Stdin)
		if v.status().Sandbox == nil {
			v.stop("who started it has gone")
		}
	}()
	go func() {
		if err := v.raise(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "start:", err)
			_ = v.reports.Encode(report{Error: err.Error()}) // Up may have gone
			v.stop("it did not start")
			return
		}
		reports.Close()
	}()
	why := <-v.stopping
	fmt.Fprintln(os.Stderr, "stopping:", why)
	cancel()
	return v.lower()
}

func (v *overseer) stop(why string) {
	select {
	case v.stopping <- why:
	default: // already stopping
	}
}

func (v *overseer) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(os.Stderr, "%5.1fs %s\n", time.Since(v.since).Seconds(), text)
	_ = v.reports.Encode(report{Progress: text}) // Up may have gone; its end is noticed elsewhere
}

// raise brings the sandbox up, from an empty namespace to a gateway that answers.
func (v *overseer) raise(ctx context.Context) error {
	if err := v.isolate(); err != nil {
		return err
	}
	if err := v.network(); err != nil {
		return err
	}
	control, err := net.Listen("unix", v.l.control())
	if err != nil {
		return err
	}
	go v.serveControl(control)
	if err := v.serveRegistry(); err != nil {
		return fmt.Errorf("serve registry: %w", err)
	}
	if err := writePKI(v.l, v.net); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	for path, data := range configFiles(v.l, v.net) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	if err := makeCgroups(v.net); err != nil {
		return fmt.Errorf("make cgroups: %w", err)
	}
	go v.reap()
	s := v.describe()
	if err := v.bootstrap(ctx, s); err != nil {
		return err
	}
	v.mu.Lock()
	v.sandbox = s
	v.mu.Unlock()
	return v.reports.Encode(report{Ready: s})
}

// describe is the sandbox as its users see it.
func (v *overseer) describe() *Sandbox {
	gateway := func(g gatewaySpec, port int) Gateway { return Gateway{gatewayNamespace, g.name, loopback(port)} }
	return &Sandbox{
		Dir:            v.spec.Dir,
		Kubeconfig:     v.l.kubeconfig("admin"),
		Gateway:        gateway(normalGateway, v.net.Web),
		SlowGateway:    gateway(slowGateway, v.net.Slow),
		EntryPoint:     loopback(v.net.Web),
		SlowEntryPoint: loopback(v.net.Slow),
		Registry:       v.net.registry(),
		Prometheus:     loopback(v.net.Prometheus),
	}
}

// isolate makes the mount namespace private, so that no mount of the sandbox is seen by the host or outlives the sandbox, and hides
// from the sandbox's programs the places where they would leave files.
func (v *overseer) isolate() error {
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"", "/", "", unix.MS_REC | unix.MS_SHARED}, // among the sandbox's own namespaces: kubelet wants it
		{"proc", "/proc", "proc", 0},
		{"tmpfs", "/run", "tmpfs", 0},
		{"tmpfs", "/var/log", "tmpfs", 0},
		{"tmpfs", "/var/lib/cni", "tmpfs", 0},
	} {
		if m.target == "/var/lib/cni" {
			if err := os.MkdirAll(m.target, 0o755); err != nil {
				return err
			}
		}
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.target, err)
		}
	}
	return os.MkdirAll("/run/lock", 0o755)
}

// network sets up the sandbox's end of the pair that Up made, and picks the ports on the host's loopback.
func (v *overseer) network() error {
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"addr", "add", v.net.nodeIP() + "/30", "dev", "eth0"},
		{"link", "set", "eth0", "up"},
		// Nothing is reached through it; without a default route processes could not even ask for a service address.
		{"route", "add", "default", "via", v.net.hostIP()},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return err
	}
	// Absent where the bridge filter is not loaded; then a pod cannot reach itself through a service, and nothing else is lost.
	_ = os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0o644)
	return v.onHost(func() error {
		return freePorts(&v.net.Web, &v.net.WebMetrics, &v.net.Slow, &v.net.SlowMetrics, &v.net.Registry, &v.net.Prometheus)
	})
}

// freePorts fills in ports of the loopback that nobody listens on.
func freePorts(ports ...*int) error {
	for _, p := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // only after all have been found, so that they differ
		*p = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

// onHost calls f on a thread that is in the host's network namespace: what f listens on or starts is there too.
func (v *overseer) onHost(f func() error) error {
	runtime.LockOSThread()
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(own)
	if err := unix.Setns(v.hostNet, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the host's network: %w", err)
	}
	err = f()
	if back := unix.Setns(own, unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread stays locked and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// dialHost dials in the host's network. The dialer would try addresses on threads of its own, so the address must be numeric.
func (v *overseer) dialHost(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = v.onHost(func() error {
		conn, err = (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// serveRegistry serves images at the same address on the host's loopback, where they are pushed, and on the sandbox's, where containerd
// pulls them.
func (v *overseer) serveRegistry() error {
	out, err := os.OpenFile(v.l.log("registry"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	handler := registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(v.l.path("registry"))), registry.Logger(log.New(out, "", log.LstdFlags)))
	listen := func() error {
		l, err := net.Listen("tcp", v.net.registry())
		if err != nil {
			return err
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		go server.Serve(l)
		return nil
	}
	return errors.Join(listen(), v.onHost(listen))
}

// start runs p, with its output in a log of its own.
func (v *overseer) start(p process) error {
	log, err := os.OpenFile(v.l.log(p.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	v.mu.Lock()
	defer v.mu.Unlock() // until the child is known, so that reap does not miss its end
	if p.host {
		err = v.onHost(cmd.Start)
	} else {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	v.children[cmd.Process.Pid] = len(v.components)
	v.components = append(v.components, Component{p.name, running, v.l.log(p.name)})
	return cmd.Process.Release() // reap waits for all children
}

func (v *overseer) startAll(ps []process) error {
	for _, p := range ps {
		if err := v.start(p); err != nil {
			return err
		}
	}
	return nil
}

// reap collects every process that ends below this one: its own children, and the orphans that the first process of a
// namespace inherits, such as containerd's shims.
func (v *overseer) reap() {
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
			v.ended(pid, status)
		}
	}
}

func (v *overseer) ended(pid int, status unix.WaitStatus) {
	v.mu.Lock()
	defer v.mu.Unlock()
	i, ours := v.children[pid]
	if !ours {
		return
	}
	delete(v.children, pid)
	state := fmt.Sprintf("exited with status %d", status.ExitStatus())
	if status.Signaled() {
		state = "was killed by " + syscall.Signal(status.Signal()).String()
	}
	v.components[i].State = state
	fmt.Fprintf(os.Stderr, "%5.1fs %s %s\n", time.Since(v.since).Seconds(), v.components[i].Name, state)
}

// failed says which component has ended, if one has.
func (v *overseer) failed() error {
	status := v.status()
	status.Sandbox = &Sandbox{}
	return status.err()
}

// lower ends the sandbox. The processes need no time to say goodbye: nothing of theirs is kept.
func (v *overseer) lower() error {
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	// -1 is all of this PID namespace but itself. It finds nobody once reap has collected the last one.
	for unix.Kill(-1, unix.SIGKILL) == nil {
		select {
		case <-tick.C:
		case <-limit:
			return errors.New("some processes of the sandbox did not end within 10 s")
		}
	}
	err := removeCgroups(network{slot: v.spec.Slot}) // v.net may still be written, if it never got up
	if v.spec.Keep {
		return err // Down is waiting to remove the files
	}
	return errors.Join(err, unmountBelow(v.spec.Dir), removeDir(v.spec.Dir))
}

// unmountBelow detaches what this mount namespace has mounted below dir, which could not be removed else.
func unmountBelow(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	points := mountsBelow(string(mounts), dir)
	slices.Reverse(points) // the latest may lie on an earlier one
	for _, point := range points {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	return nil
}

// mountsBelow returns the mount points below dir, in the order of mountinfo.
func mountsBelow(mountinfo, dir string) []string {
	var points []string
	for line := range strings.Lines(mountinfo) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			points = append(points, f[4])
		}
	}
	return points
}
