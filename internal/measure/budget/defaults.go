package budget

import (
	"time"

	"github.com/candlefish/deploy-action/internal/measure"
)

// Meters that have default limits.
const (
	Lighthouse = "lighthouse"
	LoadMeter  = "load"
	Journey    = "journey"
)

// byDefault is where a default limit is from.
const byDefault = "default"

// A row is a default limit of Lighthouse. A limit of 0 is none.
type row struct {
	metric          string
	operator        Operator
	desktop, mobile float64
	unit            measure.Unit
	severity        Severity
}

// lighthouseRows are the limits of categories and metrics.
var lighthouseRows = []row{
	{"performance", More, 0.85, 0.75, measure.Score, Error},
	{"accessibility", AtLeast, 0.90, 0.90, measure.Score, Error},
	{"best-practices", AtLeast, 0.85, 0.85, measure.Score, Error},
	{"seo", AtLeast, 0.90, 0.90, measure.Score, Error},
	{"pwa", AtLeast, 0.70, 0.70, measure.Score, Warn},
	{"first-contentful-paint", Less, 1800, 2200, measure.Milliseconds, Error},
	{"largest-contentful-paint", Less, 2500, 3500, measure.Milliseconds, Error},
	{"cumulative-layout-shift", Less, 0.1, 0.1, measure.Shift, Error},
	{"total-blocking-time", AtMost, 200, 600, measure.Milliseconds, Error},
	{"speed-index", AtMost, 3000, 4500, measure.Milliseconds, Warn},
	{"interactive", AtMost, 3800, 6000, measure.Milliseconds, Warn},
	{"max-potential-fid", AtMost, 130, 200, measure.Milliseconds, Warn},
	{"unused-css-rules" + Waste, AtMost, 20_000, 30_000, measure.Bytes, Warn},
	{"unused-javascript" + Waste, AtMost, 20_000, 30_000, measure.Bytes, Warn},
	{"resource-summary:script:size", AtMost, 0, 250 * kib, measure.Bytes, Warn},
	{"resource-summary:image:size", AtMost, 0, 500 * kib, measure.Bytes, Warn},
	{"resource-summary:stylesheet:size", AtMost, 0, 50 * kib, measure.Bytes, Warn},
	{"resource-summary:font:size", AtMost, 0, 100 * kib, measure.Bytes, Warn},
	{"resource-summary:total:size", AtMost, 0, 1000 * kib, measure.Bytes, Warn},
	{"mainthread-work-breakdown", AtMost, 0, 4000, measure.Milliseconds, Warn},
}

const kib = 1024

// auditsOnAll and auditsOnMobile are audits that must pass, which for lighthouse-ci is
// a score of 0.9.
var (
	auditsOnAll = []string{
		"uses-text-compression", "unminified-css", "unminified-javascript", "color-contrast", "image-alt", "label",
		"link-name", "list", "meta-description", "document-title", "html-has-lang", "link-text", "crawlable-anchors",
		"is-on-https", "no-vulnerable-libraries", "external-anchors-use-rel-noopener", "geolocation-on-start", "notification-on-start",
	}
	auditsOnMobile = []string{
		"uses-responsive-images", "tap-targets", "content-width", "viewport", "font-size", "button-name", "input-image-alt",
	}
)

// passes is the score with which an audit passes.
const passes = 0.9

// Defaults returns the default limits of Lighthouse and of user journeys.
func Defaults() []Budget {
	var all []Budget
	for _, r := range lighthouseRows {
		if r.desktop > 0 {
			all = append(all, r.budget("* desktop", r.desktop))
		}
		if r.mobile > 0 {
			all = append(all, r.budget("* mobile", r.mobile))
		}
	}
	for _, audit := range auditsOnAll {
		all = append(all, implied(Lighthouse, "", audit+Score, AtLeast, passes, measure.Score))
	}
	for _, audit := range auditsOnMobile {
		all = append(all, implied(Lighthouse, "* mobile", audit+Score, AtLeast, passes, measure.Score))
	}
	return append(all,
		// The lines of the Core Web Vitals between good and what needs improvement.
		implied(Journey, "", "inp", AtMost, 200, measure.Milliseconds),
		implied(Journey, "", "lcp", AtMost, 2500, measure.Milliseconds),
		implied(Journey, "", "cls", AtMost, 0.1, measure.Shift),
	)
}

func (r row) budget(subject string, limit float64) Budget {
	b := implied(Lighthouse, subject, r.metric, r.operator, limit, r.unit)
	b.Severity = r.severity
	return b
}

func implied(meter, subject, metric string, o Operator, limit float64, unit measure.Unit) Budget {
	return Budget{
		Meter: meter, Subject: subject, Metric: metric, Operator: o, Limit: limit, Unit: unit,
		Aggregation: Median, Severity: Error, From: byDefault, Implied: true,
	}
}

// Load returns the limits of load: of the 95th and the 99th percentile of the
// response times, of the share of requests that fail, and of the requests per second
// of the scenario sustained. A limit of 0 is none, but for errors: then none may fail.
func Load(p95, p99 time.Duration, errors, rate float64) []Budget {
	var all []Budget
	for _, p := range []struct {
		metric string
		limit  time.Duration
	}{{"http_req_duration.p95", p95}, {"http_req_duration.p99", p99}} {
		if p.limit > 0 {
			all = append(all, implied(LoadMeter, "", p.metric, Less, p.limit.Seconds()*1000, measure.Milliseconds))
		}
	}
	failed := implied(LoadMeter, "", "http_req_failed", Less, errors, measure.Share)
	if errors <= 0 {
		failed.Operator, failed.Limit = AtMost, 0
	}
	all = append(all, failed)
	if rate > 0 {
		all = append(all, implied(LoadMeter, "sustained", "http_reqs", More, rate, measure.PerSecond))
	}
	return all
}
