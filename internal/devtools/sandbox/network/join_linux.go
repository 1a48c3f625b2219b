package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

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
		f.Close()
		return nil, err
	}
	return f, nil
}

// Join makes the pair of devices between the host and the sandbox whose supervisor is pid, and the host's routes to pods and services.
// Device and routes go when the sandbox's network namespace does.
func Join(n Network, pid int) error {
	dev := n.Device()
	_ = IP("link", "del", dev) // of a sandbox that died: the slot is ours, so nobody uses it
	for _, args := range [][]string{
		{"link", "add", dev, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(pid)},
		{"addr", "add", n.HostIP() + "/30", "dev", dev},
		{"link", "set", dev, "up"},
		{"route", "add", n.Pods(), "via", n.NodeIP(), "dev", dev},
		{"route", "add", n.Services(), "via", n.NodeIP(), "dev", dev},
	} {
		if err := IP(args...); err != nil {
			return err
		}
	}
	return nil
}

// IP runs the ip command.
func IP(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
