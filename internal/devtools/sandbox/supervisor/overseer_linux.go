// Package supervisor is the process that a sandbox lives under: the first of its PID namespace and the parent of all others. It sets up
// the namespaces, starts the components, fills the cluster, answers on the control socket and, when it ends, takes everything along.
package supervisor

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
	"os/signal"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sys/unix"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/component"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/host"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
)

// overseer is the state of the supervisor: the first process of the sandbox's PID namespace, parent of all others.
type overseer struct {
	spec control.Spec
	l    control.Dir
	net  network.Network

	host    netns         // the host's network namespace
	reports *json.Encoder // to Up

	children *children

	mu      sync.Mutex
	since   time.Time
	serving *control.Serving // set when it serves
	users   int
	idle    *time.Timer

	stopping chan string // why it ends
}

// Run runs a sandbox until it is told to stop. It is the whole of the program cmd/supervisor, which sandbox.Up starts in namespaces of
// its own, with the specification on standard input.
func Run(ctx context.Context) error {
	if os.Getpid() != 1 {
		return errors.New("the supervisor is started by sandbox:up, in a PID namespace of its own")
	}
	reports := os.NewFile(control.FDReport, "reports")
	unix.CloseOnExec(control.FDHostNet)
	unix.CloseOnExec(control.FDReport)
	unix.CloseOnExec(control.FDSlot)
	v := &overseer{
		host:     control.FDHostNet,
		reports:  json.NewEncoder(reports),
		since:    time.Now(),
		children: newChildren(),
		stopping: make(chan string, 1),
	}
	input := json.NewDecoder(os.Stdin)
	if err := input.Decode(&v.spec); err != nil {
		return fmt.Errorf("read specification: %w", err)
	}
	v.l = control.Dir(v.spec.Dir)
	v.net = network.Network{Slot: v.spec.Slot, Ranges: v.spec.Ranges}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	go func() { v.stop((<-signals).String()) }()
	go func() {
		// Up holds the other end until it has a lease; before the sandbox serves, its end means that nobody waits any more.
		_, _ = io.Copy(io.Discard, os.Stdin)
		if v.status().Serving == nil {
			v.stop("who started it has gone")
		}
	}()
	go func() {
		if err := v.raise(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "start:", err)
			_ = v.reports.Encode(control.Report{Error: err.Error()}) // Up may have gone
			v.stop("it did not start")
			return
		}
		_ = reports.Close()
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
	_ = v.reports.Encode(control.Report{Progress: text}) // Up may have gone; its end is noticed elsewhere
}

// raise brings the sandbox up, from an empty namespace to a gateway that answers.
func (v *overseer) raise(ctx context.Context) error {
	if err := isolate(); err != nil {
		return err
	}
	if err := v.network(ctx); err != nil {
		return err
	}
	socket, err := new(net.ListenConfig).Listen(ctx, "unix", v.l.Socket())
	if err != nil {
		return err
	}
	go v.serveControl(socket)
	if err := v.serveRegistry(ctx); err != nil {
		return fmt.Errorf("serve registry: %w", err)
	}
	if err := v.serveGateways(ctx); err != nil {
		return fmt.Errorf("serve the gateways to the node: %w", err)
	}
	if err := component.WritePKI(v.l, v.net); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	for path, data := range component.Files(v.l, v.net) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	if err := host.MakeCgroups(v.net.Cgroup()); err != nil {
		return fmt.Errorf("make cgroups: %w", err)
	}
	go v.children.reap()
	s := v.describe()
	if err := v.bootstrap(ctx, s); err != nil {
		return err
	}
	v.mu.Lock()
	v.serving = s
	v.mu.Unlock()
	return v.reports.Encode(control.Report{Ready: s})
}

// describe is the sandbox as its users see it.
func (v *overseer) describe() *control.Serving {
	gateway := func(g component.GatewaySpec, port int) control.Gateway {
		return control.Gateway{Namespace: component.GatewayNamespace, Name: g.Name, URL: network.Loopback(port)}
	}
	return &control.Serving{
		Dir:            v.spec.Dir,
		Kubeconfig:     v.l.Kubeconfig("admin"),
		Gateway:        gateway(component.Normal, v.net.Web),
		SlowGateway:    gateway(component.Slow, v.net.Slow),
		EntryPoint:     network.Loopback(v.net.Web),
		SlowEntryPoint: network.Loopback(v.net.Slow),
		Registry:       v.net.RegistryHost(),
		Prometheus:     network.Loopback(v.net.Prometheus),
		Ranges:         v.net.Ranges,
	}
}

// network sets up the sandbox's end of the pair that Up made, and picks the ports on the host's loopback.
func (v *overseer) network(ctx context.Context) error {
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"addr", "add", v.net.NodeIP() + "/30", "dev", "eth0"},
		{"link", "set", "eth0", "up"},
		// Nothing is reached through it; without a default route processes could not even ask for a service address.
		{"route", "add", "default", "via", v.net.HostIP()},
	} {
		if err := network.IP(args...); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return err
	}
	// Absent where the bridge filter is not loaded; then a pod cannot reach itself through a service, and nothing else is lost.
	_ = os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0o644)
	return v.host.do(func() error {
		return freePorts(ctx, &v.net.Web, &v.net.WebMetrics, &v.net.Slow, &v.net.SlowMetrics, &v.net.Registry, &v.net.Prometheus)
	})
}

// freePorts fills in ports of the loopback that nobody listens on.
func freePorts(ctx context.Context, ports ...*int) error {
	for _, p := range ports {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = l.Close() }() // only after all have been found, so that they differ
		*p = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

// serveRegistry serves images at the same address on the host's loopback, where they are pushed, and on the sandbox's, where containerd
// pulls them.
func (v *overseer) serveRegistry(ctx context.Context) error {
	out, err := os.OpenFile(v.l.Log("registry"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	handler := registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(v.l.Path("registry"))), registry.Logger(log.New(out, "", log.LstdFlags)))
	listen := func() error {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", v.net.RegistryHost())
		if err != nil {
			return err
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = server.Serve(l) }()
		return nil
	}
	return errors.Join(listen(), v.host.do(listen))
}

// serveGateways makes the gateways reachable for pods in the node's network, at the address that they have on the host: a release that
// runs in the cluster sends its probes through the same entry point as one outside.
func (v *overseer) serveGateways(ctx context.Context) error {
	for _, port := range []int{v.net.Web, v.net.Slow} {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return err
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return // the sandbox ends
				}
				go v.forward(ctx, conn, address)
			}
		}()
	}
	return nil
}

// forward copies a connection to an address on the host's loopback and back, until one end closes it.
func (v *overseer) forward(ctx context.Context, conn net.Conn, address string) {
	defer func() { _ = conn.Close() }() // the peers see the end
	to, err := v.host.dial(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	ended := make(chan struct{}, 2)
	pipe := func(dst, src net.Conn) {
		_, _ = io.Copy(dst, src) // how it ended is for the peers
		ended <- struct{}{}
	}
	go pipe(to, conn)
	go pipe(conn, to)
	<-ended
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
	err := host.RemoveCgroups(network.Network{Slot: v.spec.Slot}.Cgroup()) // v.net may still be written, if it never got up
	if v.spec.Keep {
		return err // Down is waiting to remove the files
	}
	return errors.Join(err, unmountBelow(v.spec.Dir), v.l.Remove())
}

// status is what clients are told.
func (v *overseer) status() control.Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	return control.Status{Since: v.since, Keep: v.spec.Keep, Users: v.users, Linger: v.spec.Linger, Serving: v.serving, Components: v.children.states()}
}
