package network

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func uses(ranges ...string) []Use {
	var list []Use
	for _, r := range ranges {
		list = append(list, Use{netip.MustParsePrefix(r), "a test"})
	}
	return list
}

func TestChoose(t *testing.T) {
	t.Parallel()
	const first = "pods 10.244.0.0/24, services 10.96.0.0/22, link 10.250.0.0/30"
	for name, test := range map[string]struct {
		used []Use
		want string
	}{
		"nothing used":         {nil, first},
		"default route":        {uses("0.0.0.0/0"), first},
		"VPN's halves":         {uses("0.0.0.0/1", "128.0.0.0/1"), first},
		"IPv6":                 {uses("fd00::/8", "::/0"), first},
		"an office":            {uses("192.168.1.0/24", "192.168.1.17/32"), first},
		"flannel and kubeadm":  {uses("10.244.0.0/16", "10.96.0.0/12"), "pods 10.0.0.0/24, services 10.0.4.0/22, link 10.250.0.0/30"},
		"one node of flannel":  {uses("10.244.0.0/24", "10.244.1.0/24"), "pods 10.244.2.0/24, services 10.96.0.0/22, link 10.250.0.0/30"},
		"k3s":                  {uses("10.42.0.0/16", "10.43.0.0/16"), first},
		"address in a range":   {uses("10.96.0.10/32"), "pods 10.244.0.0/24, services 10.96.4.0/22, link 10.250.0.0/30"},
		"a company's network":  {uses("10.0.0.0/8"), "pods 172.16.0.0/24, services 172.16.4.0/22, link 172.16.1.0/30"},
		"and Docker's":         {uses("10.0.0.0/8", "172.16.0.0/12"), "pods 192.168.0.0/24, services 192.168.4.0/22, link 192.168.1.0/30"},
		"not a network's name": {uses("10.244.0.9/24"), "pods 10.244.1.0/24, services 10.96.0.0/22, link 10.250.0.0/30"},
	} {
		got, err := Choose(test.used)
		if err != nil || got.String() != test.want {
			t.Errorf("%s: Choose = %v, %v; want %s", name, got, err, test.want)
		}
	}
}

func TestChooseNamesWhoHasAll(t *testing.T) {
	t.Parallel()
	all := []Use{
		{netip.MustParsePrefix("192.168.0.0/16"), "route to wg0"}, {netip.MustParsePrefix("10.0.0.0/8"), "route to tun0"},
		{netip.MustParsePrefix("172.16.0.0/12"), "route"}, {netip.MustParsePrefix("8.8.8.8/32"), "name server"},
	}
	_, err := Choose(all)
	const want = "no free /24 for pods in the private ranges: 10.0.0.0/8 (route to tun0), 172.16.0.0/12 (route), 192.168.0.0/16 (route to wg0)"
	if err == nil || err.Error() != want {
		t.Errorf("Choose = %v, want %s", err, want)
	}
	// Room for pods alone is not enough, and what it took of it is named too.
	_, err = Choose(append(uses("10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/11", "10.224.0.0/12", "10.248.0.0/13", "10.240.0.0/14",
		"10.245.0.0/16", "10.246.0.0/15", "10.244.1.0/24", "10.244.2.0/23", "10.244.4.0/22", "10.244.8.0/21", "10.244.16.0/20", "10.244.32.0/19",
		"10.244.64.0/18", "10.244.128.0/17"), all[0], all[2]))
	if err == nil || !strings.Contains(err.Error(), "no free /22 for services") || !strings.Contains(err.Error(), "more") {
		t.Errorf("Choose = %v, want no room for services", err)
	}
}

// Sandboxes run beside each other.
func TestSandboxesDoNotOverlap(t *testing.T) {
	t.Parallel()
	var used []Use
	devices := map[string]bool{}
	for slot := range Slots {
		r, err := Choose(used)
		if err != nil {
			t.Fatal(err)
		}
		n := Network{Slot: slot, Ranges: r}
		for _, p := range []netip.Prefix{r.Pods, r.Services, r.Link} {
			if overlaps(p, used) {
				t.Errorf("slot %d: %s overlaps another sandbox's", slot, p)
			}
			used = append(used, Use{p, "another sandbox"})
		}
		if !r.Link.Contains(netip.MustParseAddr(n.NodeIP())) || !r.Link.Contains(netip.MustParseAddr(n.HostIP())) ||
			!r.Services.Contains(netip.MustParseAddr(n.ServiceIP())) {
			t.Errorf("slot %d: an address of %s, %s, %s is outside its range", slot, n.HostIP(), n.NodeIP(), n.ServiceIP())
		}
		devices[n.Device()] = true
	}
	if len(devices) != Slots {
		t.Errorf("%d device names for %d slots", len(devices), Slots)
	}
}

func overlaps(p netip.Prefix, used []Use) bool {
	return slices.ContainsFunc(used, func(u Use) bool { return u.Range.Overlaps(p) })
}

// Whatever is used, the choice is private, of the right sizes, overlaps nothing, and fails only with a name for what is in the way.
func FuzzChoose(f *testing.F) {
	f.Add([]byte{10, 244, 0, 0, 16, 10, 96, 0, 0, 12})
	f.Add([]byte{10, 0, 0, 0, 8, 172, 16, 0, 0, 12, 192, 168, 0, 0, 17, 192, 168, 128, 0, 30})
	f.Add([]byte{10, 255, 255, 255, 32, 10, 0, 0, 0, 9, 10, 128, 0, 0, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		var used []Use
		for len(data) >= 5 {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte(data[:4])), int(data[4])%25+everywhere)
			used = append(used, Use{p, "a test"})
			data = data[5:]
		}
		r, err := Choose(used)
		if err != nil {
			if !strings.Contains(err.Error(), "(a test)") {
				t.Errorf("with %v: %v", used, err)
			}
			return
		}
		for _, c := range []struct {
			got  netip.Prefix
			bits int
		}{{r.Pods, 24}, {r.Services, 22}, {r.Link, 30}} {
			if c.got.Bits() != c.bits || c.got != c.got.Masked() || !c.got.Addr().IsPrivate() || overlaps(c.got, used) {
				t.Errorf("with %v: chose %v", used, r)
			}
		}
		if r.Pods.Overlaps(r.Services) || r.Pods.Overlaps(r.Link) || r.Services.Overlaps(r.Link) {
			t.Errorf("with %v: %v overlap each other", used, r)
		}
	})
}
