package network

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// used reads what the machine uses: its addresses, the routes of all tables, and the servers that it reaches through a default route.
func used() ([]Use, error) {
	uses, err := routes()
	if err != nil {
		return nil, fmt.Errorf("read the machine's routes: %w", err)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("read the machine's addresses: %w", err)
	}
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("read the addresses of %s: %w", i.Name, err)
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				uses = append(uses, Use{p, "address of " + i.Name})
			}
		}
	}
	resolv, _ := os.ReadFile("/etc/resolv.conf") // without one there is no name server to keep clear of
	uses = append(uses, nameservers(string(resolv))...)
	if a, err := netip.ParseAddr(os.Getenv("KUBERNETES_SERVICE_HOST")); err == nil { // this machine is a pod
		uses = append(uses, Use{netip.PrefixFrom(a, a.BitLen()), "API server of the cluster that this machine is a pod of"})
	}
	return uses, nil
}

func nameservers(resolv string) []Use {
	var uses []Use
	for line := range strings.Lines(resolv) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			uses = append(uses, Use{netip.PrefixFrom(a, a.BitLen()), "name server"})
		}
	}
	return uses
}

// routes asks the kernel itself: the ip command may not be installed yet.
func routes() ([]Use, error) {
	answer, err := syscall.NetlinkRIB(syscall.RTM_GETROUTE, syscall.AF_INET)
	if err != nil {
		return nil, err
	}
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return nil, err
	}
	var uses []Use
	for _, m := range messages {
		if m.Header.Type != syscall.RTM_NEWROUTE || len(m.Data) < syscall.SizeofRtMsg {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, err
		}
		uses = append(uses, routeUses(m.Data[1], attrs)...) // the second byte of rtmsg is the length of the destination
	}
	return uses, nil
}

// routeUses is the destination of a route, and its gateway, which must stay reachable.
func routeUses(bits byte, attrs []syscall.NetlinkRouteAttr) []Use {
	by, to, gateway := "route", netip.AddrFrom4([4]byte{}), netip.Addr{}
	for _, a := range attrs {
		if len(a.Value) < 4 {
			continue
		}
		switch a.Attr.Type {
		case syscall.RTA_DST:
			to = netip.AddrFrom4([4]byte(a.Value[:4]))
		case syscall.RTA_GATEWAY:
			gateway = netip.AddrFrom4([4]byte(a.Value[:4]))
		case syscall.RTA_OIF:
			if i, err := net.InterfaceByIndex(int(binary.NativeEndian.Uint32(a.Value))); err == nil {
				by = "route to " + i.Name
			}
		}
	}
	uses := []Use{{netip.PrefixFrom(to, int(bits)), by}}
	if gateway.IsValid() {
		uses = append(uses, Use{netip.PrefixFrom(gateway, 32), "gateway of a " + by})
	}
	return uses
}
