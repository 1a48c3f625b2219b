package lighthouse

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/jsonkeys"
)

// Bounds of a report. A real one has half a MiB and 170 audits.
const (
	maxReport = 64 << 20
	maxAudits = 2000
)

// A report is what is read of a Lighthouse result.
// See https://github.com/GoogleChrome/lighthouse/blob/main/docs/understanding-results.md.
type report struct {
	version      string
	runtimeError *runtimeError
	warnings     []string
	chrome       string
	benchmark    *float64
	requested    string
	document     string // after redirects
	displayed    string // after the page's own changes of its address
	settings     settings
	audits       map[string]audit
	categories   map[string]category
}

type runtimeError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type settings struct {
	FormFactor   string          `json:"formFactor"`
	Method       string          `json:"throttlingMethod"`
	Throttling   throttling      `json:"throttling"`
	Screen       screen          `json:"screenEmulation"`
	Locale       string          `json:"locale"`
	ExtraHeaders json.RawMessage `json:"extraHeaders"`
}

type audit struct {
	Score        *float64 `json:"score"`
	Mode         string   `json:"scoreDisplayMode"`
	Value        *float64 `json:"numericValue"`
	Unit         string   `json:"numericUnit"`
	ErrorMessage string   `json:"errorMessage"`
	Details      struct {
		Items json.RawMessage `json:"items"`
		Waste *float64        `json:"overallSavingsBytes"`
	} `json:"details"`
}

type category struct {
	Score *float64 `json:"score"`
}

// parse reads a whole report, with its keys as Lighthouse writes them: encoding/json
// alone would take "Audits" for "audits".
func parse(raw []byte) (report, error) {
	var r report
	if len(raw) > maxReport {
		return r, fmt.Errorf("its report has %d MiB, more than %d", len(raw)>>20, maxReport>>20)
	}
	if err := jsonkeys.Unique(raw); err != nil {
		return r, fmt.Errorf("its report is not whole: %w", err)
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw, &top); err != nil || top == nil {
		return r, fmt.Errorf("its report is not a JSON object: it begins with %q", output.Cut(strings.TrimSpace(string(raw)), 20))
	}
	var environment struct {
		UserAgent string   `json:"hostUserAgent"`
		Benchmark *float64 `json:"benchmarkIndex"`
	}
	for _, part := range []struct {
		key  string
		into any
		must bool
	}{
		{"lighthouseVersion", &r.version, true},
		{"requestedUrl", &r.requested, true},
		{"mainDocumentUrl", &r.document, false},
		{"finalDisplayedUrl", &r.displayed, false},
		{"runtimeError", &r.runtimeError, false},
		{"runWarnings", &r.warnings, true},
		{"environment", &environment, true},
		{"configSettings", &r.settings, true},
		{"audits", &r.audits, true},
		{"categories", &r.categories, true},
	} {
		text, ok := top[part.key]
		if !ok && part.must {
			return r, fmt.Errorf("its report has no %s", part.key)
		}
		if ok {
			if err := json.Unmarshal(text, part.into); err != nil {
				return r, fmt.Errorf("its report has a wrong %s: %w", part.key, err)
			}
		}
	}
	r.chrome, r.benchmark = chromeOf(environment.UserAgent), environment.Benchmark
	return r, r.check()
}

var (
	versions       = regexp.MustCompile(`^\d{1,3}\.\d{1,4}\.\d{1,4}(-[0-9A-Za-z.-]{1,40})?$`)
	chromeVersions = regexp.MustCompile(`Chrome/(\d+(?:\.\d+){3})\b`)
	auditNames     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,99}$`)
)

// chromeOf returns the version of the browser by its own user agent, not the emulated
// one.
func chromeOf(userAgent string) string {
	if m := chromeVersions.FindStringSubmatch(userAgent); m != nil {
		return m[1]
	}
	return ""
}

// check says why a document is no report of a known version.
func (r report) check() error {
	if !versions.MatchString(r.version) {
		return fmt.Errorf("its report is of version %q", output.Cut(r.version, 40))
	}
	if m := major(r.version); m < firstMajor || m > lastMajor {
		return fmt.Errorf("its report is of version %s; those of %d to %d are known", r.version, firstMajor, lastMajor)
	}
	if len(r.audits) > maxAudits {
		return fmt.Errorf("its report has %d audits, more than %d", len(r.audits), maxAudits)
	}
	for id := range r.audits {
		if !auditNames.MatchString(id) {
			return fmt.Errorf("its report has an audit %q", output.Cut(id, 60))
		}
	}
	return nil
}

// of says why a report is not of a page and a device, or why what was measured is not
// the page.
func (r report) of(address string, d device, name string) error {
	if !sameURL(r.requested, address) {
		return fmt.Errorf("its report is of %q, want %q", output.Cut(r.requested, 200), address)
	}
	s := r.settings
	if s.FormFactor != name || s.Screen != d.screen || s.Method != "simulate" {
		return fmt.Errorf("its report is of form factor %q, a screen of %dx%d and throttling %q, want %q, %dx%d and %q",
			output.Cut(s.FormFactor, 40), s.Screen.Width, s.Screen.Height, output.Cut(s.Method, 40), name, d.screen.Width, d.screen.Height, "simulate")
	}
	if t := s.Throttling; t.RTT != d.throttling.RTT || t.Kbps != d.throttling.Kbps || t.CPU != d.throttling.CPU {
		return fmt.Errorf("its report is of a network with %v ms and %v kbit/s and a processor %v times slower, want %v ms, %v kbit/s, %v times",
			t.RTT, t.Kbps, t.CPU, d.throttling.RTT, d.throttling.Kbps, d.throttling.CPU)
	}
	if s.Locale != "en-US" {
		return fmt.Errorf("its report is in the language %q", output.Cut(s.Locale, 40))
	}
	if h := string(s.ExtraHeaders); h != "" && h != "null" && h != "{}" {
		return errors.New("its report tells which headers were sent")
	}
	if e := r.runtimeError; e != nil && e.Code != "" && e.Code != "NO_ERROR" {
		return fmt.Errorf("%s (%s: %s)", failure(e.Code), output.Cut(e.Code, 60), output.Cut(e.Message, 300))
	}
	return nil
}

// failure says what an error of Lighthouse means.
// See https://github.com/GoogleChrome/lighthouse/blob/main/core/lib/lh-error.js.
func failure(code string) string {
	switch code {
	case "NO_FCP", "NO_LCP", "NO_LCP_ALL_FRAMES":
		return "the page painted nothing"
	case "ERRORED_DOCUMENT_REQUEST":
		return "the page answers with an error"
	case "FAILED_DOCUMENT_REQUEST", "DNS_FAILURE", "NO_DOCUMENT_REQUEST":
		return "the page could not be loaded"
	case "CHROME_INTERSTITIAL_ERROR", "INSECURE_DOCUMENT_REQUEST":
		return "the browser refuses to show the page, as it does when it cannot be reached or its certificate is wrong"
	case "PAGE_HUNG", "TARGET_CRASHED":
		return "the page stopped to answer the browser"
	case "NOT_HTML":
		return "the page is not HTML"
	}
	return "Lighthouse could not measure the page"
}

// sameURL reports whether two addresses are the same to a browser.
func sameURL(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	if errX != nil || errY != nil || origin(x) != origin(y) || x.RawQuery != y.RawQuery {
		return false
	}
	return x.Path == y.Path || x.Path+y.Path == "/"
}

// landed compares where a visitor arrives with the page that was asked for. An error
// says that it is another site, a doubt that it is another page, and a note that the
// address changed and the page is likely the one.
func landed(asked, document, displayed string) (doubt, note string, err error) {
	for _, arrived := range []string{document, displayed} {
		if arrived == "" || sameURL(asked, arrived) {
			continue
		}
		from, errFrom := url.Parse(asked)
		to, errTo := url.Parse(arrived)
		switch {
		case errFrom != nil || errTo != nil || origin(from) != origin(to):
			return "", "", fmt.Errorf("the page leads to %s, so that another site was measured", shown(arrived))
		case strings.TrimSuffix(from.Path, "/") == strings.TrimSuffix(to.Path, "/") || arrived != document:
			note = fmt.Sprintf("%s became %s", from.RequestURI(), output.Cut(to.RequestURI(), 200))
		default:
			return fmt.Sprintf("%s leads to %s, which was measured in its place: name that page, if it is the one", from.RequestURI(), output.Cut(to.RequestURI(), 200)), "", nil
		}
	}
	return "", note, nil
}

// shown is an address without what may be secret in it.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Sprintf("%q", output.Cut(address, 100))
	}
	return output.Cut(u.Scheme+"://"+u.Host+u.EscapedPath(), 200)
}

// harmless are warnings of Lighthouse about the machine or the page that leave the
// values true.
var harmless = []string{
	"The tested device appears to have a slower CPU",
	"There may be stored data affecting loading performance",
	"The page MIME type is XHTML",
}

// sort tells warnings that leave the values true from doubts.
func (r report) sort() (doubts, notes []string) {
	for _, w := range r.warnings {
		w = output.Cut(w, 300)
		switch {
		case slices.ContainsFunc(harmless, func(h string) bool { return strings.HasPrefix(w, h) }):
			notes = append(notes, w)
		case strings.HasPrefix(w, "The page may not be loading as expected because your test URL"): // landed says it
		default:
			doubts = append(doubts, w)
		}
	}
	return doubts, notes
}
