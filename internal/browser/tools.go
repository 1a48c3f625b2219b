package browser

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/tail"
)

//go:embed check.mjs launch.sh package.json package-lock.json
var files embed.FS

// minNode is the version that playwright-core requires.
const minNode = 20

// tools are the programs that the checks need.
type tools struct{ node, npm, chromium string }

// Available returns an error that lists the missing programs and how to install them.
func (c Checker) Available() error {
	_, err := c.find()
	return err
}

func (c Checker) find() (tools, error) {
	var t tools
	var missing, packages []string
	lacks := func(what, pkg string) {
		missing, packages = append(missing, what), append(packages, pkg)
	}
	var err error
	if t.node, err = exec.LookPath("node"); err != nil {
		lacks("node", "nodejs")
	} else if v, err := nodeVersion(t.node); err != nil {
		return t, err
	} else if v < minNode {
		lacks(fmt.Sprintf("node %d or later (it is %d)", minNode, v), "nodejs")
	}
	if t.npm, err = exec.LookPath("npm"); err != nil {
		lacks("npm", "npm")
	}
	if t.chromium, err = FindChromium(c.Chromium); err != nil {
		lacks(err.Error(), "chromium")
	}
	if len(missing) == 0 {
		return t, nil
	}
	return t, fmt.Errorf("the browser checks need %s; on Debian 13 or later: apt-get update && apt-get install --no-install-recommends %s",
		strings.Join(missing, ", "), strings.Join(packages, " "))
}

// FindChromium returns the absolute path of a browser's program: the named one, or with
// "" the first of chromium, chromium-browser and google-chrome in PATH.
func FindChromium(program string) (string, error) {
	names := []string{"chromium", "chromium-browser", "google-chrome"}
	if program != "" {
		names = []string{program}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", errors.New(strings.Join(names, " or "))
}

func nodeVersion(node string) (int, error) {
	out, err := exec.Command(node, "--version").Output() //nolint:noctx // it only prints its version
	if err != nil {
		return 0, fmt.Errorf("run %s --version: %w", node, err)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(out)), "v"), ".")
	v, err := strconv.Atoi(major)
	if err != nil {
		return 0, fmt.Errorf("run %s --version: unexpected output %q", node, out)
	}
	return v, nil
}

// modules are the installed script: its folder and its files.
type modules struct{ dir, script, launcher string }

// install installs the script and its modules into the cache, unless they are there.
// Modules are keyed by the hash of the lock file, scripts by their own.
func (c Checker) install(ctx context.Context, t tools) (modules, error) {
	var m modules
	cache, err := c.cacheDir()
	if err != nil {
		return m, err
	}
	m.dir = filepath.Join(cache, keyOf("package-lock.json"))
	unlock, err := lock(ctx, m.dir+".lock")
	if err != nil {
		return m, fmt.Errorf("wait for the cache of the browser checks: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(m.dir); errors.Is(err, fs.ErrNotExist) {
		if err := c.npm(ctx, t, m.dir); err != nil {
			return m, err
		}
	}
	if m.script, err = put(m.dir, "check.mjs", 0o600); err == nil {
		m.launcher, err = put(m.dir, "launch.sh", 0o700)
	}
	return m, err
}

// cacheDir creates the cache if necessary, and returns its absolute path.
func (c Checker) cacheDir() (string, error) {
	cache := c.Cache
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache of the browser checks: %w", err)
		}
		cache = filepath.Join(user, "candlefish-deploy-action", "browser")
	}
	cache, err := filepath.Abs(cache)
	if err != nil {
		return "", err
	}
	return cache, os.MkdirAll(cache, 0o700)
}

// npm installs into a folder beside dir and renames it when it is complete.
func (c Checker) npm(ctx context.Context, t tools, dir string) error {
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := os.Mkdir(partial, 0o700); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(partial) }()
	for _, name := range []string{"package.json", "package-lock.json"} {
		if err := os.WriteFile(filepath.Join(partial, name), content(name), 0o600); err != nil {
			return err
		}
	}
	c.logf("installing playwright-core, axe-core and pixelmatch with npm")
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := command(ctx, t.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = partial
	// The whole environment: it may contain the registry and its credentials. No
	// module's own code runs here.
	cmd.Env = append(os.Environ(), "NO_UPDATE_NOTIFIER=1")
	log := tail.Buffer{Limit: keptBytes}
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("npm ci: %w\n%s", err, log.Bytes())
	}
	return os.Rename(partial, dir)
}

// put writes one of our files into dir, under a name with its hash.
func put(dir, name string, mode fs.FileMode) (string, error) {
	ext := filepath.Ext(name)
	path := filepath.Join(dir, strings.TrimSuffix(name, ext)+"-"+keyOf(name)+ext)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.WriteFile(path+".partial", content(name), mode); err != nil {
		return "", err
	}
	return path, os.Rename(path+".partial", path)
}

func content(name string) []byte {
	raw, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return raw
}

func keyOf(name string) string {
	sum := sha256.Sum256(content(name))
	return hex.EncodeToString(sum[:8])
}
