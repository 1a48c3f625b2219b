// Package control is what a sandbox and those who use it know of each other: where its files are, what the supervisor is told and
// reports when it starts, and the requests that it answers on its control socket.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/binaries"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
)

// Spec is what Up tells the supervisor, on its standard input.
type Spec struct {
	Dir  string `json:"dir"`
	Slot int    `json:"slot"`
	// Ranges are the addresses that Up has chosen and routed.
	Ranges   network.Ranges `json:"ranges"`
	Programs binaries.Set   `json:"programs"`
	Keep     bool           `json:"keep"`
	Linger   time.Duration  `json:"linger"`
}

// Report is one line of what the supervisor tells Up until the sandbox is ready.
type Report struct {
	Progress string   `json:"progress,omitempty"`
	Error    string   `json:"error,omitempty"`
	Ready    *Serving `json:"ready,omitempty"`
}

// The files that the supervisor inherits after its standard ones.
const (
	FDHostNet = 3 + iota // the host's network namespace
	FDReport             // reports go here
	FDSlot               // the lock of its slot, held while it lives
)

// A Gateway is one Gateway object of the sandbox and where it listens.
type Gateway struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	URL       string `json:"url"` // its entry point on loopback, such as http://127.0.0.1:41234
}

// String returns "namespace/name".
func (g Gateway) String() string { return g.Namespace + "/" + g.Name }

// Serving is where a sandbox that is up can be reached.
type Serving struct {
	// Dir is the sandbox's directory; logs are in its folder log.
	Dir string `json:"dir"`
	// Kubeconfig is the path of the admin's kubeconfig.
	Kubeconfig string `json:"kubeconfig"`
	// Gateway applies a changed route within about two seconds, SlowGateway within about five.
	Gateway     Gateway `json:"gateway"`
	SlowGateway Gateway `json:"slow_gateway"`
	// EntryPoint and SlowEntryPoint are the URLs of the two gateways.
	EntryPoint     string `json:"entry_point"`
	SlowEntryPoint string `json:"slow_entry_point"`
	// Registry is host:port of the image registry, the same for who pushes and for the cluster that pulls.
	Registry string `json:"registry"`
	// Prometheus is the URL of a Prometheus that scrapes both gateways every second.
	Prometheus string `json:"prometheus"`
	// Ranges are the addresses of pods and services, which the host reaches, and of the link that leads there.
	Ranges network.Ranges `json:"ranges"`
}

// A Request is the one line that a client of the control socket says.
type Request struct {
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
	// Serving is nil until the sandbox serves.
	Serving *Serving `json:"sandbox,omitempty"`
	// Components are the sandbox's processes, in the order of their start.
	Components []Component `json:"components,omitempty"`
	// Curl are the commands that ask the entry points for what is deployed. The supervisor does not know them.
	Curl []string `json:"-"`
}

// A Component is one process of the sandbox.
type Component struct {
	Name  string `json:"name"`
	State string `json:"state"` // "running", or how it ended
	Log   string `json:"log"`
}

// Running is the state of a component that has not ended.
const Running = "running"

// Err says why the sandbox cannot be used.
func (s Status) Err() error {
	if s.Serving == nil {
		return errors.New("the sandbox has not finished starting")
	}
	var errs []error
	for _, c := range s.Components {
		if c.State != Running {
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
	if t := s.Serving; t != nil {
		for _, row := range [][2]string{{"KUBECONFIG", t.Kubeconfig}, {"gateway", t.Gateway.String() + " " + t.EntryPoint},
			{"slow gateway", t.SlowGateway.String() + " " + t.SlowEntryPoint}, {"registry", t.Registry}, {"prometheus", t.Prometheus},
			{"addresses", t.Ranges.String()}} {
			fmt.Fprintf(&b, "  %-13s %s\n", row[0], row[1])
		}
	}
	for _, command := range s.Curl {
		fmt.Fprintf(&b, "  %-13s %s\n", "try", command)
	}
	for _, c := range s.Components {
		fmt.Fprintf(&b, "  %-24s %s\n", c.Name, c.State)
	}
	return b.String()
}

// AnswerLimit bounds how long the supervisor or the API server may take to answer. On an overloaded machine they take their time.
const AnswerLimit = 30 * time.Second

// dial says req to the supervisor.
func dial(ctx context.Context, dir string, req Request) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: AnswerLimit}).DialContext(ctx, "unix", Dir(dir).Socket())
	if err != nil {
		return nil, fmt.Errorf("reach the sandbox's supervisor: %w", err)
	}
	_ = conn.SetDeadline(time.Now().Add(AnswerLimit))
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("ask the sandbox's supervisor: %w", err)
	}
	return conn, nil
}

func ask(ctx context.Context, dir string, req Request) (Status, net.Conn, error) {
	var status Status
	conn, err := dial(ctx, dir, req)
	if err != nil {
		return status, nil, err
	}
	if err := json.NewDecoder(conn).Decode(&status); err != nil {
		_ = conn.Close()
		return status, nil, fmt.Errorf("answer of the sandbox's supervisor to %s: %w", req.Op, err)
	}
	return status, conn, nil
}

// AskStatus asks the supervisor of the sandbox in dir how it is.
func AskStatus(ctx context.Context, dir string) (Status, error) {
	status, conn, err := ask(ctx, dir, Request{Op: "status"})
	if err == nil {
		_ = conn.Close()
	}
	return status, err
}

// AskStop asks the supervisor to end its sandbox. It answers before it does.
func AskStop(ctx context.Context, dir string) error {
	_, conn, err := ask(ctx, dir, Request{Op: "stop"})
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// A Lease is a hold on the sandbox. It ends with the connection, which the kernel closes for a killed process.
type Lease struct{ conn *net.UnixConn }

// TakeLease takes a hold on the sandbox in dir. With keep the sandbox stays up when its last user has gone.
func TakeLease(ctx context.Context, dir string, keep bool) (*Lease, error) {
	_, conn, err := ask(ctx, dir, Request{Op: "lease", Keep: keep})
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return &Lease{conn.(*net.UnixConn)}, nil
}

// GiveUp ends the lease and reports whether the sandbox stops now for it.
func (l *Lease) GiveUp() (stops bool, err error) {
	defer func() { _ = l.conn.Close() }()
	if err := l.conn.CloseWrite(); err != nil {
		return false, err
	}
	_ = l.conn.SetDeadline(time.Now().Add(AnswerLimit))
	var status Status
	err = json.NewDecoder(l.conn).Decode(&status)
	if errors.Is(err, io.EOF) { // somebody else is stopping it, and waits for that
		return false, nil
	}
	return status.Users == 0 && !status.Keep && status.Linger == 0, err
}
