package sandbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/devtools/gobuild"
	"github.com/candlefish/deploy-action/internal/tail"
)

// EnvCache names the environment variable with the directory of built binaries.
const EnvCache = "CANDLEFISH_CACHE"

const modulePath = "github.com/candlefish/deploy-action"

// Versions of what a sandbox runs.
const (
	KubernetesVersion = "v1.36.3"
	GatewayAPIVersion = "v1.4.1"
	TraefikVersion    = "v3.6.0"
)

// BinarySet is the paths of everything that a sandbox runs and that Debian does not have.
type BinarySet struct {
	Kubernetes string `json:"kubernetes"` // one program for etcd and all of Kubernetes; the first argument chooses
	Gateway    string `json:"gateway"`    // Traefik
	Supervisor string `json:"supervisor"`
	Pause      string `json:"pause"`
	CRDs       string `json:"crds"` // the folder of the Gateway API's kinds
}

// component is a program that takes minutes to build, from a nested module.
type component struct {
	name    string
	version string
	module  string // folder of the nested module, from the root of ours
	pkg     string // what to build in it
	ldflags string
}

const versionPackage = "k8s.io/component-base/version"

var components = []component{
	{
		name: "kubernetes", version: KubernetesVersion, module: "sandbox/kubernetes", pkg: ".",
		// without these, clients see v0.0.0 and refuse to work with it
		ldflags: "-X " + versionPackage + ".gitVersion=" + KubernetesVersion + " -X " + versionPackage + ".gitMajor=1 -X " + versionPackage + ".gitMinor=36",
	},
	{name: "gateway", version: TraefikVersion, module: "sandbox/gateway", pkg: "github.com/traefik/traefik/v3/cmd/traefik"},
}

// path is where the cache has the component's program, once it is known from which sources it is built. It is what checkDisk asks.
func (c component) path(cache string) string {
	root, err := moduleRoot(context.Background())
	if err != nil {
		return ""
	}
	key, err := c.key(os.DirFS(filepath.Join(root, c.module)))
	if err != nil {
		return ""
	}
	return filepath.Join(cache, c.name+"-"+key, c.name)
}

// key names one exact build: the version, so that people can read it, and a hash of all that goes into it. Everything else follows from
// go.sum.
func (c component) key(module fs.FS) (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %s %s %s %s\n", c.version, c.pkg, c.ldflags, runtime.GOARCH, runtime.Version())
	err := fs.WalkDir(module, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".go", ".mod", ".sum"}, filepath.Ext(path)) {
			return err
		}
		data, err := fs.ReadFile(module, path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(data), data)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hash the sources of %s: %w", c.name, err)
	}
	return c.version + "-" + runtime.GOARCH + "-" + hex.EncodeToString(hash.Sum(nil))[:12], nil
}

func cacheDir() (string, error) {
	if dir := os.Getenv(EnvCache); dir != "" {
		return filepath.Abs(dir)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the sandbox's binaries: %w; set %s", err, EnvCache)
	}
	return filepath.Join(user, "candlefish-sandbox"), nil
}

// Binaries returns what a sandbox runs, from the cache, from a prebuilt archive or, the first time, built from Go modules. An interrupted
// build goes on where it was, since Go's own cache has the packages that were done.
func Binaries(ctx context.Context, opts Options) (BinarySet, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return BinarySet{}, err
	}
	unlock, err := lockFile(ctx, filepath.Join(opts.Cache, "build.lock"), func() { opts.say("waiting for another process that builds the sandbox") })
	if err != nil {
		return BinarySet{}, err
	}
	defer unlock()
	root, err := moduleRoot(ctx)
	if err != nil {
		return BinarySet{}, err
	}
	var paths [2]string
	for i, c := range components {
		if paths[i], err = c.obtain(ctx, opts, root); err != nil {
			return BinarySet{}, err
		}
	}
	set := BinarySet{Kubernetes: paths[0], Gateway: paths[1]}
	if set.CRDs, err = gatewayKinds(ctx, root); err != nil {
		return set, err
	}
	// These are ours and change with the code; the Go command knows best whether they are fresh.
	if set.Supervisor, err = buildOwn(ctx, opts, root, "supervisor"); err != nil {
		return set, err
	}
	set.Pause, err = buildOwn(ctx, opts, root, "pause")
	return set, err
}

// obtain returns the program of c, making it if the cache does not have it. The caller holds the cache's lock.
func (c component) obtain(ctx context.Context, opts Options, root string) (string, error) {
	module := filepath.Join(root, c.module)
	key, err := c.key(os.DirFS(module))
	if err != nil {
		return "", err
	}
	dir := filepath.Join(opts.Cache, c.name+"-"+key)
	path := filepath.Join(dir, c.name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// Whoever left one of these was killed: the lock is ours.
	stale, err := filepath.Glob(filepath.Join(opts.Cache, ".building-*"))
	if err != nil {
		return "", err
	}
	for _, s := range stale {
		if err := os.RemoveAll(s); err != nil {
			return "", err
		}
	}
	tmp, err := os.MkdirTemp(opts.Cache, ".building-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := c.make(ctx, opts, module, key, filepath.Join(tmp, c.name)); err != nil {
		return "", fmt.Errorf("build %s %s: %w", c.name, c.version, err)
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", err
	}
	return path, os.Rename(tmp, dir)
}

// make puts the program at out: prebuilt if there is one, else built.
func (c component) make(ctx context.Context, opts Options, module, key, out string) error {
	if archive, ok := findPrebuilt(c.name, key, os.Getenv); ok {
		opts.say("%s: downloading %s", c.name, archive.url)
		err := archive.fetch(ctx, out)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		opts.say("%s: building it, since the prebuilt one cannot be used: %v", c.name, err)
	}
	opts.say("%s: %s is built from Go modules once, which takes minutes", c.name, c.version)
	return gobuild.Program{
		Name: c.name, Dir: module, Package: c.pkg, Out: out,
		Flags: []string{"-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w " + c.ldflags},
	}.Build(ctx, func(line string) { opts.say("%s", line) })
}

// moduleRoot is the folder of this project's sources, found from the working directory.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := goOutput(ctx, "", "list", "-m", "-f", "{{.Path}}\t{{.Dir}}")
	if err != nil {
		return "", fmt.Errorf("find the sources of %s, which the sandbox is built from: %w", modulePath, err)
	}
	path, dir, _ := strings.Cut(strings.TrimSpace(out), "\t")
	if path != modulePath {
		return "", fmt.Errorf("the sandbox is built from the sources of %s, run it in their folder: this one is of %s", modulePath, cmp.Or(path, "no module"))
	}
	return dir, nil
}

// gatewayKinds returns the folder with the Gateway API's kinds, in Go's module cache.
func gatewayKinds(ctx context.Context, root string) (string, error) {
	out, err := goOutput(ctx, root, "mod", "download", "-json", "sigs.k8s.io/gateway-api@"+GatewayAPIVersion)
	if err != nil {
		return "", err
	}
	var m struct{ Dir string }
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		return "", err
	}
	return filepath.Join(m.Dir, "config", "crd", "standard"), nil
}

// buildOwn builds a program of this package's folders.
func buildOwn(ctx context.Context, opts Options, root, name string) (string, error) {
	return buildStatic(ctx, root, "./internal/devtools/sandbox/"+name, filepath.Join(opts.Cache, "own", name))
}

// buildStatic builds a static program for an image or for the host.
func buildStatic(ctx context.Context, root, pkg, out string) (string, error) {
	tmp := out + ".new" // a running program's file cannot be written to
	defer os.Remove(tmp)
	if _, err := goOutput(ctx, root, "build", "-trimpath", "-ldflags", "-s -w", "-o", tmp, pkg); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	return out, os.Rename(tmp, out)
}

func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	var errs tail.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("the Go toolchain is not installed, and the sandbox is built from sources: install Go, or " + elsewhere)
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	return string(out), nil
}
