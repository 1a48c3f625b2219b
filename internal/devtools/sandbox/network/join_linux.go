package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/host"
)

// Check refuses a machine that has no room for the addresses of a sandbox.
func Check() error {
	uses, err := used()
	if err != nil {
		return err
	}
	_, err = Choose(uses)
	return err
}

// joinLock is held from the choice of ranges until their routes are there, so that no two sandboxes choose the same.
const joinLock = "/run/candlefish-sandbox-network.lock"

// Join makes the pair of devices between the host and the sandbox whose supervisor is pid, and the host's routes to pods and services, in
// ranges that the machine does not use. Device and routes go when the sandbox's network namespace does.
func Join(ctx context.Context, slot, pid int) (Ranges, error) {
	unlock, err := host.Lock(ctx, joinLock, func() {})
	if err != nil {
		return Ranges{}, err
	}
	defer unlock()
	dev := Network{Slot: slot}.Device()
	_ = IP("link", "del", dev) // of a sandbox that died: the slot is ours, so nobody uses it
	return settle(used, func(r Ranges) error {
		err := join(dev, pid, r)
		if err != nil {
			_ = IP("link", "del", dev) // and its routes; it may not be there
		}
		return err
	})
}

// attempts is how often another program may take the chosen ranges first.
const attempts = 5

// settle joins with ranges that are free. Between the look and the change somebody else may have taken one of them, and then it chooses
// again.
func settle(used func() ([]Use, error), join func(Ranges) error) (Ranges, error) {
	var refused []Use
	for range attempts {
		uses, err := used()
		if err != nil {
			return Ranges{}, err
		}
		r, err := Choose(append(uses, refused...))
		if err != nil {
			return r, err
		}
		err = join(r)
		if !errors.Is(err, errTaken) {
			return r, err
		}
		for _, p := range []netip.Prefix{r.Pods, r.Services, r.Link} {
			refused = append(refused, Use{p, "taken meanwhile"})
		}
	}
	return Ranges{}, fmt.Errorf("%w in %d attempts: %s", errTaken, attempts, occupants(refused))
}

// errTaken says that the kernel has an address or a route already.
var errTaken = errors.New("the chosen addresses were taken by somebody else")

func join(dev string, pid int, r Ranges) error {
	for _, args := range [][]string{
		{"link", "add", dev, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(pid)},
		{"addr", "add", r.HostIP() + "/30", "dev", dev},
		{"link", "set", dev, "up"},
		{"route", "add", r.Pods.String(), "via", r.NodeIP(), "dev", dev},
		{"route", "add", r.Services.String(), "via", r.NodeIP(), "dev", dev},
	} {
		err := IP(args...)
		if err != nil && args[0] != "link" && strings.Contains(err.Error(), "File exists") {
			return fmt.Errorf("%w: %w", errTaken, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Claim takes the first free slot by its lock, which ends with the last process that holds it.
func Claim() (int, *os.File, error) {
	for slot := range Slots {
		if f, err := LockSlot(slot); err == nil {
			return slot, f, nil
		} else if !errors.Is(err, unix.EWOULDBLOCK) {
			return 0, nil, err
		}
	}
	return 0, nil, fmt.Errorf("%d sandboxes are up on this machine: stop one of them", Slots)
}

// LockSlot takes one slot. The error is unix.EWOULDBLOCK when a sandbox has it.
func LockSlot(slot int) (*os.File, error) {
	f, err := os.OpenFile(fmt.Sprintf("/run/candlefish-sandbox-%d.lock", slot), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// IP runs the ip command.
func IP(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil { //nolint:noctx // it takes milliseconds, and half of a change is worse
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
