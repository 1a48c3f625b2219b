package toolbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/tail"
)

// buildGo builds a program of a Go module into out. The Go command verifies each
// module by the checksum database.
func (b *Box) buildGo(ctx context.Context, e Entry, partial, out string, p *progress) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	goCommand, err := b.environ.look("go")
	if err != nil {
		return errors.New("the go command is not in the PATH")
	}
	env := b.environ.forGo(e, out)
	p.is("downloading its module")
	dir, err := download(ctx, goCommand, env, e)
	if err != nil {
		return err
	}
	p.is("building it")
	flags := []string{"-trimpath", "-v", "-ldflags=" + strings.TrimSpace("-s -w "+e.LDFlags)}
	pkg := strings.TrimSuffix(e.Module+"/"+e.Package, "/.")
	cmd := exec.CommandContext(ctx, goCommand, append(append([]string{"install"}, flags...), pkg+"@v"+e.Version)...)
	cmd.Dir = partial
	if e.Copied {
		src := filepath.Join(partial, "source")
		if err := copyModule(src, dir); err != nil {
			return err
		}
		flags = append(flags, "-mod=readonly", "-buildvcs=false", "-o", filepath.Join(out, e.Name))
		cmd = exec.CommandContext(ctx, goCommand, append(append([]string{"build"}, flags...), "./"+e.Package)...)
		cmd.Dir = src
	}
	cmd.Env = env
	if err := p.run(cmd); err != nil {
		return err
	}
	if err := e.verifyBuild(filepath.Join(out, e.Name)); err != nil {
		return fmt.Errorf("verify what was built: %w", err)
	}
	return nil
}

// goEnv is the environment of the Go command: the places of its caches and the ways
// to the network, no settings that would change what is built, and the checksum
// database on.
func (e environment) forGo(entry Entry, out string) []string {
	env := []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOENV=off", "GOBIN=" + out, "GOEXPERIMENT=" + entry.Experiment}
	if v := e.get("GOSUMDB"); v != "" && v != "off" {
		env = append(env, "GOSUMDB="+v)
	}
	for _, name := range []string{"GOPROXY", "GOPATH", "GOMODCACHE", "GOCACHE", "GOTOOLCHAIN", "GOMAXPROCS", "GOMEMLIMIT"} {
		if v := e.get(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return append(env, e.common()...)
}

// common is what all installations have in their environment.
func (e environment) common() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"} {
		if v := e.get(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// download fetches a module, compares its sum with the lock, and returns its folder.
func download(ctx context.Context, goCommand string, env []string, e Entry) (string, error) {
	cmd := exec.CommandContext(ctx, goCommand, "mod", "download", "-json", e.Module+"@v"+e.Version)
	cmd.Env, cmd.Dir, cmd.WaitDelay = env, os.TempDir(), 5*time.Second
	log := &tail.Buffer{}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, log
	runErr := cmd.Run()
	var m struct{ Dir, Sum, Error string }
	if err := json.Unmarshal(out.Bytes(), &m); err != nil || m.Error != "" || runErr != nil {
		return "", fmt.Errorf("download %s@v%s: %w\n%s%s", e.Module, e.Version, errors.Join(runErr, ctx.Err()), m.Error, log.Bytes())
	}
	if m.Sum != e.Sum {
		return "", fmt.Errorf("download %s@v%s: its checksum is %s, the lock file has %s", e.Module, e.Version, m.Sum, e.Sum)
	}
	return m.Dir, nil
}

// copyModule copies a module out of the cache, whose files cannot be written.
func copyModule(to, from string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return fmt.Errorf("copy the module: %w", err)
	}
	return writable(to)
}

// installNPM installs the packages of an embedded lock file into out. npm compares
// each with the checksum there; no code of theirs runs.
func (b *Box) installNPM(ctx context.Context, e Entry, out string, p *progress) error {
	ctx, cancel := context.WithTimeout(ctx, npmLimit)
	defer cancel()
	npm, err := b.environ.look("npm")
	if err != nil {
		return errors.New("npm is not in the PATH: install Node.js 22 or later")
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		raw, err := files.ReadFile(e.Folder + "/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, name), raw, 0o600); err != nil {
			return err
		}
	}
	p.is("installing its packages")
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir, cmd.Env = out, append(b.environ.common(), "NO_UPDATE_NOTIFIER=1")
	for _, name := range []string{"NPM_CONFIG_REGISTRY", "npm_config_registry", "NPM_CONFIG_USERCONFIG", "npm_config_userconfig", "NPM_CONFIG_CACHE", "npm_config_cache"} {
		if v := b.environ.get(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	if err := p.run(cmd); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(out, e.Script)); err != nil {
		return fmt.Errorf("npm ci: %w", err)
	}
	return nil
}

// progress is how far an installation is.
type progress struct {
	name  string
	began time.Time

	mu    sync.Mutex
	doing string
	lines int
	tail  tail.Buffer
}

func (p *progress) is(doing string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing, p.lines = doing, 0
}

// Write takes what the program prints: "go build -v" a line for each package.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines += bytes.Count(text, []byte("\n"))
	return p.tail.Write(text)
}

// String is a line of progress.
func (p *progress) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf("%s: %s, %s", p.name, p.doing, time.Since(p.began).Round(time.Second))
	if p.lines > 0 {
		text += fmt.Sprintf(", %d lines", p.lines)
	}
	return text
}

// every says how far it is until stop is called.
func (p *progress) every(interval time.Duration, say func(string)) (stop func()) {
	tick, done, gone := time.NewTicker(interval), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				say(p.String())
			}
		}
	}()
	return func() { tick.Stop(); close(done); <-gone }
}

// run runs a program that takes long. An error has the end of what it printed.
func (p *progress) run(cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = p, p
	// Interrupted, the Go command ends its compilers too.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(cmd.Path), cmd.Args[1], err, p.tail.Bytes())
	}
	return nil
}

// writable lets the user write in a copy of the module cache.
func writable(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()|0o600)
	})
}

func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = writable(dir)
	return os.RemoveAll(dir)
}
