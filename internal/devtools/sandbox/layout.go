package sandbox

import (
	"fmt"
	"path/filepath"
)

// layout names the files of a sandbox.
type layout string

func (l layout) path(elem ...string) string {
	return filepath.Join(append([]string{string(l)}, elem...)...)
}

func (l layout) record() string               { return l.path("supervisor.json") }
func (l layout) control() string              { return l.path("control.sock") }
func (l layout) log(name string) string       { return l.path("log", name+".log") }
func (l layout) pki(name string) string       { return l.path("pki", name) }
func (l layout) kubeconfig(who string) string { return l.path(who + ".kubeconfig") }
func (l layout) config(name string) string    { return l.path("etc", name) }

// folders are made before anything starts.
func (l layout) folders() []string {
	return []string{l.path("log"), l.path("pki"), l.path("etc", "cni"), l.path("etcd"), l.path("kubelet"), l.path("containerd"),
		l.path("registry"), l.path("prometheus"), l.path("cni"), l.path("pods")}
}

// network is the addresses of one sandbox. Sandboxs that run beside each other differ in slot.
type network struct {
	slot int
	// ports on the host's loopback
	Web, WebMetrics, Slow, SlowMetrics, Registry, Prometheus int
}

// slots is how many sandboxs can be up at once.
const slots = 16

func (n network) device() string    { return fmt.Sprintf("cfsandbox%d", n.slot) } // the host's end of the joining pair
func (n network) hostIP() string    { return fmt.Sprintf("10.250.%d.1", n.slot) }
func (n network) nodeIP() string    { return fmt.Sprintf("10.250.%d.2", n.slot) }
func (n network) pods() string      { return fmt.Sprintf("10.244.%d.0/24", n.slot) }
func (n network) services() string  { return fmt.Sprintf("10.96.%d.0/22", 4*n.slot) }
func (n network) serviceIP() string { return fmt.Sprintf("10.96.%d.1", 4*n.slot) } // of the service "kubernetes"
func (n network) cgroup() string    { return fmt.Sprintf("candlefish-sandbox-%d", n.slot) }
func (n network) apiServer() string { return "https://" + n.nodeIP() + ":6443" }
func (n network) registry() string  { return fmt.Sprintf("127.0.0.1:%d", n.Registry) }

func loopback(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }
