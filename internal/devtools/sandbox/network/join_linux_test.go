package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// Somebody takes a range after it was chosen: the next ones are tried, and not for ever.
func TestSettleChoosesAgain(t *testing.T) {
	t.Parallel()
	nothing := func() ([]Use, error) { return nil, nil }
	var tried []Ranges
	got, err := settle(nothing, func(r Ranges) error {
		tried = append(tried, r)
		if len(tried) < 3 {
			return fmt.Errorf("%w: ip route add", errTaken)
		}
		return nil
	})
	if err != nil || len(tried) != 3 || got != tried[2] || tried[0].Pods == tried[1].Pods || tried[1].Pods == tried[2].Pods {
		t.Errorf("settle = %v, %v after %v", got, err, tried)
	}
	_, err = settle(nothing, func(Ranges) error { return errTaken })
	if !errors.Is(err, errTaken) || !strings.Contains(err.Error(), "10.244.0.0/24") {
		t.Errorf("settle = %v, want what was taken", err)
	}
	broken := errors.New("no ip command")
	if _, err := settle(nothing, func(Ranges) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("settle = %v, want %v at once", err, broken)
	}
}

func TestUsedHasLoopback(t *testing.T) {
	t.Parallel()
	uses, err := used()
	if err != nil {
		t.Fatal(err)
	}
	if !overlaps(netip.MustParsePrefix("127.0.0.1/32"), uses) {
		t.Errorf("the loopback is not among %v", uses)
	}
	if err := Check(); err != nil {
		t.Errorf("Check = %v on a machine that has room", err)
	}
}

func TestNameservers(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(nameservers("# nameserver 1.1.1.1\nnameserver 10.96.0.10\nsearch x\nnameserver\nnameserver fe80::1%eth0\n"))
	if want := "[10.96.0.10/32 (name server) fe80::1/128 (name server)]"; got != want {
		t.Errorf("nameservers = %s, want %s", got, want)
	}
}
