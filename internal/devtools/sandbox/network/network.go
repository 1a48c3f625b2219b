// Package network names the addresses and devices of a sandbox.
package network

import "fmt"

// Network is the addresses of one sandbox. Sandboxes that run beside each other differ in slot.
type Network struct {
	Slot int
	// ports on the host's loopback
	Web, WebMetrics, Slow, SlowMetrics, Registry, Prometheus int
}

// Slots is how many sandboxes can be up at once.
const Slots = 16

func (n Network) Device() string       { return fmt.Sprintf("cfsandbox%d", n.Slot) } // the host's end of the joining pair
func (n Network) HostIP() string       { return fmt.Sprintf("10.250.%d.1", n.Slot) }
func (n Network) NodeIP() string       { return fmt.Sprintf("10.250.%d.2", n.Slot) }
func (n Network) Pods() string         { return fmt.Sprintf("10.244.%d.0/24", n.Slot) }
func (n Network) Services() string     { return fmt.Sprintf("10.96.%d.0/22", 4*n.Slot) }
func (n Network) ServiceIP() string    { return fmt.Sprintf("10.96.%d.1", 4*n.Slot) } // of the service "kubernetes"
func (n Network) Cgroup() string       { return fmt.Sprintf("candlefish-sandbox-%d", n.Slot) }
func (n Network) APIServer() string    { return "https://" + n.NodeIP() + ":6443" }
func (n Network) RegistryHost() string { return fmt.Sprintf("127.0.0.1:%d", n.Registry) }

// Loopback is the URL of a port of the host.
func Loopback(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }
