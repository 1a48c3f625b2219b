package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Use is a range of addresses that the machine uses, and for what.
type Use struct {
	Range netip.Prefix
	By    string // such as "route to cni0"
}

func (u Use) String() string { return fmt.Sprintf("%s (%s)", u.Range, u.By) }

// private are the ranges that nobody on the internet has.
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

// wants are what a sandbox needs, with where it looks first.
var wants = []struct {
	what  string
	bits  int
	first netip.Prefix
}{
	{"pods", 24, netip.MustParsePrefix("10.244.0.0/16")},
	{"services", 22, netip.MustParsePrefix("10.96.0.0/16")},
	{"the link to the host", 30, netip.MustParsePrefix("10.250.0.0/16")},
}

// everywhere is the shortest prefix that counts as a use. A shorter one is a default route, whole or in halves as VPNs have it.
const everywhere = 8

// Choose returns ranges that overlap neither each other nor anything that is used.
func Choose(used []Use) (Ranges, error) {
	var taken []Use
	for _, u := range used {
		if u.Range.Addr().Is4() && u.Range.Bits() >= everywhere {
			taken = append(taken, Use{u.Range.Masked(), u.By})
		}
	}
	var chosen [3]netip.Prefix
	for i, w := range wants {
		free, ok := firstFree(append([]netip.Prefix{w.first}, private...), w.bits, taken)
		if !ok {
			return Ranges{}, fmt.Errorf("no free /%d for %s in the private ranges: %s", w.bits, w.what, occupants(taken))
		}
		chosen[i] = free
		taken = append(taken, Use{free, "the sandbox's " + w.what})
	}
	return Ranges{Pods: chosen[0], Services: chosen[1], Link: chosen[2]}, nil
}

// firstFree returns the first range of that many bits in one of the pools that overlaps nothing. It jumps over what is taken, so it
// makes no more steps than there are uses.
func firstFree(pools []netip.Prefix, bits int, taken []Use) (netip.Prefix, bool) {
	size := uint64(1) << (32 - bits)
	for _, pool := range pools {
		for at := number(pool.Addr()); at <= end(pool); {
			candidate := netip.PrefixFrom(address(at), bits)
			last, hit := uint64(0), false
			for _, u := range taken {
				if u.Range.Overlaps(candidate) {
					last, hit = max(last, end(u.Range)), true
				}
			}
			if !hit {
				return candidate, true
			}
			at = (max(last, end(candidate)) + size) / size * size
		}
	}
	return netip.Prefix{}, false
}

func number(a netip.Addr) uint64 {
	b := a.As4()
	return uint64(binary.BigEndian.Uint32(b[:]))
}

func address(n uint64) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// end is the last address of a range.
func end(p netip.Prefix) uint64 { return number(p.Addr()) + 1<<(32-p.Bits()) - 1 }

// occupants names the widest uses of the private ranges.
func occupants(taken []Use) string {
	const most = 8
	inside := slices.DeleteFunc(slices.Clone(taken), func(u Use) bool {
		return !slices.ContainsFunc(private, u.Range.Overlaps)
	})
	slices.SortStableFunc(inside, func(a, b Use) int { return a.Range.Bits() - b.Range.Bits() })
	var names []string
	for _, u := range inside[:min(len(inside), most)] {
		names = append(names, u.String())
	}
	if more := len(inside) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
