package lighthouse

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/perfsite"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// realJob is a first round of the real program with the machine's Chromium.
func realJob(t *testing.T, url string) meter.Job {
	t.Helper()
	tool := toolboxtest.Need(t, Name)[Name]
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	return meter.Job{
		URL: url, Pages: []string{"/"}, Devices: []meter.Device{meter.Desktop}, Rounds: 1, Workspace: t.TempDir(), Scratch: t.TempDir(), Chromium: chromium,
		Tools: map[string]meter.Tool{Name: {Command: slices.Concat([]string{tool.Program}, tool.Args), Version: tool.Version, Reads: tool.Reads}},
	}
}

// run runs commands of a job isolated, and joins what was read until one fails.
func run(t *testing.T, l Lighthouse, job meter.Job, commands []isolate.Command) (meter.Reading, error) {
	t.Helper()
	sandbox, err := isolate.Open(job.Workspace, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	var all meter.Reading
	for _, c := range commands {
		ran := sandbox.Run(t.Context(), c)
		t.Logf("%s: %s %d in %v, processor %v, %v %s %s", filepath.Base(c.Report), ran.Ending, ran.Status, ran.Took.Round(time.Millisecond), ran.CPU.Round(time.Millisecond), ran.Enforced, ran.Why, ran.Stderr)
		r, err := l.Read(job, c, ran)
		if err != nil {
			return all, err
		}
		all.Values, all.Gaps, all.Files = append(all.Values, r.Values...), append(all.Gaps, r.Gaps...), append(all.Files, r.Files...)
		all.Doubts, all.Notes, all.Versions = append(all.Doubts, r.Doubts...), append(all.Notes, r.Notes...), r.Versions
	}
	return all, nil
}

func commands(t *testing.T, l Lighthouse, job meter.Job) []isolate.Command {
	t.Helper()
	all, err := l.Commands(job)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func valueOf(r meter.Reading, subject, metric string) (float64, bool) {
	i := slices.IndexFunc(r.Values, func(v meter.Value) bool { return v.Subject == subject && v.Metric.Name == metric })
	if i < 0 {
		return 0, false
	}
	return r.Values[i].Value, true
}

// A whole round of the sample website, whose header only its own origin may see.
func TestARealRound(t *testing.T) {
	t.Parallel()
	handler, err := perfsite.Handler(perfsite.Options{Version: "7.1"})
	if err != nil {
		t.Fatal(err)
	}
	const secret = "not-for-others-4711"
	site := newGuarded(t, handler, secret)
	job := realJob(t, site.URL)
	job.Devices = []meter.Device{meter.Desktop, meter.Mobile}
	job.Header = http.Header{"X-Bypass": {secret}}
	l := Lighthouse{}
	r, err := run(t, l, job, commands(t, l, job))
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"/ desktop", "/ mobile"} {
		for _, metric := range append(slices.Clone(must), "performance", "seo", "resource-summary:total:size", "benchmark-index", "image-alt.score", "unused-javascript.bytes") {
			if v, ok := valueOf(r, subject, metric); !ok {
				t.Errorf("%s has no %s", subject, metric)
			} else {
				t.Logf("%s %s %v", subject, metric, v)
			}
		}
	}
	if len(r.Gaps)+len(r.Doubts) > 0 {
		t.Errorf("gaps %v, doubts %q", r.Gaps, r.Doubts)
	}
	if r.Versions[Name] != "13.5.0" || r.Versions["chrome"] == "" || !slices.Contains(r.Notes, `/ says that it is version "7.1"`) {
		t.Errorf("versions %v, notes %q", r.Versions, r.Notes)
	}
	site.check(t)
	checkFiles(t, job, r, secret)
}

// checkFiles looks at all that a round left in its folder.
func checkFiles(t *testing.T, job meter.Job, r meter.Reading, secret string) {
	t.Helper()
	if len(r.Files) != 4 {
		t.Errorf("%d files are kept: %v", len(r.Files), r.Files)
	}
	left, err := os.ReadDir(job.Scratch)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		raw, err := os.ReadFile(filepath.Join(job.Scratch, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(secret)) || strings.HasSuffix(f.Name(), ".job") {
			t.Errorf("%s is left, with the secret: %v", f.Name(), bytes.Contains(raw, []byte(secret)))
		}
		if strings.HasSuffix(f.Name(), ".html") && (bytes.Contains(raw, []byte(`<script src=`)) || bytes.Contains(raw, []byte(`<link rel="stylesheet"`))) {
			t.Errorf("%s needs other files", f.Name())
		}
	}
}

// What cannot be measured is an error that says why, at the first visit and without it.
func TestRealFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options      perfsite.Options
		first, later string // "" is not tried
	}{
		"down":     {perfsite.Options{Down: true}, "the page could not be loaded: net::ERR_CONNECTION_REFUSED", ""},
		"redirect": {perfsite.Options{RedirectLoop: true}, "the page redirects in a circle", ""},
		"tls":      {perfsite.Options{TLS: true}, "the browser does not accept the certificate: net::ERR_CERT_AUTHORITY_INVALID", "INSECURE_DOCUMENT_REQUEST"},
		"missing":  {perfsite.Options{Status: 404}, "the page answers with an error: status 404", ""},
		"silent":   {perfsite.Options{Delay: time.Hour}, "the page did not load in its time", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site, err := perfsite.Start(c.options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = site.Close() })
			l := Lighthouse{Load: 3 * time.Second}
			job := realJob(t, site.URL)
			all := commands(t, l, job)
			for i, want := range []string{c.first, c.later} {
				if want == "" {
					continue
				}
				r, err := run(t, l, job, all[i:i+1])
				if err == nil || !strings.Contains(err.Error(), want) || len(r.Values) > 0 {
					t.Errorf("%v, %d values, want %q", err, len(r.Values), want)
				}
				t.Log(err)
			}
		})
	}
}

func TestNoRealBrowser(t *testing.T) {
	t.Parallel()
	job := realJob(t, "http://127.0.0.1:9")
	job.Chromium = filepath.Join(t.TempDir(), "chromium")
	l := Lighthouse{}
	if _, err := run(t, l, job, commands(t, l, job)[1:]); err == nil || !strings.Contains(err.Error(), "status 1: start the browser: ") {
		t.Error(err)
	}
}

// A command whose time is over leaves no browser, no profile and no job with secrets.
func TestNothingIsLeftOfARealTimeout(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 100)
	site := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(site.Close)
	job := realJob(t, site.URL)
	job.Header = http.Header{"X-Bypass": {"not-for-others-4711"}}
	l := Lighthouse{}
	sandbox, err := isolate.Open(job.Workspace, nil)
	if err != nil {
		t.Fatal(err)
	}
	sandbox.Scratch = t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-arrived; cancel(errors.New("enough")) }() // the browser runs
	command := commands(t, l, job)[1]
	ran := sandbox.Run(ctx, command)
	if _, err := l.Read(job, command, ran); ran.Ending != isolate.Cancelled || err == nil {
		t.Errorf("%s, %v", ran.Ending, err)
	}
	if left := processesOf(t, sandbox.Scratch); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
	if left, err := os.ReadDir(sandbox.Scratch); err != nil || len(left) > 0 {
		t.Errorf("%v, %v are left", err, left)
	}
	if _, err := os.Stat(command.Args[1]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the job with the secret: %v", err)
	}
}

// A page whose picture never comes is measured with a doubt.
func TestARealPageThatIsNeverWhole(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>Waits</title><h1>Waits</h1><img alt="" src="/never">`))
	}))
	t.Cleanup(site.Close)
	job := realJob(t, site.URL)
	l := Lighthouse{Load: 4 * time.Second}
	r, err := run(t, l, job, commands(t, l, job)[1:])
	if err != nil || !slices.ContainsFunc(r.Doubts, func(d string) bool { return strings.Contains(d, "too slowly to finish") }) {
		t.Errorf("%v, doubts %q", err, r.Doubts)
	}
}

// processesOf returns the command lines that name a folder.
func processesOf(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(paths) == 0 {
		t.Fatal("there is no /proc")
	}
	var all []string
	for _, path := range paths {
		if raw, err := os.ReadFile(path); err == nil && strings.Contains(string(raw), folder) {
			all = append(all, string(raw))
		}
	}
	return all
}
