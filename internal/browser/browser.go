// Package browser checks pages in a real browser: accessibility with axe-core, and
// visual changes against earlier screenshots.
//
// A small script (check.mjs) runs playwright-core in node with the machine's Chromium.
// Its modules are pinned, verified by their hashes and installed once into a cache.
// Pages are untrusted: the browser sees none of our environment, axe-core runs isolated
// from the page's scripts, and neither browser nor script outlives a run.
//
// Problems of a page are in its Result. An error means that the pages could not be
// checked, which is never a pass. The caller decides which violations matter.
package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A Checker checks pages with this machine's programs.
type Checker struct {
	// Cache is the folder of the script's modules; empty means one in the user's
	// cache.
	Cache string
	// Chromium is the browser's program; empty means the first of chromium,
	// chromium-browser and google-chrome in PATH.
	Chromium string
	// Logf prints a line of progress; it may be nil.
	Logf func(format string, args ...any)
}

// A Page is a page to check.
type Page struct {
	URL  string // http or https
	Name string // for people and file names; empty means the URL's path
	// Header is sent to the page's own origin, and to no other one that the page loads
	// from or redirects to. Of several values of a name the last one counts.
	Header http.Header
}

// A Viewport is the size of the browser's window, in CSS pixels.
type Viewport struct {
	Name   string `json:"name"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Mobile bool   `json:"mobile"` // a touch screen that honours the page's viewport tag
}

// Viewports returns the default viewports.
func Viewports() []Viewport {
	return []Viewport{{"desktop", 1280, 800, false}, {"mobile", 390, 844, true}}
}

// Options say which pages to check and how.
type Options struct {
	Pages     []Page
	Viewports []Viewport // empty means Viewports()
	// Out is the folder for NAME-VIEWPORT.png, .diff.png and .axe.json, and for
	// results.json. Run creates it.
	Out string
	// Baseline is the Out folder of an earlier run; empty means none. It may be
	// Out itself, and some screenshots may be missing.
	Baseline string
	// Accessibility and Visual enable the checks; at least one is required.
	Accessibility, Visual bool
	// MaxDiff is the maximum share of differing pixels: 0.001 is 0.1 %.
	MaxDiff float64
	// Timeout bounds one page in one viewport; 0 means 30 s.
	Timeout time.Duration
	// Time is the pages' clock; zero means a fixed day. It must be the same as in
	// the run that created the baseline.
	Time time.Time
}

// A Result is the result of one page in one viewport. Its files are relative to
// Options.Out.
type Result struct {
	Page       string      `json:"page"`
	Viewport   string      `json:"viewport"`
	Violations []Violation `json:"violations"` // worst first
	Picture    string      `json:"picture,omitempty"`
	// Baseline reports whether there was an earlier screenshot. Without one Changed,
	// Diff, DiffShare and Note are meaningless.
	Baseline bool `json:"baseline"`
	// Changed reports whether more than MaxDiff differs, or the size does.
	Changed   bool    `json:"changed"`
	Diff      string  `json:"diff,omitempty"` // the differences in red, if Changed
	DiffShare float64 `json:"diff_share"`     // of the pixels
	Note      string  `json:"note,omitempty"` // the two sizes if they differ
	// Err is why the page could not be checked. Other fields were set before that.
	Err string `json:"err,omitempty"`
}

// A Violation is a rule of WCAG 2.2, level A or AA, that a page violates.
type Violation struct {
	ID     string `json:"id"`     // axe-core's, such as "image-alt"
	Impact string `json:"impact"` // critical, serious, moderate or minor
	Help   string `json:"help"`   // what the rule requires
	URL    string `json:"url"`    // of the explanation
	Nodes  int    `json:"nodes"`  // number of elements; .axe.json lists them
}

const (
	defaultTimeout = 30 * time.Second
	workers        = 2 // pages at a time
)

// axeTags select axe-core's rules: the standard, without its "best practices".
var axeTags = []string{"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"}

// flags are for a browser in a container that connects to the pages only.
var flags = []string{
	"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
	"--disable-component-update", "--disable-sync", "--disable-breakpad", "--disable-dev-shm-usage",
}

// A job is the script's input.
type job struct {
	Views         []view   `json:"views"`
	Out           string   `json:"out"`
	Baseline      string   `json:"baseline"`
	Accessibility bool     `json:"accessibility"`
	Visual        bool     `json:"visual"`
	MaxDiff       float64  `json:"maxDiff"`
	TimeoutMS     int64    `json:"timeoutMS"`
	TimeMS        int64    `json:"timeMS"`
	AxeTags       []string `json:"axeTags"`
	Workers       int      `json:"workers"`
	Executable    string   `json:"executable"`
	Flags         []string `json:"flags"`
}

// A view is a page in a viewport.
type view struct {
	Page     string   `json:"page"`
	URL      string   `json:"url"`
	File     string   `json:"file"`
	Viewport Viewport `json:"viewport"`
	// Headers are Page.Header by lower-case name.
	Headers map[string]string `json:"headers,omitempty"`
}

// Run checks every page in every viewport, in one browser, and returns the results in
// that order. It also writes them to results.json in Out.
func (c Checker) Run(ctx context.Context, opts Options) ([]Result, error) {
	j, err := newJob(opts)
	if err != nil {
		return nil, err
	}
	tools, err := c.find()
	if err != nil {
		return nil, err
	}
	modules, err := c.install(ctx, tools)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(j.Out, 0o755); err != nil {
		return nil, err
	}
	results, err := c.check(ctx, tools, modules, j)
	if err != nil {
		return nil, err
	}
	raw, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return nil, err
	}
	return results, os.WriteFile(filepath.Join(j.Out, "results.json"), append(raw, '\n'), 0o644)
}

// newJob validates the options and reports all errors together.
func newJob(opts Options) (job, error) {
	views, err := views(opts.Pages, opts.Viewports)
	errs := []error{err}
	if !opts.Accessibility && !opts.Visual {
		errs = append(errs, errors.New("neither accessibility nor visual: want at least one check"))
	}
	if opts.Out == "" {
		errs = append(errs, errors.New("no folder for the screenshots"))
	}
	if !(opts.MaxDiff >= 0 && opts.MaxDiff <= 1) {
		errs = append(errs, fmt.Errorf("MaxDiff %v: want 0 to 1", opts.MaxDiff))
	}
	if opts.Timeout < 0 {
		errs = append(errs, fmt.Errorf("timeout %v: want none or more than 0", opts.Timeout))
	}
	out, err := filepath.Abs(opts.Out)
	errs = append(errs, err)
	j := job{
		Views: views, Out: out, Accessibility: opts.Accessibility, Visual: opts.Visual, MaxDiff: opts.MaxDiff,
		TimeoutMS: orDefault(opts.Timeout, defaultTimeout).Milliseconds(),
		TimeMS:    orDefault(opts.Time, time.Date(2026, time.January, 15, 12, 0, 0, 0, time.UTC)).UnixMilli(),
		AxeTags:   axeTags, Workers: workers, Flags: flags,
	}
	if opts.Baseline != "" {
		j.Baseline, err = filepath.Abs(opts.Baseline)
		errs = append(errs, err)
	}
	return j, errors.Join(errs...)
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// views combines pages with viewports.
func views(pages []Page, viewports []Viewport) ([]view, error) {
	if len(viewports) == 0 {
		viewports = Viewports()
	}
	var vs []view
	var errs []error
	if len(pages) == 0 {
		errs = append(errs, errors.New("no pages to check"))
	}
	taken := map[string]string{} // by file name in lower case, for systems that ignore case
	for _, p := range pages {
		u, err := url.Parse(p.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			errs = append(errs, fmt.Errorf("page %q: %q is not an http or https URL", p.Name, p.URL))
			continue
		}
		name := p.Name
		if name == "" {
			name = nameOf(u)
		}
		for _, v := range viewports {
			file := fileName(name + "-" + v.Name)
			what := fmt.Sprintf("page %q in viewport %q", name, v.Name)
			if other, ok := taken[strings.ToLower(file)]; ok {
				errs = append(errs, fmt.Errorf("%s and %s have the same file name %s.png: set different names", other, what, file))
			}
			taken[strings.ToLower(file)] = what
			vs = append(vs, view{Page: name, URL: p.URL, File: file, Viewport: v, Headers: headers(p.Header)})
		}
	}
	return vs, errors.Join(append(errs, validate(viewports))...)
}

func headers(h http.Header) map[string]string {
	last := map[string]string{}
	for name, values := range h {
		last[strings.ToLower(name)] = values[len(values)-1]
	}
	return last
}

func validate(viewports []Viewport) error {
	var errs []error
	for _, v := range viewports {
		if v.Name == "" || min(v.Width, v.Height) < 1 || max(v.Width, v.Height) > 4096 {
			errs = append(errs, fmt.Errorf("viewport %q: %dx%d, want a name and 1 to 4096 pixels", v.Name, v.Width, v.Height))
		}
	}
	return errors.Join(errs...)
}

// nameOf returns a name from a URL's path and query: home, docs_api.
func nameOf(u *url.URL) string {
	name := strings.ReplaceAll(strings.Trim(u.Path, "/"), "/", "_")
	if u.RawQuery != "" {
		name += "-" + u.RawQuery
	}
	if name == "" {
		return "home"
	}
	return name
}

var notInFileNames = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// fileName replaces characters that are special to a shell, an archive or another
// system.
func fileName(s string) string {
	name := strings.TrimLeft(notInFileNames.ReplaceAllString(s, "-"), ".-")
	if len(name) > 150 {
		name = name[:75] + name[len(name)-75:] // the viewport is at the end
	}
	return name
}

// limit bounds the whole run, in case the script's own limits fail.
func (j job) limit() time.Duration {
	each := time.Duration(j.TimeoutMS)*time.Millisecond + 10*time.Second
	rounds := math.Ceil(float64(len(j.Views)) / float64(j.Workers))
	return time.Duration(rounds)*each + time.Minute
}

// read parses and validates the script's output.
func (j job) read(stdout []byte) ([]Result, error) {
	var answer struct {
		Browser string
		Results []Result
	}
	if err := json.Unmarshal(stdout, &answer); err != nil {
		return nil, fmt.Errorf("read its output: %w", err)
	}
	if len(answer.Results) != len(j.Views) {
		return nil, fmt.Errorf("it has %d results for %d views", len(answer.Results), len(j.Views))
	}
	for i, r := range answer.Results {
		if v := j.Views[i]; r.Page != v.Page || r.Viewport != v.Viewport.Name {
			return nil, fmt.Errorf("result %d is of %q in %q, want %q in %q", i, r.Page, r.Viewport, v.Page, v.Viewport.Name)
		}
	}
	return answer.Results, nil
}

func (c Checker) logf(format string, args ...any) {
	if c.Logf != nil {
		c.Logf(format, args...)
	}
}
