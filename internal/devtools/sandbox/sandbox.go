// Package sandbox runs a real Kubernetes cluster on this machine: a control plane, a kubelet with real containers, two
// Gateway API gateways, an image registry and a Prometheus, for tests and for trying a delivery at home.
//
// All of a sandbox lives in namespaces of its own. One supervisor process is the first process of a PID namespace and owns a mount
// and a network namespace; every other process of the sandbox is below it. When the supervisor ends, for whatever reason,
// the kernel ends everything in its PID namespace, and with the last process go the mounts, the bridge, the veth pairs of the pods, the
// iptables chains and the pair that joins the sandbox to the host. So there is nothing to hunt for by name, and a kill -9 leaves only
// files and empty cgroups, which the next Up or Down removes.
//
// The gateways and Prometheus belong to the same PID namespace but listen in the host's network, on loopback, since that is where
// users and tests talk to them. They reach pods by a route through the joining pair.
//
// A sandbox keeps nothing from one run to the next but the binaries, which are built once into a cache (see Binaries). It is
// no place for anything that matters: etcd runs without fsync and the admin's key is in the kubeconfig.
package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// DefaultDir is where a sandbox keeps its files unless Options.Dir or EnvDir says otherwise.
const DefaultDir = "/var/lib/candlefish-sandbox"

// maxDir leaves room for the sockets in the directory, whose whole path may have 107 bytes.
const maxDir = 80

// EnvDir names the environment variable with the directory of the sandbox to use. `mage test` sets it so that all test binaries share
// the sandbox that it started.
const EnvDir = "CANDLEFISH_SANDBOX"

// Options says which sandbox is meant and how it lives. The zero value is the machine's default sandbox, kept until Down.
type Options struct {
	// Dir holds the sandbox's files; it belongs to the sandbox and is removed by Down. Default: $CANDLEFISH_SANDBOX, then DefaultDir.
	// Sandboxs in different directories run beside each other.
	Dir string

	// Cache holds the binaries. Default: $CANDLEFISH_CACHE, then candlefish-sandbox in the user's cache directory.
	Cache string

	// Ephemeral stops the sandbox when the last process that uses it has ended or called Close, killed ones included.
	// A sandbox that is already up for good stays up.
	Ephemeral bool

	// Linger is how long an ephemeral sandbox waits for another user before it stops.
	Linger time.Duration

	// Progress takes lines for people. Default: none are written.
	Progress io.Writer
}

func (o Options) withDefaults() (Options, error) {
	o.Dir = cmp.Or(o.Dir, os.Getenv(EnvDir), DefaultDir)
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, err
	}
	if len(dir) > maxDir {
		return o, fmt.Errorf("the sandbox's directory %s has %d characters, at most %d fit: sockets in it have a limit", dir, len(dir), maxDir)
	}
	o.Dir = dir
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Cache == "" {
		o.Cache, err = cacheDir()
	}
	return o, err
}

func (o Options) say(format string, args ...any) {
	fmt.Fprintf(o.Progress, "sandbox: "+format+"\n", args...)
}

// A Gateway is one Gateway object of the sandbox and where it listens.
type Gateway struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	URL       string `json:"url"` // its entry point on loopback, such as http://127.0.0.1:41234
}

// String returns "namespace/name".
func (g Gateway) String() string { return g.Namespace + "/" + g.Name }

// A Sandbox is a running sandbox. Its methods may be used by several goroutines.
type Sandbox struct {
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

	opts  Options
	lease *lease

	mu      sync.Mutex
	website []byte // the sample's program, once it is built
}

// Up returns the sandbox of opts.Dir, starting it if it is not there or not healthy. The first Up on a machine installs
// Debian packages and builds Kubernetes and the gateway, which takes minutes and says so on opts.Progress.
func Up(ctx context.Context, opts Options) (*Sandbox, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkHost(); err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, dirLock(opts.Dir), func() { opts.say("waiting for another process that changes %s", opts.Dir) })
	if err != nil {
		return nil, err
	}
	defer unlock()

	if s, err := attach(ctx, opts); err == nil {
		opts.say("already up in %s", opts.Dir)
		return s, nil
	} else if errors.Is(err, errInUse) {
		return nil, err
	} else if !errors.Is(err, errNotUp) {
		opts.say("starting anew: %v", err)
	}
	if err := clean(ctx, opts); err != nil {
		return nil, err
	}
	if err := checkDisk(opts); err != nil {
		return nil, err
	}
	if err := installPackages(ctx, opts); err != nil {
		return nil, err
	}
	bin, err := Binaries(ctx, opts)
	if err != nil {
		return nil, err
	}
	s, err := launch(ctx, opts, bin)
	if err != nil {
		return nil, fmt.Errorf("start sandbox in %s: %w", opts.Dir, err)
	}
	return s, nil
}

// Inspect looks at the sandbox of opts.Dir without changing it. No sandbox is not an error.
func Inspect(ctx context.Context, opts Options) (Status, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return Status{}, err
	}
	if err := checkHost(); err != nil {
		return Status{}, err
	}
	return inspect(ctx, opts)
}

// Down stops the sandbox of opts.Dir and removes what it left on the machine. Without a sandbox it does nothing.
func Down(ctx context.Context, opts Options) error {
	opts, err := opts.withDefaults()
	if err != nil {
		return err
	}
	if err := checkHost(); err != nil {
		return err
	}
	unlock, err := lockFile(ctx, dirLock(opts.Dir), func() { opts.say("waiting for another process that changes %s", opts.Dir) })
	if err != nil {
		return err
	}
	defer unlock()
	if err := clean(ctx, opts); err != nil {
		return fmt.Errorf("stop sandbox in %s: %w", opts.Dir, err)
	}
	opts.say("down")
	return nil
}

// errNotUp says that there is no sandbox at all, as opposed to one that is not healthy, and errInUse that the one that is not healthy
// must not be taken from its users: on an overloaded machine they may only have to wait.
var (
	errNotUp = errors.New("no sandbox is up")
	errInUse = errors.New("the sandbox is used")
)

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
