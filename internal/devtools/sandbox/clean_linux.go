package sandbox

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/host"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
)

// stopLimit bounds how long a sandbox may take to end.
const stopLimit = 30 * time.Second

// clean ends the sandbox of opts.Dir, if there is one, and removes what is left of it. It touches only what the record names.
func clean(ctx context.Context, opts Options) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	rec, err := readRecord(opts.Dir)
	if errors.Is(err, errNotUp) {
		return control.Dir(opts.Dir).Remove()
	}
	if err != nil {
		return err
	}
	if rec.alive() {
		polite, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := control.AskStop(polite, opts.Dir)
		if err == nil {
			err = rec.gone(polite)
		}
		cancel()
		if err != nil {
			if err := rec.kill(); err != nil {
				return err
			}
		}
	}
	if err := rec.gone(ctx); err != nil {
		return err
	}
	// Another sandbox may have taken the slot since; then nothing in it is ours any more.
	if lock, err := network.LockSlot(rec.Slot); err == nil {
		defer func() { _ = lock.Close() }()
		n := network.Network{Slot: rec.Slot}
		if _, err := os.Stat("/sys/class/net/" + n.Device()); err == nil {
			// the kernel takes namespaces down in the background; no need to wait for it
			if err := network.IP("link", "del", n.Device()); err != nil && !strings.Contains(err.Error(), "Cannot find device") {
				return err
			}
		}
		if err := host.RemoveCgroups(n.Cgroup()); err != nil {
			return err
		}
	} else if !errors.Is(err, unix.EWOULDBLOCK) {
		return err
	}
	return control.Dir(opts.Dir).Remove()
}
