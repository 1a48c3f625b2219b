// Package lighthouse measures pages with Google's Lighthouse: lab values of loading,
// scores of categories and audits.
//
// A small script (audit.mjs) calls Lighthouse's own API in its node, with a Chromium
// that it starts, and writes Lighthouse's JSON and HTML reports as they are. Nothing of
// a page or of a report is trusted: the report must be of the page, the device and the
// settings that were asked for. What it lacks is a gap, never a value.
package lighthouse

import (
	_ "embed" // the script
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/chromium"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// Name is the meter's name, and that of its tool.
const Name = "lighthouse"

//go:embed audit.mjs
var script []byte

// A Lighthouse measures by Lighthouse 10 to 13.
type Lighthouse struct {
	// Load is how long a page may load; 0 is 45 s, as in Lighthouse. It paints
	// something within two thirds of it, or has failed.
	Load time.Duration
}

var (
	_ meter.Program = Lighthouse{}
	_ meter.Chooser = Lighthouse{}
)

// Limits. Chromium and Lighthouse need 0.6 GiB for a page of 13 kB, counted as package
// isolate counts: what belongs to no file, shared memory once for each process.
const (
	defaultLoad = 45 * time.Second
	beside      = 75 * time.Second // of a command, for the start, the audits and the end
	memory      = 4 << 30
)

// About implements meter.Meter.
func (Lighthouse) About() meter.About {
	return meter.About{
		Name: Name, Does: "Lighthouse audits of pages", Tools: []string{Name}, Browser: true, Network: true,
		Memory: memory, Time: time.Hour, ByURL: true,
	}
}

// Applies implements meter.Meter.
func (Lighthouse) Applies(job meter.Job) (bool, string) {
	switch {
	case job.URL == "":
		return false, "no URL"
	case len(job.Pages) == 0 || len(job.Devices) == 0:
		return false, "no pages"
	}
	return true, plain.Count(len(job.Pages), "page") + " on " + plain.Count(len(job.Devices), "device")
}

// Problems implements meter.Meter.
func (Lighthouse) Problems(job meter.Job) []error {
	if job.URL == "" {
		return nil
	}
	base, err := url.Parse(job.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return []error{fmt.Errorf("URL %q: want http:// or https:// and a host", job.URL)}
	}
	var wrong []error
	seen := map[string]bool{}
	for _, page := range job.Pages {
		u, err := url.Parse(job.URL + page)
		if !strings.HasPrefix(page, "/") || err != nil || origin(u) != origin(base) || u.Fragment != "" {
			wrong = append(wrong, fmt.Errorf("page %q: want a path of the site, such as /about", page))
		} else if seen[page] {
			wrong = append(wrong, fmt.Errorf("page %q is there twice", page))
		}
		seen[page] = true
	}
	for _, d := range job.Devices {
		if _, ok := devices[d]; !ok {
			wrong = append(wrong, fmt.Errorf("device %q: want desktop or mobile", d))
		}
	}
	if err := checkHeader(job.Header); err != nil {
		wrong = append(wrong, err)
	}
	return wrong
}

// checkHeader names the header, and never its value.
func checkHeader(h http.Header) error {
	for name, values := range h {
		if len(values) == 0 || name == "" || strings.ContainsAny(name, " :\r\n\x00") {
			return fmt.Errorf("header %q has no name or no value", name)
		}
		if strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
			return fmt.Errorf("header %s: its value has more than one line", name)
		}
	}
	return nil
}

// origin is the scheme, host and port of a URL, as browsers compare them.
func origin(u *url.URL) string {
	port := u.Port()
	if u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		port = ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// A view is one command: a page on a device, or the first visit of a page.
type view struct {
	page   string
	device meter.Device // "" for a visit
	number int
}

func (v view) visit() bool { return v.device == "" }

func (v view) subject() string { return v.page + " " + string(v.device) }

// path is a file of the view, below the scratch folder of its round.
func (v view) path(job meter.Job, ending string) string {
	name := fmt.Sprintf("lighthouse-%d-%s", v.number, v.device)
	if v.visit() {
		name = fmt.Sprintf("visit-%d", v.number)
	}
	return filepath.Join(job.Scratch, name+ending)
}

// views are what a round runs, in order. Before the first one each page is visited, so
// that nobody measures how a preview starts.
func views(job meter.Job) []view {
	var all []view
	for i, page := range job.Pages {
		if job.Round == 0 {
			all = append(all, view{page: page, number: i})
		}
		for _, d := range job.Devices {
			all = append(all, view{page: page, device: d, number: i})
		}
	}
	return all
}

// Commands implements meter.Program. It writes the script and its jobs into the scratch
// folder; the script removes its job, which has the secret headers, before it starts
// the browser.
func (l Lighthouse) Commands(job meter.Job) ([]isolate.Command, error) {
	tool, ok := job.Tools[Name]
	if !ok || len(tool.Command) < 2 || job.Chromium == "" {
		return nil, errors.New("run lighthouse: no tool or no browser is known")
	}
	if wrong := l.Problems(job); len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	file := filepath.Join(job.Scratch, "audit.mjs")
	if err := os.WriteFile(file, script, 0o600); err != nil {
		return nil, fmt.Errorf("write the script for Lighthouse: %w", err)
	}
	var all []isolate.Command
	for _, v := range views(job) {
		raw, err := json.Marshal(l.order(job, tool, v))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(v.path(job, ".job"), raw, 0o600); err != nil {
			return nil, fmt.Errorf("write a job for Lighthouse: %w", err)
		}
		all = append(all, isolate.Command{
			Program: tool.Command[0], Args: []string{file, v.path(job, ".job")}, Env: tool.Env, Dir: job.Scratch,
			Network: true, Reads: slices.Concat(tool.Reads, chromium.Reads(job.Chromium)), Writes: []string{job.Scratch},
			Time: l.load() + beside, Memory: memory, Report: v.path(job, ".json"),
		})
	}
	return all, nil
}

func (l Lighthouse) load() time.Duration {
	if l.Load > 0 {
		return l.Load
	}
	return defaultLoad
}

// An order is the script's job.
type order struct {
	Lighthouse    string            `json:"lighthouse"` // the script of its command line
	URL           string            `json:"url"`
	Headers       map[string]string `json:"headers"` // by names in lower case; secret
	Visit         bool              `json:"visit"`
	VisitMS       int64             `json:"visitMS"`
	JSON          string            `json:"json"`
	HTML          string            `json:"html"`
	Chromium      string            `json:"chromium"`
	ChromiumFlags []string          `json:"chromiumFlags"`
	Flags         *flags            `json:"flags,omitempty"`
}

// flags are settings of Lighthouse.
type flags struct {
	Categories       []string   `json:"onlyCategories"`
	FormFactor       string     `json:"formFactor"`
	Screen           screen     `json:"screenEmulation"`
	ThrottlingMethod string     `json:"throttlingMethod"`
	Throttling       throttling `json:"throttling"`
	UserAgent        string     `json:"emulatedUserAgent"`
	Locale           string     `json:"locale"`
	LoadMS           int64      `json:"maxWaitForLoad"`
	PaintMS          int64      `json:"maxWaitForFcp"`
	NoScreenshot     bool       `json:"disableFullPageScreenshot"`
}

// chromiumFlags are for a browser that connects to the page only, and does nothing
// beside it: those of chrome-launcher, with which Lighthouse's command line starts it.
// Root cannot have Chromium's own sandbox, and in a container nobody can: package
// isolate is around it.
var chromiumFlags = []string{
	"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-default-browser-check", "--disable-dev-shm-usage",
	"--disable-background-networking", "--disable-component-update", "--disable-component-extensions-with-background-pages", "--disable-sync",
	"--disable-breakpad", "--disable-client-side-phishing-detection", "--disable-default-apps", "--disable-extensions", "--disable-domain-reliability",
	"--disable-hang-monitor", "--disable-prompt-on-repost", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
	"--disable-background-timer-throttling", "--disable-ipc-flooding-protection", "--force-fieldtrials=*BackgroundTracing/default/",
	"--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider,CalculateNativeWinOcclusion,InterestFeedContentSuggestions,CertificateTransparencyComponentUpdater,AutofillServerCommunication,PrivacySandboxSettings4",
	"--metrics-recording-only", "--mute-audio", "--password-store=basic", "--use-mock-keychain", "--no-pings", "--lang=en-US", "about:blank",
}

func (l Lighthouse) order(job meter.Job, tool meter.Tool, v view) order {
	o := order{
		Lighthouse: tool.Command[1], URL: job.URL + v.page, Headers: map[string]string{}, Visit: v.visit(), VisitMS: l.load().Milliseconds(),
		JSON: v.path(job, ".json"), HTML: v.path(job, ".html"), Chromium: job.Chromium, ChromiumFlags: chromiumFlags,
	}
	for name, values := range job.Header {
		o.Headers[strings.ToLower(name)] = values[len(values)-1]
	}
	if v.visit() {
		return o
	}
	d := devices[v.device]
	o.Flags = &flags{
		Categories: categories(major(tool.Version)), FormFactor: string(v.device), Screen: d.screen, ThrottlingMethod: "simulate", Throttling: d.throttling,
		UserAgent: d.userAgent, Locale: "en-US", LoadMS: l.load().Milliseconds(), PaintMS: l.load().Milliseconds() * 2 / 3, NoScreenshot: true,
	}
	return o
}
