package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
)

// schema changes when an older supervisor cannot be talked to.
const schema = 1

// record is what Up writes down about the supervisor it started, before the supervisor may do anything.
type record struct {
	Schema int    `json:"schema"`
	PID    int    `json:"pid"`
	Start  uint64 `json:"start_time"` // clock ticks after boot, so that a reused pid is not taken for ours
	Boot   string `json:"boot_id"`
	Slot   int    `json:"slot"`
	// Ranges are its addresses, once the host has routes to them.
	Ranges network.Ranges `json:"ranges,omitzero"`
}

func readRecord(dir string) (record, error) {
	var r record
	err := control.ReadJSON(control.Dir(dir).Record(), &r)
	if errors.Is(err, os.ErrNotExist) {
		return r, errNotUp
	}
	return r, err
}

func newRecord(pid, slot int) (record, error) {
	start, err := startTime(pid)
	return record{Schema: schema, PID: pid, Start: start, Boot: bootID(), Slot: slot}, err
}

// alive reports whether the recorded process runs.
func (r record) alive() bool {
	start, err := startTime(r.PID)
	return err == nil && start == r.Start && bootID() == r.Boot
}

// kill ends the supervisor and with it all of the sandbox.
func (r record) kill() error {
	if !r.alive() {
		return nil
	}
	return ignore(unix.Kill(r.PID, unix.SIGKILL), unix.ESRCH)
}

// gone waits until the supervisor has ended. The kernel ends the first process of a PID namespace last, so then all are gone.
func (r record) gone(ctx context.Context) error {
	fd, err := unix.PidfdOpen(r.PID, 0)
	if errors.Is(err, unix.ESRCH) || !r.alive() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watch supervisor %d: %w", r.PID, err)
	}
	defer func() { _ = unix.Close(fd) }()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait for supervisor %d to end: %w", r.PID, ctx.Err())
		}
	}
}

// startTime is field 22 of /proc/PID/stat. A zombie counts as gone.
func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStartTime(data)
}

func parseStartTime(stat []byte) (uint64, error) {
	// the second field is the command in parentheses and may hold anything
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errors.New("stat without a command")
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 20 {
		return 0, errors.New("stat is too short")
	}
	if s := string(fields[0]); s == "Z" || s == "X" {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it every record counts as of this boot
	return string(bytes.TrimSpace(id))
}

func ignore(err error, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}
