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
// A sandbox keeps nothing from one run to the next but the binaries, which are built once into a cache (package binaries). It is
// no place for anything that matters: etcd runs without fsync and the admin's key is in the kubeconfig.
package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/binaries"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/host"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/manifest"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
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
	// Sandboxes in different directories run beside each other.
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
	o.Progress = &lines{w: o.Progress}
	if o.Cache == "" {
		o.Cache, err = binaries.CacheDir()
	}
	return o, err
}

// lines is a writer for several goroutines.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (o Options) say(format string, args ...any) {
	fmt.Fprintf(o.Progress, "sandbox: "+format+"\n", args...)
}

// A Gateway is one Gateway object of the sandbox and where it listens.
type Gateway = control.Gateway

// Status is what Inspect found.
type Status = control.Status

// A Sandbox is a running sandbox. Its methods may be used by several goroutines.
type Sandbox struct {
	control.Serving

	opts  Options
	lease *control.Lease

	mu       sync.Mutex
	programs map[string][]byte // what Program has built
}

// Program builds a program of this project for an image, static, and returns its content. pkg is a folder from the project's root, as
// in "./testdata/website". It builds once for each Sandbox value.
func (s *Sandbox) Program(ctx context.Context, pkg string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if program := s.programs[pkg]; program != nil {
		return program, nil
	}
	opts, err := s.opts.withDefaults()
	if err != nil {
		return nil, err
	}
	program, err := binaries.Program(ctx, opts.Cache, pkg)
	if err != nil {
		return nil, err
	}
	if s.programs == nil {
		s.programs = map[string][]byte{}
	}
	s.programs[pkg] = program
	return program, nil
}

// IngressController returns the path of a controller that reads the annotations of ingress-nginx. No sandbox runs it; who needs it starts
// it, with KUBECONFIG in its environment.
func (s *Sandbox) IngressController(ctx context.Context) (string, error) {
	opts, err := s.opts.withDefaults()
	if err != nil {
		return "", err
	}
	return binaries.Ingress(ctx, binaries.Options{Cache: opts.Cache, Say: opts.say})
}

// LoadOperator returns the path of k6-operator's program and of the folder with its kinds. No sandbox runs it; package loadoperator starts
// it.
func (s *Sandbox) LoadOperator(ctx context.Context) (program, crds string, err error) {
	opts, err := s.opts.withDefaults()
	if err != nil {
		return "", "", err
	}
	return binaries.LoadOperator(ctx, binaries.Options{Cache: opts.Cache, Say: opts.say})
}

// Apply applies the objects of a YAML stream by server-side apply. It knows the kinds that a sandbox has use for.
func (s *Sandbox) Apply(ctx context.Context, stream []byte) error {
	c, err := manifest.Connect(s.Kubeconfig)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Apply(ctx, stream)
}

// DeleteNamespace deletes a namespace with all in it, without waiting for the end of that. One that is not there is fine.
func (s *Sandbox) DeleteNamespace(ctx context.Context, name string) error {
	c, err := manifest.Connect(s.Kubeconfig)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Remove(ctx, "/api/v1/namespaces/"+name)
}

// Up returns the sandbox of opts.Dir, starting it if it is not there or not healthy. The first Up on a machine installs
// Debian packages and builds Kubernetes and the gateway, which takes minutes and says so on opts.Progress.
func Up(ctx context.Context, opts Options) (*Sandbox, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := host.Check(); err != nil {
		return nil, err
	}
	unlock, err := host.Lock(ctx, host.DirLock(opts.Dir), func() { opts.say("waiting for another process that changes %s", opts.Dir) })
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
	if err := network.Check(); err != nil {
		return nil, err
	}
	if err := checkDisk(ctx, opts); err != nil {
		return nil, err
	}
	bin, err := prepare(ctx, opts)
	if err != nil {
		return nil, err
	}
	s, err := launch(ctx, opts, bin)
	if err != nil {
		return nil, fmt.Errorf("start sandbox in %s: %w", opts.Dir, err)
	}
	return s, nil
}

// prepare installs packages while it obtains the programs: one waits for the network, the other for the processors.
func prepare(ctx context.Context, opts Options) (binaries.Set, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := host.InstallPackages(ctx, opts.say); err != nil {
			cancel(err)
		}
	})
	bin, err := binaries.Obtain(ctx, binaries.Options{Cache: opts.Cache, Say: opts.say})
	if err != nil {
		cancel(err)
	}
	wg.Wait()
	return bin, context.Cause(ctx)
}

// Room that a sandbox needs: for its own files, and for a first build.
const (
	diskForSandbox = 2 << 30
	diskForBuild   = 10 << 30
)

// checkDisk refuses a start that would fill the disk half way.
func checkDisk(ctx context.Context, opts Options) error {
	err := host.CheckDisk(filepath.Dir(opts.Dir), diskForSandbox)
	if !binaries.Cached(ctx, opts.Cache) {
		err = errors.Join(err, host.CheckDisk(opts.Cache, diskForBuild))
	}
	return err
}

// Inspect looks at the sandbox of opts.Dir without changing it. No sandbox is not an error.
func Inspect(ctx context.Context, opts Options) (Status, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return Status{}, err
	}
	if err := host.Check(); err != nil {
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
	if err := host.Check(); err != nil {
		return err
	}
	unlock, err := host.Lock(ctx, host.DirLock(opts.Dir), func() { opts.say("waiting for another process that changes %s", opts.Dir) })
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
