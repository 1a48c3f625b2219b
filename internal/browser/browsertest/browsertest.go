// Package browsertest opens pages of tests in this machine's Chromium.
package browsertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/browser"
)

// Need installs what is missing of Chromium, node and npm, which takes root.
func Need(t *testing.T) {
	t.Helper()
	if (browser.Checker{}).Available() == nil {
		return
	}
	for _, args := range [][]string{{"update", "-q"}, {"install", "-q", "-y", "--no-install-recommends", "chromium", "nodejs", "npm"}} {
		cmd := exec.CommandContext(t.Context(), "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("apt-get %s: %v\n%s", args[0], err, out[max(0, len(out)-4000):])
		}
	}
}

// Serve serves a page on loopback, without a policy of its own, and returns its server.
func Serve(t *testing.T, page []byte) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page)
	}))
	t.Cleanup(s.Close)
	return s
}

// Accessible fails on what axe-core finds wrong with pages, on a desktop and a phone.
// It returns the folder of the browser's modules, for [Script].
func Accessible(t *testing.T, pages ...browser.Page) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "candlefish-deploy-action", "browser")
	results, err := browser.Checker{Cache: cache, Logf: t.Logf}.Run(t.Context(), browser.Options{Pages: pages, Accessibility: true, Out: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != "" || len(r.Violations) > 0 {
			t.Errorf("%s in %s: %s %+v", r.Page, r.Viewport, r.Err, r.Violations)
		}
	}
	_, file, _, _ := runtime.Caller(0)
	lock, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	return filepath.Join(cache, hex.EncodeToString(sum[:8]))
}

// Script runs a node script with the modules, the browser and more arguments, and
// returns what it printed.
func Script(t *testing.T, script, modules string, args ...string) []byte {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", append([]string{script, modules, chromium}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return out
}
