// Package network is how a sandbox is joined to the machine: the address ranges that it takes, chosen so that they overlap nothing that
// the machine uses, its devices and its routes.
package network

import (
	"fmt"
	"net/netip"
)

// Network is the addresses of one sandbox.
type Network struct {
	Slot int
	Ranges
	// ports on the host's loopback
	Web, WebMetrics, Slow, SlowMetrics, Registry, Prometheus int
}

// Slots is how many sandboxes can be up at once. A slot numbers what needs a short name: the device and the cgroup.
const Slots = 16

// Device is the host's end of the pair that joins the sandbox to the host, and Cgroup the cgroup of its pods.
func (n Network) Device() string { return fmt.Sprintf("cfsandbox%d", n.Slot) }
func (n Network) Cgroup() string { return fmt.Sprintf("candlefish-sandbox-%d", n.Slot) }

// APIServer is the URL of the API server, RegistryHost the host and port of the image registry.
func (n Network) APIServer() string    { return "https://" + n.NodeIP() + ":6443" }
func (n Network) RegistryHost() string { return fmt.Sprintf("127.0.0.1:%d", n.Registry) }

// Loopback is the URL of a port of the host.
func Loopback(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }

// Ranges are the addresses of one sandbox.
type Ranges struct {
	Link     netip.Prefix `json:"link"`     // joins host and sandbox: two addresses
	Pods     netip.Prefix `json:"pods"`     // of the pods
	Services netip.Prefix `json:"services"` // of the cluster's services
}

// HostIP and NodeIP are the two ends of the link, ServiceIP is the address of the service "kubernetes".
func (r Ranges) HostIP() string    { return r.Link.Addr().Next().String() }
func (r Ranges) NodeIP() string    { return r.Link.Addr().Next().Next().String() }
func (r Ranges) ServiceIP() string { return r.Services.Addr().Next().String() }

// String names the three ranges.
func (r Ranges) String() string {
	return fmt.Sprintf("pods %s, services %s, link %s", r.Pods, r.Services, r.Link)
}
