// Package hosts says which hosts load may be sent to.
//
// Hosts of this machine, of private networks and of a cluster may be loaded. Any other
// host must be named exactly: a load test that reaches production by mistake is an
// outage.
package hosts

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Names that are no host of the Internet.
var inside = []string{".svc", ".cluster.local", ".internal", ".test", ".localhost"}

// Networks that are not the Internet.
var private = prefixes("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10")

// metadata services hand out credentials of the machine. Nobody means to load them.
var metadata = prefixes("169.254.169.254/32", "169.254.170.2/32", "fd00:ec2::254/128")

func prefixes(all ...string) []netip.Prefix {
	var parsed []netip.Prefix
	for _, p := range all {
		parsed = append(parsed, netip.MustParsePrefix(p))
	}
	return parsed
}

// A Guard knows which hosts are named.
type Guard struct {
	Named []string
	// Lookup returns the addresses of a host, as that of [System] does. Without it no
	// name is known.
	Lookup func(host string) ([]netip.Addr, error)
}

// lookupLimit bounds one question to the resolver.
const lookupLimit = 10 * time.Second

// System looks names up by the system's resolver, until ctx ends.
func System(ctx context.Context) func(host string) ([]netip.Addr, error) {
	return func(host string) ([]netip.Addr, error) {
		limited, cancel := context.WithTimeout(ctx, lookupLimit)
		defer cancel()
		return net.DefaultResolver.LookupNetIP(limited, "ip", host)
	}
}

// Allowed returns an error unless load may be sent to the host of a URL.
func (g Guard) Allowed(raw string) error {
	host, err := hostOf(raw)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(g.Named, func(n string) bool { return normal(n) == host }) {
		return nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if isPrivate(addr) {
			return nil
		}
		return refusal(host, "it is an address of the Internet")
	}
	if isInside(host) {
		return nil
	}
	addrs, err := g.lookup(host)
	if err != nil {
		return fmt.Errorf("load for %s: %w", host, err)
	}
	for _, addr := range addrs {
		if !isPrivate(addr) {
			return refusal(host, fmt.Sprintf("its address %s is one of the Internet", addr))
		}
	}
	return nil
}

func refusal(host, why string) error {
	return fmt.Errorf("load for %s: %s, so it may be production; if you mean it, name it in the input load-hosts: %s", host, why, host)
}

func (g Guard) lookup(host string) ([]netip.Addr, error) {
	if g.Lookup == nil {
		return nil, fmt.Errorf("%s: no resolver was given", host)
	}
	addrs, err := g.Lookup(host)
	if err == nil && len(addrs) == 0 {
		err = fmt.Errorf("%s has no address", host)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, err
}

// Forbidden returns the networks that a generator of load for a URL must not reach:
// all but this machine, private networks, and the addresses that the URL's host and the
// named ones have now.
func (g Guard) Forbidden(raw string) ([]netip.Prefix, error) {
	if err := g.Allowed(raw); err != nil {
		return nil, err
	}
	host, _ := hostOf(raw) // Allowed has read it
	allowed := slices.Clone(private)
	for i, name := range append([]string{host}, g.Named...) {
		name = normal(name)
		if addr, err := netip.ParseAddr(name); err == nil {
			allowed = append(allowed, single(addr.Unmap()))
			continue
		}
		addrs, err := g.lookup(name)
		if err != nil && i == 0 && !isInside(name) {
			return nil, fmt.Errorf("load for %s: %w", name, err)
		}
		for _, addr := range addrs {
			allowed = append(allowed, single(addr))
		}
	}
	all := slices.Concat(without(netip.MustParsePrefix("0.0.0.0/0"), allowed), without(netip.MustParsePrefix("::/0"), allowed))
	return append(all, metadata...), nil
}

// without returns the parts of a network that none of the allowed ones covers.
func without(network netip.Prefix, allowed []netip.Prefix) []netip.Prefix {
	overlaps := false
	for _, a := range allowed {
		if a.Bits() <= network.Bits() && a.Contains(network.Addr()) {
			return nil
		}
		overlaps = overlaps || network.Contains(a.Addr())
	}
	if !overlaps {
		return []netip.Prefix{network}
	}
	low := netip.PrefixFrom(network.Addr(), network.Bits()+1)
	bits := network.Addr().AsSlice()
	bits[network.Bits()/8] |= 1 << (7 - network.Bits()%8)
	upper, _ := netip.AddrFromSlice(bits)
	return append(without(low, allowed), without(netip.PrefixFrom(upper, network.Bits()+1), allowed)...)
}

func single(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addr.BitLen()) }

// hostOf is the host of a URL in its normal form.
func hostOf(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("load for %q: %w", raw, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", fmt.Errorf("load for %q: want a URL of http or https", raw)
	}
	return normal(u.Hostname()), nil
}

// normal is a name without what does not count in it. An address of IPv4 in IPv6 is
// one of IPv4.
func normal(host string) string {
	host = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(host), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().WithZone("").String()
	}
	return host
}

func isInside(host string) bool {
	return host == "localhost" || slices.ContainsFunc(inside, func(end string) bool { return strings.HasSuffix(host, end) })
}

func isPrivate(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	in := func(p netip.Prefix) bool { return p.Contains(addr) }
	return slices.ContainsFunc(private, in) && !slices.ContainsFunc(metadata, in)
}
