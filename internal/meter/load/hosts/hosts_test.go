package hosts

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// dns answers as a resolver of these hosts does.
func dns(host string) ([]netip.Addr, error) {
	known := map[string]string{"shop.example.com": "93.184.216.34", "intranet.example.com": "10.1.2.3", "both.example.com": "10.1.2.3 2001:db8::1",
		"mapped.example.com": "::ffff:10.1.2.3", "empty.example.com": "", "metadata.example.com": "169.254.169.254", "app.shop.svc": "34.1.2.3"}
	text, ok := known[host]
	if !ok {
		return nil, errors.New("no such host")
	}
	var addrs []netip.Addr
	for field := range strings.FieldsSeq(text) {
		addrs = append(addrs, netip.MustParseAddr(field))
	}
	return addrs, nil
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	g := Guard{Named: []string{"Named.example.com", "8.8.4.4"}, Lookup: dns}
	for url, why := range map[string]string{
		"http://127.0.0.1:8080":           "",
		"http://localhost:3000/a":         "",
		"http://[::1]:80":                 "",
		"https://10.0.0.7":                "",
		"http://app.shop.svc":             "",
		"http://a.shop.svc.cluster.local": "",
		"https://preview.test":            "",
		"https://app.internal.":           "",
		"https://intranet.example.com":    "",
		"https://mapped.example.com":      "",
		"https://named.example.com/x":     "",
		"https://NAMED.example.com.":      "",
		"https://8.8.4.4":                 "",
		"http://[::ffff:8.8.4.4]":         "",
		"https://shop.example.com":        "load-hosts: shop.example.com",
		"https://x.named.example.com":     "no such host",
		"https://both.example.com":        "2001:db8::1",
		"https://8.8.8.8":                 "an address of the Internet",
		"http://[::ffff:8.8.8.8]":         "an address of the Internet",
		"http://169.254.169.254":          "an address of the Internet",
		"http://metadata.example.com":     "169.254.169.254",
		"https://empty.example.com":       "has no address",
		"https://evil.com#.localhost":     "no such host",
		"https://localhost@evil.com":      "no such host",
		"https://notlocalhost":            "no such host",
		"ftp://localhost":                 "want a URL of http",
		"localhost:80":                    "want a URL of http",
		"http://%zz":                      "invalid URL",
		"":                                "want a URL of http",
	} {
		err := g.Allowed(url)
		if why == "" && err != nil || why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
			t.Errorf("%q: %v, want %q", url, err, why)
		}
	}
}

// Each address is either allowed or in exactly one of the forbidden networks.
func TestForbidden(t *testing.T) {
	t.Parallel()
	g := Guard{Named: []string{"shop.example.com", "8.8.4.4", "gone.example.com"}, Lookup: dns}
	forbidden, err := g.Forbidden("http://app.shop.svc")
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]int{
		"127.0.0.1": 0, "10.255.255.255": 0, "93.184.216.34": 0, "8.8.4.4": 0, "34.1.2.3": 0, "::1": 0, "fd12::1": 0, "172.31.255.255": 0,
		"93.184.216.35": 1, "8.8.4.3": 1, "8.8.8.8": 1, "172.32.0.0": 1, "0.0.0.0": 1, "255.255.255.255": 1, "2001:db8::1": 1, "::": 1, "::2": 1,
		"169.254.169.254": 1, "fd00:ec2::254": 1,
	} {
		got := len(slices.DeleteFunc(slices.Clone(forbidden), func(p netip.Prefix) bool { return !p.Contains(netip.MustParseAddr(addr)) }))
		if got != want {
			t.Errorf("%s is in %d of the forbidden networks, want %d", addr, got, want)
		}
	}
	if _, err := g.Forbidden("https://both.example.com"); err == nil {
		t.Error("a host of the Internet has no error")
	}
}

func FuzzAllowed(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1", "https://shop.example.com", "http://[fe80::1%25eth0]", "http://0x7f.1", "http://2130706433"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		g := Guard{Lookup: func(string) ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil }}
		err := g.Allowed(url)
		host, hostErr := hostOf(url)
		if err == nil && (hostErr != nil || !isInside(host) && !isPrivate(netip.MustParseAddr(host))) {
			t.Errorf("%q is allowed", url)
		}
	})
}
