// Package binaries obtains the programs that a sandbox runs and that Debian does not have: from the cache, from a prebuilt archive or,
// the first time on a machine, built from Go modules.
package binaries

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
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/devtools/gobuild"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/host"
	"github.com/candlefish/deploy-action/internal/tail"
)

// EnvCache names the environment variable with the directory of built binaries.
const EnvCache = "CANDLEFISH_CACHE"

const modulePath = "github.com/candlefish/deploy-action"

// Versions of what a sandbox runs.
const (
	KubernetesVersion = "v1.36.3"
	GatewayAPIVersion = "v1.4.1"
	IstioVersion      = "v1.32.0"
	TraefikVersion    = "v3.6.0"
	// The newest one that the Go proxy has.
	LoadOperatorVersion = "v0.0.19"
)

// Set is the paths of everything that a sandbox runs and that Debian does not have.
type Set struct {
	Kubernetes string `json:"kubernetes"` // one program for etcd and all of Kubernetes; the first argument chooses
	Gateway    string `json:"gateway"`    // Traefik
	Supervisor string `json:"supervisor"`
	Pause      string `json:"pause"`
	CRDs       string `json:"crds"` // the folder of the Gateway API's kinds
	Mesh       string `json:"mesh"` // the file of Istio's kinds
}

// A component is a program that takes minutes to build.
type component struct {
	name    string // of the program, and of what go build makes of pkg
	version string
	pkg     string // what to build in the module
}

// A bundle is components of one module. They are built by one go command, which compiles what they share once and has work for all
// processors until the end.
type bundle struct {
	module     string // its folder, from the root of ours
	ldflags    string
	components []component
}

const versionPackage = "k8s.io/component-base/version"

var cluster = bundle{
	module: "sandbox",
	// without these, clients see v0.0.0 and refuse to work with it
	ldflags: "-X " + versionPackage + ".gitVersion=" + KubernetesVersion + " -X " + versionPackage + ".gitMajor=1 -X " + versionPackage + ".gitMinor=36",
	components: []component{
		{"kubernetes", KubernetesVersion, "./kubernetes"},
		{"traefik", TraefikVersion, "github.com/traefik/traefik/v3/cmd/traefik"},
	},
}

// ingress is a controller that reads the annotations of ingress-nginx, for the tests that start one. It is a module of its own: with
// its versions in the sandbox's, all of Kubernetes would be built again.
var ingress = bundle{
	module:     "testdata/ingress",
	components: []component{{"traefik", "v3.7.13", "github.com/traefik/traefik/v3/cmd/traefik"}},
}

// Ingress returns the path of the ingress controller; the first time on a machine it is built.
func Ingress(ctx context.Context, opts Options) (string, error) {
	unlock, err := host.Lock(ctx, filepath.Join(opts.Cache, "build.lock"), func() { opts.Say("waiting for another process that builds the sandbox") })
	if err != nil {
		return "", err
	}
	defer unlock()
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	paths, err := ingress.obtain(ctx, opts, root)
	if err != nil {
		return "", err
	}
	return paths[0], nil
}

// loadOperator is Grafana's k6-operator, for the tests of distributed load.
var loadOperator = bundle{
	module:     "testdata/k6operator",
	components: []component{{"k6-operator", LoadOperatorVersion, "github.com/grafana/k6-operator"}},
}

// LoadOperator returns the path of k6-operator and of the folder with its kinds; the first time on a machine it is built.
func LoadOperator(ctx context.Context, opts Options) (program, crds string, err error) {
	unlock, err := host.Lock(ctx, filepath.Join(opts.Cache, "build.lock"), func() { opts.Say("waiting for another process that builds the sandbox") })
	if err != nil {
		return "", "", err
	}
	defer unlock()
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", "", err
	}
	paths, err := loadOperator.obtain(ctx, opts, root)
	if err != nil {
		return "", "", err
	}
	crds, err = moduleFile(ctx, root, "github.com/grafana/k6-operator@"+LoadOperatorVersion, "config", "crd", "bases")
	return paths[0], crds, err
}

// Cached reports whether the cache has all programs that take minutes to build.
func Cached(ctx context.Context, cache string) bool {
	root, err := moduleRoot(ctx)
	if err != nil {
		return false
	}
	places, err := cluster.places(cache, root)
	return err == nil && !slices.ContainsFunc(places, func(p place) bool { return !p.exists() })
}

// A place is where the cache has, or will have, one exact build of a component.
type place struct {
	component
	key, dir string
}

func (p place) path() string { return filepath.Join(p.dir, p.name) }

func (p place) exists() bool {
	_, err := os.Stat(p.path())
	return err == nil
}

func (b bundle) places(cache, root string) ([]place, error) {
	var places []place
	for _, c := range b.components {
		key, err := b.key(c, os.DirFS(filepath.Join(root, b.module)))
		if err != nil {
			return nil, err
		}
		places = append(places, place{c, key, filepath.Join(cache, c.name+"-"+key)})
	}
	return places, nil
}

// key names one exact build: the version, so that people can read it, and a hash of all that goes into it. Everything else follows from
// go.sum.
func (b bundle) key(c component, module fs.FS) (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %s %s %s %s\n", c.version, c.pkg, b.ldflags, runtime.GOARCH, runtime.Version())
	err := fs.WalkDir(module, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".go", ".mod", ".sum"}, filepath.Ext(file)) {
			return err
		}
		data, err := fs.ReadFile(module, file)
		fmt.Fprintf(hash, "%s %d\n%s", file, len(data), data)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hash the sources of %s: %w", c.name, err)
	}
	return c.version + "-" + runtime.GOARCH + "-" + hex.EncodeToString(hash.Sum(nil))[:12], nil
}

// CacheDir is where programs are kept: $CANDLEFISH_CACHE, else candlefish-sandbox in the user's cache directory.
func CacheDir() (string, error) {
	if dir := os.Getenv(EnvCache); dir != "" {
		return filepath.Abs(dir)
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the sandbox's binaries: %w; set %s", err, EnvCache)
	}
	return filepath.Join(user, "candlefish-sandbox"), nil
}

// Options say where programs are kept and who is told of the progress.
type Options struct {
	Cache string
	Say   func(format string, args ...any)
}

// Obtain returns what a sandbox runs, from the cache, from a prebuilt archive or, the first time, built from Go modules. An interrupted
// build goes on where it was, since Go's own cache has the packages that were done.
func Obtain(ctx context.Context, opts Options) (Set, error) {
	unlock, err := host.Lock(ctx, filepath.Join(opts.Cache, "build.lock"), func() { opts.Say("waiting for another process that builds the sandbox") })
	if err != nil {
		return Set{}, err
	}
	defer unlock()
	root, err := moduleRoot(ctx)
	if err != nil {
		return Set{}, err
	}
	paths, err := cluster.obtain(ctx, opts, root)
	if err != nil {
		return Set{}, err
	}
	set := Set{Kubernetes: paths[0], Gateway: paths[1]}
	if set.CRDs, err = moduleFile(ctx, root, "sigs.k8s.io/gateway-api@"+GatewayAPIVersion, "config", "crd", "standard"); err != nil {
		return set, err
	}
	if set.Mesh, err = moduleFile(ctx, root, "istio.io/api@"+IstioVersion, "kubernetes", "customresourcedefinitions.gen.yaml"); err != nil {
		return set, err
	}
	// These are ours and change with the code; the Go command knows best whether they are fresh.
	const cmd = "./internal/devtools/sandbox/cmd/"
	if set.Supervisor, err = buildStatic(ctx, root, cmd+"supervisor", opts.own("supervisor")); err != nil {
		return set, err
	}
	set.Pause, err = buildStatic(ctx, root, cmd+"pause", opts.own("pause"))
	return set, err
}

// obtain returns the programs of b, making those that the cache does not have. The caller holds the cache's lock.
func (b bundle) obtain(ctx context.Context, opts Options, root string) (paths []string, err error) {
	places, err := b.places(opts.Cache, root)
	if err != nil {
		return nil, err
	}
	var missing []place
	for _, p := range places {
		paths = append(paths, p.path())
		if !p.exists() {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return paths, nil
	}
	// Whoever left one of these was killed: the lock is ours.
	stale, err := filepath.Glob(filepath.Join(opts.Cache, ".building-*"))
	if err != nil {
		return nil, err
	}
	for _, s := range stale {
		if err := os.RemoveAll(s); err != nil {
			return nil, err
		}
	}
	tmp, err := os.MkdirTemp(opts.Cache, ".building-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := b.make(ctx, opts, filepath.Join(root, b.module), missing, tmp); err != nil {
		return nil, err
	}
	for _, p := range missing {
		if err := os.MkdirAll(p.dir, 0o755); err != nil {
			return nil, err
		}
		if err := os.Rename(filepath.Join(tmp, p.name), p.path()); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// make puts the programs into the folder out: prebuilt where there is one, else built.
func (b bundle) make(ctx context.Context, opts Options, module string, missing []place, out string) error {
	var packages, names []string
	for _, p := range missing {
		if p.download(ctx, opts, filepath.Join(out, p.name)) {
			continue
		}
		packages, names = append(packages, p.pkg), append(names, p.name+" "+p.version)
	}
	if len(packages) == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	what := strings.Join(names, " and ")
	opts.Say("building %s from Go modules, which takes minutes, once", what)
	err := gobuild.Program{
		Name: what, Dir: module, Packages: packages, Out: out + string(filepath.Separator), Flags: []string{"-ldflags=-s -w " + b.ldflags},
	}.Build(ctx, func(line string) { opts.Say("%s", line) })
	if err != nil {
		return fmt.Errorf("build %s: %w", what, err)
	}
	return nil
}

// download fetches the prebuilt program to out, if there is one.
func (p place) download(ctx context.Context, opts Options, out string) bool {
	archive, ok := findPrebuilt(p.name, p.key, os.Getenv)
	if !ok {
		return false
	}
	opts.Say("%s: downloading %s", p.name, archive.url)
	err := archive.fetch(ctx, out)
	if err != nil && ctx.Err() == nil {
		opts.Say("%s: building it, since the prebuilt one cannot be used: %v", p.name, err)
	}
	return err == nil
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

// moduleFile returns the path of a file or folder of a module, in Go's module cache.
func moduleFile(ctx context.Context, root, module string, path ...string) (string, error) {
	out, err := goOutput(ctx, root, "mod", "download", "-json", module)
	if err != nil {
		return "", err
	}
	var m struct{ Dir string }
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		return "", err
	}
	return filepath.Join(append([]string{m.Dir}, path...)...), nil
}

// own is where a program of this project is kept.
func (o Options) own(name string) string { return filepath.Join(o.Cache, "own", name) }

// Program builds a program of this project, static, and returns its content. pkg is a folder from the project's root, as in
// "./testdata/website". One process at a time builds a program.
func Program(ctx context.Context, cache, pkg string) ([]byte, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	name := path.Base(pkg)
	unlock, err := host.Lock(ctx, filepath.Join(cache, name+".lock"), func() {})
	if err != nil {
		return nil, err
	}
	defer unlock()
	file, err := buildStatic(ctx, root, pkg, Options{Cache: cache}.own(name))
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}

// buildStatic builds a static program for an image or for the host.
func buildStatic(ctx context.Context, root, pkg, out string) (string, error) {
	tmp := out + ".new" // a running program's file cannot be written to
	defer func() { _ = os.Remove(tmp) }()
	if _, err := goOutput(ctx, root, "build", "-ldflags=-s -w", "-o", tmp, pkg); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	return out, os.Rename(tmp, out)
}

func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), gobuild.Env()...)
	var errs tail.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("the Go toolchain is not installed, and the sandbox is built from sources: install Go, or " + host.Elsewhere)
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	return string(out), nil
}
