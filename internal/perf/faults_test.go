package perf

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/perfsite"
	"github.com/candlefish/deploy-action/internal/meter/meters"
	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// Real faults of pages and scripts, with the real tools: no run is a pass, each meter
// that cannot be believed says why, and no limit is needed for that.
func TestRealFaults(t *testing.T) {
	t.Parallel()
	toolboxtest.Need(t, "k6", "lighthouse", "playwright")
	site, secure := started(t, perfsite.Options{}), started(t, perfsite.Options{TLS: true})
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }))
	t.Cleanup(loop.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	const pages, all = "lighthouse\njourney", "lighthouse\njourney\nload"
	const once = "import http from 'k6/http';\nexport const options = { iterations: 1 };\nexport default function () { %s }\n"
	for _, c := range []struct {
		name, url, meters, script string
		args                      []string
		status                    string
		unmeasured                map[string]string // what is said of each meter
		says                      string
	}{
		{"no browser", site, pages, "", []string{"--chrome=/nonexistent"}, "inconclusive", map[string]string{"lighthouse": "there is no browser", "journey": "there is no browser"}, "/nonexistent"},
		{"page down", gone.URL, all, "", nil, "refused", map[string]string{"lighthouse": "CONNECTION_REFUSED", "journey": "the journey failed", "load": "connection refused"}, "the page is down: nothing accepts connections there"},
		{"redirect loop", loop.URL, all, "", nil, "refused", map[string]string{"lighthouse": "redirects in a circle", "journey": "the journey failed", "load": "no page was answered with a status of 2xx"}, "its redirects never end"},
		{"certificate", secure, all, "", nil, "refused", map[string]string{"lighthouse": "does not accept the certificate", "journey": "the journey failed", "load": "certificate"}, "nobody whom this machine trusts has signed its certificate"},
		{"script throws", site, "load", "http.get(__ENV.BASE_URL + '/'); throw new Error('out of paint')", nil, "inconclusive", map[string]string{"load": "out of paint"}, ""},
		{"script does not parse", site, "load", "let let = ;", nil, "inconclusive", map[string]string{"load": "the script has an error: own.js"}, ""},
		{"script asks nothing", site, "load", " ", nil, "inconclusive", map[string]string{"load": "k6 made no request"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := append([]string{"--url=" + c.url, "--meters=" + c.meters, "--dir=" + dir, "--report-dir=" + t.TempDir(), "--devices=mobile", "--runs=1", "--duration=10s",
				"--users=2", "--default-budgets=false"}, c.args...)
			if c.script != "" {
				args = append(args, "--scenarios=own.js")
			}
			if err := os.WriteFile(filepath.Join(dir, "own.js"), []byte(strings.Replace(once, "%s", c.script, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			p := program{now: time.Now, after: time.After, environ: os.Environ(), meters: meters.All, openTools: openToolbox, cache: cacheDir, sandbox: sandbox}
			code, out, outputs := ran(t, p, args...)
			if code != 3 || outputs["status"] != c.status || !strings.Contains(out, c.says) {
				t.Errorf("exit status %d, verdict %q:\n%s", code, outputs["status"], out)
			}
			said := map[string]string{}
			for line := range strings.Lines(outputs["unmeasured"]) {
				name, why, _ := strings.Cut(line, ": ")
				said[name] = why
			}
			for name, want := range c.unmeasured {
				if !strings.Contains(said[name], want) {
					t.Errorf("%s says %q, want %q in it", name, said[name], want)
				}
			}
		})
	}
}

// started starts the sample website.
func started(t *testing.T, o perfsite.Options) string {
	t.Helper()
	site, err := perfsite.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	return site.URL
}
