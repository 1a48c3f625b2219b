package sandbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/manifest"
)

// attach returns the healthy sandbox of opts.Dir with a lease on it.
func attach(ctx context.Context, opts Options) (*Sandbox, error) {
	rec, err := readRecord(opts.Dir)
	if err != nil {
		return nil, err
	}
	if !rec.alive() {
		return nil, errors.New("the supervisor of the last sandbox has died")
	}
	status, err := control.AskStatus(ctx, opts.Dir)
	if err != nil {
		return nil, err
	}
	if err := status.Err(); err != nil {
		return nil, err
	}
	s := &Sandbox{Serving: *status.Serving, opts: opts}
	if err := manifest.Ready(ctx, s.Kubeconfig); err != nil {
		if status.Users > 0 {
			return nil, fmt.Errorf("%w by %d processes, but its API server is not ready: %w; sandbox:down would end it for all", errInUse, status.Users, err)
		}
		return nil, err
	}
	s.lease, err = control.TakeLease(ctx, opts.Dir, !opts.Ephemeral)
	return s, err
}

// Close gives up this process's use of the sandbox; a process that ends without it has given up too. An ephemeral sandbox without linger
// time stops when its last user closes it, and then Close returns after its end. Any other stays up.
func (s *Sandbox) Close() error {
	if s.lease == nil {
		return nil
	}
	rec, err := readRecord(s.Dir)
	last, err2 := s.lease.GiveUp()
	s.lease = nil
	if err := errors.Join(err, err2); err != nil {
		return fmt.Errorf("close sandbox in %s: %w", s.Dir, err)
	}
	if !last {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	return rec.gone(ctx)
}

// inspect asks the supervisor and the API server.
func inspect(ctx context.Context, opts Options) (Status, error) {
	rec, err := readRecord(opts.Dir)
	if errors.Is(err, errNotUp) {
		return Status{Dir: opts.Dir}, nil
	}
	if err != nil {
		return Status{}, err
	}
	if !rec.alive() {
		return Status{Dir: opts.Dir, Problem: "the supervisor has died and left files: sandbox:up or sandbox:down puts that right"}, nil
	}
	status, err := control.AskStatus(ctx, opts.Dir)
	if err != nil {
		return Status{Dir: opts.Dir, Up: true, PID: rec.PID, Problem: err.Error()}, nil
	}
	status.Dir, status.Up, status.PID = opts.Dir, true, rec.PID
	err = status.Err()
	if err == nil {
		err = manifest.Ready(ctx, status.Serving.Kubeconfig)
	}
	if err == nil {
		status.Curl, err = readCurl(ctx, *status.Serving)
	}
	if err != nil {
		status.Problem = err.Error()
	}
	status.Healthy = err == nil
	return status, nil
}
