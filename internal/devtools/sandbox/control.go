package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// A request is the one line that a client of the control socket says.
type request struct {
	Op   string `json:"op"`             // "status", "lease", "stop"
	Keep bool   `json:"keep,omitempty"` // with "lease": stay up when the lease ends
}

// Status is what Inspect found.
type Status struct {
	// Dir is the directory that was looked at.
	Dir string `json:"dir"`
	// Up says that a supervisor runs; Healthy that in addition all components run and the API server is ready.
	Up      bool `json:"up"`
	Healthy bool `json:"healthy"`
	// Problem says in words why the sandbox is not healthy.
	Problem string `json:"problem,omitempty"`
	// PID is the supervisor's, Since its start; Keep says that the sandbox stays up without users, Users how many hold it.
	PID   int       `json:"pid,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Keep  bool      `json:"keep"`
	Users int       `json:"users"`
	// Linger is how long it waits for another user before it stops, unless Keep.
	Linger time.Duration `json:"linger,omitempty"`
	// Sandbox is nil until the sandbox serves.
	Sandbox *Sandbox `json:"sandbox,omitempty"`
	// Components are the sandbox's processes, in the order of their start.
	Components []Component `json:"components,omitempty"`
}

// A Component is one process of the sandbox.
type Component struct {
	Name  string `json:"name"`
	State string `json:"state"` // "running", or how it ended
	Log   string `json:"log"`
}

const running = "running"

// err says why the sandbox cannot be used.
func (s Status) err() error {
	if s.Sandbox == nil {
		return errors.New("the sandbox has not finished starting")
	}
	var errs []error
	for _, c := range s.Components {
		if c.State != running {
			errs = append(errs, fmt.Errorf("%s %s, see %s", c.Name, c.State, c.Log))
		}
	}
	return errors.Join(errs...)
}

// String is the status as lines for people.
func (s Status) String() string {
	var b strings.Builder
	switch {
	case !s.Up:
		fmt.Fprintf(&b, "no sandbox is up in %s\n", s.Dir)
	case s.Healthy:
		fmt.Fprintf(&b, "sandbox in %s is up since %s (supervisor %d, %d users)\n", s.Dir, s.Since.Format(time.DateTime), s.PID, s.Users)
	default:
		fmt.Fprintf(&b, "sandbox in %s is NOT healthy (supervisor %d)\n", s.Dir, s.PID)
	}
	if s.Problem != "" {
		fmt.Fprintf(&b, "  problem       %s\n", s.Problem)
	}
	if t := s.Sandbox; t != nil {
		for _, row := range [][2]string{{"KUBECONFIG", t.Kubeconfig}, {"gateway", t.Gateway.String() + " " + t.EntryPoint},
			{"slow gateway", t.SlowGateway.String() + " " + t.SlowEntryPoint}, {"registry", t.Registry}, {"prometheus", t.Prometheus}} {
			fmt.Fprintf(&b, "  %-13s %s\n", row[0], row[1])
		}
	}
	for _, c := range s.Components {
		fmt.Fprintf(&b, "  %-24s %s\n", c.Name, c.State)
	}
	return b.String()
}

// answerLimit bounds how long the supervisor or the API server may take to answer. On an overloaded machine they take their time.
const answerLimit = 30 * time.Second

// dialControl says req to the supervisor.
func dialControl(ctx context.Context, dir string, req request) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: answerLimit}).DialContext(ctx, "unix", layout(dir).control())
	if err != nil {
		return nil, fmt.Errorf("reach the sandbox's supervisor: %w", err)
	}
	conn.SetDeadline(time.Now().Add(answerLimit))
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		conn.Close()
		return nil, fmt.Errorf("ask the sandbox's supervisor: %w", err)
	}
	return conn, nil
}

func ask(ctx context.Context, dir string, req request) (Status, net.Conn, error) {
	var status Status
	conn, err := dialControl(ctx, dir, req)
	if err != nil {
		return status, nil, err
	}
	if err := json.NewDecoder(conn).Decode(&status); err != nil {
		conn.Close()
		return status, nil, fmt.Errorf("answer of the sandbox's supervisor to %s: %w", req.Op, err)
	}
	return status, conn, nil
}

func askStatus(ctx context.Context, dir string) (Status, error) {
	status, conn, err := ask(ctx, dir, request{Op: "status"})
	if err == nil {
		conn.Close()
	}
	return status, err
}

func askStop(ctx context.Context, dir string) error {
	_, conn, err := ask(ctx, dir, request{Op: "stop"})
	if err == nil {
		conn.Close()
	}
	return err
}

// lease is a hold on the sandbox. It ends with the connection, which the kernel closes for a killed process.
type lease struct{ conn *net.UnixConn }

func takeLease(ctx context.Context, dir string, keep bool) (*lease, error) {
	_, conn, err := ask(ctx, dir, request{Op: "lease", Keep: keep})
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return &lease{conn.(*net.UnixConn)}, nil
}

// giveUp ends the lease and reports whether the sandbox stops now for it.
func (l *lease) giveUp() (stops bool, err error) {
	defer l.conn.Close()
	if err := l.conn.CloseWrite(); err != nil {
		return false, err
	}
	l.conn.SetDeadline(time.Now().Add(answerLimit))
	var status Status
	err = json.NewDecoder(l.conn).Decode(&status)
	if errors.Is(err, io.EOF) { // somebody else is stopping it, and waits for that
		return false, nil
	}
	return status.Users == 0 && !status.Keep && status.Linger == 0, err
}
