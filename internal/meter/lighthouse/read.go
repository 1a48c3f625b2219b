package lighthouse

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/jsonkeys"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
)

// Read implements meter.Program.
func (l Lighthouse) Read(job meter.Job, command isolate.Command, ran isolate.Ran) (meter.Reading, error) {
	i := slices.IndexFunc(views(job), func(v view) bool { return v.path(job, ".json") == command.Report })
	if i < 0 {
		return meter.Reading{}, fmt.Errorf("read %q: no page of this round has this report", command.Report)
	}
	v := views(job)[i]
	_ = os.Remove(v.path(job, ".job")) // if the script did not get that far
	if err := output.Whole(ran, 0); err != nil {
		return meter.Reading{}, fmt.Errorf("%s: %w", strings.TrimSpace(v.subject()), err)
	}
	read := l.audit
	if v.visit() {
		read = l.visit
	}
	reading, err := read(job, v, ran.Stdout)
	if err != nil {
		return meter.Reading{}, fmt.Errorf("%s: %w", strings.TrimSpace(v.subject()), err)
	}
	return reading, nil
}

// visit reads what the first visit of a page saw. It measures nothing.
func (Lighthouse) visit(job meter.Job, v view, raw []byte) (meter.Reading, error) {
	var seen struct {
		Status  int    `json:"status"`
		URL     string `json:"url"`
		Version string `json:"version"`
		Tries   int    `json:"tries"`
		Error   string `json:"error"`
	}
	if err := jsonkeys.UniqueFold(raw); err != nil {
		return meter.Reading{}, fmt.Errorf("what the visit saw is not whole: %w", err)
	}
	if err := json.Unmarshal(raw, &seen); err != nil {
		return meter.Reading{}, fmt.Errorf("what the visit saw: %w", err)
	}
	switch {
	case seen.Error != "":
		return meter.Reading{}, fmt.Errorf("%s: %s", visitFailure(seen.Error), output.Cut(seen.Error, 200))
	case seen.Status < 200 || seen.Status >= 400:
		return meter.Reading{}, fmt.Errorf("the page answers with an error: status %d", seen.Status)
	case seen.URL == "":
		return meter.Reading{}, errors.New("what the visit saw has no address")
	}
	doubt, note, err := landed(job.URL+v.page, seen.URL, "")
	if err != nil {
		return meter.Reading{}, err
	}
	var r meter.Reading
	r.Doubts = add(r.Doubts, doubt)
	r.Notes = add(r.Notes, note)
	if seen.Version != "" {
		r.Notes = append(r.Notes, fmt.Sprintf("%s says that it is version %q", v.page, output.Cut(seen.Version, 80)))
	}
	if seen.Tries > 1 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s answered at visit %d, before the first measurement", v.page, seen.Tries))
	}
	return r, nil
}

// visitFailure says what an error of the browser means.
// See https://source.chromium.org/chromium/chromium/src/+/main:net/base/net_error_list.h.
func visitFailure(text string) string {
	switch {
	case strings.Contains(text, "net::ERR_TOO_MANY_REDIRECTS"):
		return "the page redirects in a circle"
	case strings.Contains(text, "net::ERR_CERT_"), strings.Contains(text, "net::ERR_SSL_"), strings.Contains(text, "net::ERR_BAD_SSL"):
		return "the browser does not accept the certificate"
	case strings.Contains(text, "net::ERR_NAME_NOT_RESOLVED"):
		return "the host's name is not known"
	case strings.Contains(text, "timeout"), strings.Contains(text, "ERR_TIMED_OUT"):
		return "the page did not load in its time"
	}
	return "the page could not be loaded"
}

func add(list []string, text string) []string {
	if text == "" {
		return list
	}
	return append(list, text)
}

// audit reads a report of Lighthouse.
func (Lighthouse) audit(job meter.Job, v view, raw []byte) (meter.Reading, error) {
	rep, err := parse(raw)
	if err != nil {
		return meter.Reading{}, err
	}
	address := job.URL + v.page
	if err := rep.of(address, devices[v.device], string(v.device)); err != nil {
		return meter.Reading{}, err
	}
	doubt, note, err := landed(address, rep.document, rep.displayed)
	if err != nil {
		return meter.Reading{}, err
	}
	page := reader{subject: v.subject(), report: rep}
	page.categories()
	page.audits()
	page.sizes()
	page.machine()
	r := page.reading
	doubts, notes := rep.sort()
	r.Doubts, r.Notes = append(add(r.Doubts, doubt), doubts...), append(add(r.Notes, note), notes...)
	r.Versions = map[string]string{Name: rep.version}
	if rep.chrome != "" {
		r.Versions["chrome"] = rep.chrome
	}
	if info, err := os.Lstat(v.path(job, ".html")); err == nil && info.Mode().IsRegular() {
		r.Files = append(r.Files, meter.File{Subject: page.subject, What: "Lighthouse report", Path: v.path(job, ".html")})
	}
	r.Files = append(r.Files, meter.File{Subject: page.subject, What: "Lighthouse report as JSON", Path: v.path(job, ".json")})
	return r, nil
}

// A reader collects the values and gaps of one report.
type reader struct {
	subject string
	report  report
	reading meter.Reading
}

func (r *reader) value(metric string, value float64, unit measure.Unit, better measure.Better) {
	m, ok := metrics[metric]
	if !ok {
		m = measure.Metric{Title: metric, Unit: unit, Better: better, Floor: measure.Floor{Absolute: 1, Relative: 0.05}, Detail: true}
	}
	m.Name = metric
	switch {
	case math.IsNaN(value) || math.IsInf(value, 0) || value < 0 || value > maxValue:
		r.gap(metric, fmt.Sprintf("its value in the report is %v", value))
	case m.Unit == measure.Score && value > 1:
		r.gap(metric, fmt.Sprintf("its score in the report is %v", value))
	default:
		r.reading.Values = append(r.reading.Values, meter.Value{Subject: r.subject, Metric: m, Value: value})
	}
}

const maxValue = 1e15 // of anything that a page can have

func (r *reader) gap(metric, why string) {
	r.reading.Gaps = append(r.reading.Gaps, meter.Gap{Subject: r.subject, Metric: metric, Why: why, Needed: metrics[metric].Compared})
}

func (r *reader) categories() {
	for _, name := range categories(major(r.report.version)) {
		c, ok := r.report.categories[name]
		switch {
		case !ok:
			r.gap(name, "the report has no category "+name)
		case c.Score == nil:
			r.gap(name, "the report has no score for "+name+", which is so when one of its audits failed to run")
		default:
			r.value(name, *c.Score, measure.Score, measure.Higher)
		}
	}
}

// audits reads the audits, those first that must be there.
func (r *reader) audits() {
	for _, id := range must {
		if a, ok := r.report.audits[id]; !ok {
			r.gap(id, "the report has no audit "+id)
		} else if a.Mode != "error" && a.Value == nil {
			r.gap(id, fmt.Sprintf("the audit %s has no value", id))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.report.audits)) {
		r.audit(id, r.report.audits[id])
	}
}

// audit reads the score of an audit as lighthouse-ci does: one that does not apply has
// the score 1, and one that only informs 0.
func (r *reader) audit(id string, a audit) {
	score := id + ".score"
	switch a.Mode {
	case "error":
		why := "the audit did not run: " + output.Cut(a.ErrorMessage, 200)
		r.gap(score, why)
		if _, known := metrics[id]; known {
			r.gap(id, why)
		}
		return
	case "manual": // nobody but people can tell
		return
	case "notApplicable":
		r.value(score, 1, measure.Score, measure.Higher)
	case "informative":
		r.value(score, 0, measure.Score, measure.Higher)
	case "binary", "numeric", "metricSavings":
		if a.Score == nil {
			r.gap(score, "the audit has no score")
		} else {
			r.value(score, *a.Score, measure.Score, measure.Higher)
		}
	default:
		r.gap(score, fmt.Sprintf("its score is of an unknown kind, %q", output.Cut(a.Mode, 40)))
	}
	if a.Value != nil {
		r.value(id, *a.Value, unitOf(a.Unit), measure.Lower)
	}
	if a.Details.Waste != nil {
		r.value(id+".bytes", *a.Details.Waste, measure.Bytes, measure.Lower)
	}
	if n, ok := length(a.Details.Items); ok {
		r.value(id+".length", float64(n), measure.Count, measure.Lower)
	}
}

func unitOf(numericUnit string) measure.Unit {
	switch numericUnit {
	case "millisecond":
		return measure.Milliseconds
	case "byte":
		return measure.Bytes
	}
	return measure.Count // "element", "unitless"
}

func length(items json.RawMessage) (int, bool) {
	var list []json.RawMessage
	if len(items) == 0 || json.Unmarshal(items, &list) != nil || list == nil {
		return 0, false
	}
	return len(list), true
}

// kinds are the types of resources that all versions sum up.
var kinds = []string{"total", "document", "script", "stylesheet", "image", "font", "media", "other", "third-party"}

// A resource is all that was loaded of one type.
type resource struct {
	Kind  string   `json:"resourceType"`
	Size  *float64 `json:"transferSize"`
	Count *float64 `json:"requestCount"`
}

// sizes reads what was loaded: "resource-summary:script:size", in bytes over the
// network, and "resource-summary:script:count".
func (r *reader) sizes() {
	const id = "resource-summary"
	var items []resource
	err := json.Unmarshal(r.report.audits[id].Details.Items, &items)
	for _, kind := range kinds {
		size, count := id+":"+kind+":size", id+":"+kind+":count"
		i := slices.IndexFunc(items, func(item resource) bool { return item.Kind == kind })
		if err != nil || i < 0 || items[i].Size == nil || items[i].Count == nil {
			r.gap(size, "the audit resource-summary does not have it")
			r.gap(count, "the audit resource-summary does not have it")
			continue
		}
		r.value(size, *items[i].Size, measure.Bytes, measure.Lower)
		r.value(count, *items[i].Count, measure.Count, measure.Lower)
	}
}

// slowMachine is the benchmark index of the slowest desktop that Lighthouse's factor for
// mobile processors, 4, is meant for.
// See https://github.com/GoogleChrome/lighthouse/blob/main/docs/throttling.md.
const slowMachine = 1000

// machine reads how fast the machine was in this run.
func (r *reader) machine() {
	index := r.report.benchmark
	if index == nil {
		r.reading.Notes = append(r.reading.Notes, "the report does not say how fast the machine was")
		return
	}
	r.value("benchmark-index", *index, measure.Count, measure.Higher)
	if *index < slowMachine {
		r.reading.Notes = append(r.reading.Notes, fmt.Sprintf("this machine is slow or busy: its benchmark index is below %d, and times of the processor are longer than elsewhere", slowMachine))
	}
}
