package load

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/ending"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/load/summary"
)

// metrics are the values of one scenario. Times under a few milliseconds are the
// machine's, not the site's.
var metrics = []struct {
	measure.Metric
	metric, stat string // in k6's summary
	optional     bool   // it is 0 if k6 has none
}{
	{measure.Metric{Name: "http_req_duration.avg", Title: "Response time, mean", Unit: measure.Milliseconds, Better: measure.Lower}, "http_req_duration", "avg", false},
	{measure.Metric{Name: "http_req_duration.med", Title: "Response time, median", Unit: measure.Milliseconds, Better: measure.Lower, Floor: measure.Floor{Absolute: 5, Relative: 0.05}, Compared: true}, "http_req_duration", "med", false},
	{measure.Metric{Name: "http_req_duration.p90", Title: "Response time, 90th percentile", Unit: measure.Milliseconds, Better: measure.Lower}, "http_req_duration", "p90", false},
	{measure.Metric{Name: "http_req_duration.p95", Title: "Response time, 95th percentile", Unit: measure.Milliseconds, Better: measure.Lower, Floor: measure.Floor{Absolute: 10, Relative: 0.05}, Compared: true}, "http_req_duration", "p95", false},
	{measure.Metric{Name: "http_req_duration.p99", Title: "Response time, 99th percentile", Unit: measure.Milliseconds, Better: measure.Lower}, "http_req_duration", "p99", false},
	{measure.Metric{Name: "http_req_duration.max", Title: "Response time, longest", Unit: measure.Milliseconds, Better: measure.Lower}, "http_req_duration", "max", false},
	{measure.Metric{Name: "http_req_failed", Title: "Requests that failed", Unit: measure.Share, Better: measure.Lower, Floor: measure.Floor{Absolute: 0.005}, Compared: true}, "http_req_failed", "rate", false},
	{measure.Metric{Name: "http_reqs", Title: "Requests", Unit: measure.PerSecond, Better: measure.Higher}, "http_reqs", "rate", false},
	{measure.Metric{Name: "iterations", Title: "Visits", Unit: measure.PerSecond, Better: measure.Higher}, "iterations", "rate", false},
	{measure.Metric{Name: "dropped_iterations", Title: "Visits that k6 could not begin", Unit: measure.Count, Better: measure.Lower}, "dropped_iterations", "count", true},
	{measure.Metric{Name: "checks", Title: "Checks that passed", Unit: measure.Share, Better: measure.Higher}, "checks", "rate", false},
}

// Read implements meter.Program.
func (l Load) Read(job meter.Job, c isolate.Command, ran isolate.Ran) (meter.Reading, error) {
	all, _ := tasks(job)
	i := slices.IndexFunc(all, func(t task) bool { return t.dir == c.Dir })
	if i < 0 {
		return meter.Reading{}, fmt.Errorf("read what k6 wrote: no scenario has the folder %s", filepath.Base(c.Dir))
	}
	t := all[i]
	if _, why, bad := ending.Bad(ran, c.Time); bad {
		return meter.Reading{}, fmt.Errorf("%s: k6: %s", t.subject, why)
	}
	j, err := readLog(t.dir)
	if err != nil {
		return meter.Reading{}, fmt.Errorf("%s: %w", t.subject, err)
	}
	if err := exitError(ran.Status, j.said); err != nil {
		return meter.Reading{}, fmt.Errorf("%s: %w", t.subject, err)
	}
	raw, err := readSummary(t.dir)
	if err != nil {
		return meter.Reading{}, fmt.Errorf("%s: %w", t.subject, err)
	}
	s, err := summary.Parse(raw)
	if err != nil {
		return meter.Reading{}, fmt.Errorf("%s: %w", t.subject, err)
	}
	if err := agree(ran.Status, s); err != nil {
		return meter.Reading{}, fmt.Errorf("%s: %w", t.subject, err)
	}
	r := &reader{task: t, summary: s}
	r.values()
	r.thresholds(ran.Status, j)
	if ran.Status == condemns {
		j.errors = 0 // test.fail() writes its reasons as errors
	}
	r.doubts(j, ran, l.cores())
	r.files(job)
	return r.reading, nil
}

// agree says whether the summary belongs to the status: a script can write both.
func agree(status int, s summary.Summary) error {
	broken := slices.ContainsFunc(s.Thresholds, func(t summary.Threshold) bool { return !t.Holds })
	if len(s.Thresholds) > 0 && broken != (status == crossed) && status != condemns {
		return fmt.Errorf("k6 exited with status %d, and in its summary a threshold that does not hold: %t", status, broken)
	}
	return nil
}

// A reader makes a reading of one summary.
type reader struct {
	task
	summary summary.Summary
	reading meter.Reading
}

// part names a metric as the summary has it: of a shipped scenario the part without
// the warm-up.
func (r *reader) part(metric, subject string) string {
	switch {
	case !r.shipped:
		return metric
	case subject != r.subject:
		return metric + "{phase:recovery}"
	}
	return metric + "{scenario:" + r.subject + "}"
}

func (r *reader) stat(metric, stat string) float64 {
	return r.summary.Metrics[r.part(metric, r.subject)].Stats[stat]
}

// values reads all metrics. Without a request there are none.
func (r *reader) values() {
	if r.stat("http_reqs", "count") == 0 {
		r.doubt("k6 made no request")
		return
	}
	for _, m := range metrics {
		r.value(r.subject, m.Metric, m.metric, m.stat, m.optional)
	}
	if r.shipped && r.subject == "spike" {
		r.recovery()
	}
}

// recovery reads how the site answered after the spike, as a subject of its own: limits
// hold for it too.
func (r *reader) recovery() {
	subject := r.subject + " recovery"
	if r.summary.Metrics[r.part("http_req_duration", subject)].Empty() {
		r.gap(subject, "http_req_duration.p95", "k6 made no request after the spike: the duration is too short")
		return
	}
	for _, m := range metrics {
		if m.metric == "http_req_duration" || m.metric == "http_req_failed" {
			metric := m.Metric
			metric.Compared = false
			r.value(subject, metric, m.metric, m.stat, m.optional)
		}
	}
}

func (r *reader) value(subject string, metric measure.Metric, from, stat string, optional bool) {
	m, ok := r.summary.Metrics[r.part(from, subject)]
	if !ok && optional {
		r.reading.Values = append(r.reading.Values, meter.Value{Subject: subject, Metric: metric})
		return
	}
	v, has := m.Stats[stat]
	switch {
	case !ok && from == "checks" && !r.shipped:
		return // a script need not have any
	case !ok:
		r.gap(subject, metric.Name, "k6's summary has no "+from)
		return
	case !has:
		r.gap(subject, metric.Name, fmt.Sprintf("k6's summary has no %s of %s", stat, from))
		return
	case m.Empty():
		r.gap(subject, metric.Name, from+" has no samples")
		return
	}
	if m.Kind == summary.Counter && stat == "rate" && r.shipped {
		// k6 divides by all of its time, with the warm-up and the wait for last answers.
		v = m.Stats["count"] / r.took.Seconds()
	}
	r.reading.Values = append(r.reading.Values, meter.Value{Subject: subject, Metric: metric, Value: v})
}

func (r *reader) gap(subject, metric, why string) {
	r.reading.Gaps = append(r.reading.Gaps, meter.Gap{Subject: subject, Metric: metric, Why: why})
}

func (r *reader) doubt(format string, args ...any) {
	r.reading.Doubts = append(r.reading.Doubts, r.subject+": "+fmt.Sprintf(format, args...))
}

// thresholds makes assertions of the conditions of the user's scripts. Those of the
// shipped ones say once more what the budgets say.
func (r *reader) thresholds(status int, j journal) {
	if r.shipped {
		return
	}
	if status == condemns {
		r.reading.Assertions = append(r.reading.Assertions, verdict.Assertion{Subject: r.subject, Text: "test.fail() is not called", Why: "the script called it: " + j.said})
	}
	for _, t := range r.summary.Thresholds {
		m := r.summary.Metrics[t.Metric]
		if m.Empty() {
			// k6 counts it as held: https://github.com/grafana/k6/issues/4283
			r.doubt("the threshold %s: %s says nothing, the metric has no samples", t.Metric, t.Text)
			continue
		}
		a := verdict.Assertion{Subject: r.subject, Text: t.Metric + ": " + t.Text, Holds: t.Holds}
		if !t.Holds {
			a.Why = observed(m)
		}
		r.reading.Assertions = append(r.reading.Assertions, a)
	}
}

// observed is what of a metric is known, in a few words.
func observed(m summary.Metric) string {
	var text string
	for _, stat := range []string{"rate", "value", "avg", "med", "p90", "p95", "p99", "max", "count"} {
		if v, ok := m.Stats[stat]; ok {
			text += fmt.Sprintf(", %s %s", stat, strconv.FormatFloat(v, 'g', 4, 64))
		}
	}
	return text[min(2, len(text)):]
}

var interrupted = regexp.MustCompile(`(\d+) complete and (\d+) interrupted iterations`)

// Limits beyond which k6 itself was the limit.
const (
	busy = 0.85  // share of the processors, over the whole run
	late = 100.0 // milliseconds that 5 % of its own steps came too late
)

// doubts says why the values may not be the site's.
func (r *reader) doubts(j journal, ran isolate.Ran, cores int) {
	if r.stat("http_reqs", "count") > 0 && r.stat("iterations", "count") == 0 {
		r.doubt("no iteration of the script came to its end")
	}
	r.failures(j)
	if n := r.summary.Metrics["dropped_iterations"].Stats["count"]; n > 0 {
		r.doubt("k6 dropped %.0f iterations: all of its users still waited for answers, so the rate was not reached", n)
	}
	if all := interrupted.FindAllSubmatch(ran.Stdout, -1); len(all) > 0 {
		if n := string(all[len(all)-1][2]); n != "0" {
			r.doubt("k6 broke off %s iterations that had not ended half a minute after the scenario", n)
		}
	}
	if j.exceptions > 0 {
		r.doubt("an exception of the script ended %d iterations: %s", j.exceptions, j.exception)
	}
	if j.errors > 0 {
		r.doubt("k6 wrote %d errors: %s", j.errors, j.said)
	}
	if j.blocked > 0 {
		r.doubt("k6 refused %d connections to hosts that load must not be sent to, the last to %s; see the input load-hosts", j.blocked, j.block)
	}
	if j.cut {
		r.doubt("the log of k6 is longer than what is read of it")
	}
	if n := r.stat("redirects_elsewhere", "count"); r.shipped && n > 0 {
		r.doubt("%.0f answers lead to another host and were not followed: name the URL that they lead to", n)
	}
	r.saturation(ran, cores)
	if r.took > 0 && r.took < few {
		r.note("the scenario %s took %v: its percentiles are of few requests", r.subject, r.took)
	}
	if j.consoles > 0 {
		r.note("the script %s wrote %d errors to its console", r.subject, j.consoles)
	}
}

// failures doubts times of nothing but failures. A page whose redirects never end
// counts as no failed request, since its last answer is one of them.
func (r *reader) failures(j journal) {
	checks, checked := r.summary.Metrics[r.part("checks", r.subject)]
	switch {
	case r.stat("http_reqs", "count") == 0:
	case r.stat("http_req_failed", "rate") == 1:
		why := ""
		if j.failure != "" {
			why = ": " + j.failure
		}
		r.doubt("all requests failed%s", why)
	case r.shipped && checked && !checks.Empty() && checks.Stats["rate"] == 0:
		r.doubt("no page was answered with a status of 2xx; 5 redirects are followed, on the same host")
	}
}

// saturation says whether k6, and not the site, was the limit.
func (r *reader) saturation(ran isolate.Ran, cores int) {
	if ran.CPU > 0 && ran.Took > 0 {
		share := float64(ran.CPU) / float64(ran.Took) / float64(cores)
		if share > busy {
			r.doubt("k6 used %.0f %% of %d processors: it was the limit, not the site", 100*share, cores)
		}
		r.note("%s: k6 used %.0f %% of %d processors", r.subject, 100*share, cores)
	}
	if lag := r.stat("generator_lag", "p95"); r.shipped && lag > late {
		r.doubt("k6 noticed answers and ends of pauses %v too late (95th percentile): its machine has too much to do", time.Duration(lag*1e6).Round(time.Millisecond))
	}
}

func (r *reader) note(format string, args ...any) {
	r.reading.Notes = append(r.reading.Notes, fmt.Sprintf(format, args...))
}

// files are for people.
func (r *reader) files(job meter.Job) {
	for _, f := range []struct{ name, what string }{{dashboardFile, "k6 dashboard"}, {summaryFile, "k6 summary"}, {logFile, "k6 log"}} {
		opened, err := open(r.dir, f.name)
		if err != nil {
			continue
		}
		info, err := opened.Stat()
		_ = opened.Close()
		if err == nil && info.Size() > 0 {
			r.reading.Files = append(r.reading.Files, meter.File{Subject: r.subject, What: f.what, Path: filepath.Join(r.dir, f.name)})
		}
	}
	if tool, ok := job.Tools["k6"]; ok {
		r.reading.Versions = map[string]string{"k6": tool.Version}
	}
}

var _ meter.Program = Load{}
