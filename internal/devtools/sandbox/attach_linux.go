package sandbox

import (
	"context"
	"errors"
	"fmt"
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
	status, err := askStatus(ctx, opts.Dir)
	if err != nil {
		return nil, err
	}
	if err := status.err(); err != nil {
		return nil, err
	}
	s := status.Sandbox
	s.opts = opts
	if err := checkAPI(ctx, s.Kubeconfig); err != nil {
		if status.Users > 0 {
			return nil, fmt.Errorf("%w by %d processes, but its API server is not ready: %w; sandbox:down would end it for all", errInUse, status.Users, err)
		}
		return nil, err
	}
	s.lease, err = takeLease(ctx, opts.Dir, !opts.Ephemeral)
	return s, err
}

// Close gives up this process's use of the sandbox; a process that ends without it has given up too. An ephemeral sandbox without linger
// time stops when its last user closes it, and then Close returns after its end. Any other stays up.
func (s *Sandbox) Close() error {
	if s.lease == nil {
		return nil
	}
	rec, err := readRecord(s.Dir)
	last, err2 := s.lease.giveUp()
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
	status, err := askStatus(ctx, opts.Dir)
	if err != nil {
		return Status{Dir: opts.Dir, Up: true, PID: rec.PID, Problem: err.Error()}, nil
	}
	status.Dir, status.Up, status.PID = opts.Dir, true, rec.PID
	err = status.err()
	if err == nil {
		err = checkAPI(ctx, status.Sandbox.Kubeconfig)
	}
	if err != nil {
		status.Problem = err.Error()
	}
	status.Healthy = err == nil
	return status, nil
}
