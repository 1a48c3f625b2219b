package perf

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/record"
	"github.com/candlefish/deploy-action/internal/perf/view"
	"github.com/candlefish/deploy-action/internal/perf/view/htmlreport"
	"github.com/candlefish/deploy-action/internal/perf/words"
)

// The names of the reports; analysis.json is record.Name, as the seed has it.
const (
	reportName = "report.md"
	htmlName   = "report.html"
)

// show writes the reports, tells people, keeps the run for later ones, and concludes.
// What could not be told changes no verdict. A report that could not be written is an
// error, and a refusal is told nevertheless.
func (s *session) show(ctx context.Context, r verdict.Result) (action.Result, error) {
	page := view.Page{Run: s.a.RunURL()}
	var shown []action.Annotation
	if s.v.Bool("annotations") {
		shown, page.LeftOut = view.Annotations(r)
	}
	paths, unwritten := s.writeReports(r, page)
	if unwritten != nil {
		if paths = (written{}); r.Verdict == verdict.Pass { // of which there is no report
			return action.Result{}, unwritten
		}
	}
	for _, n := range shown {
		s.a.Annotate(n)
	}
	told := s.publish(ctx, r, page)
	s.ledger.remember(ctx, r)
	s.a.Print(view.Text(r))
	result := action.Result{Status: r.Exit(), Summary: view.Summary(r, page), Outputs: outputsOf(r, paths), Meaning: meaning(r)}
	maps.Copy(result.Outputs, told)
	return result, unwritten
}

// meaning says how the run ended in words, since both gates that did not pass have
// one exit status.
func meaning(r verdict.Result) string {
	switch r.Verdict {
	case verdict.Refused:
		return "refused: a limit does not hold, or something got worse"
	case verdict.Inconclusive:
		return "inconclusive: not all was measured that was asked for"
	case verdict.Pass: // its status says enough
	}
	return ""
}

// written are the paths of the reports.
type written struct{ report, json, html string }

// writeReports writes all files of a run.
func (s *session) writeReports(r verdict.Result, page view.Page) (written, error) {
	dir := s.v.String("report-dir")
	w := written{filepath.Join(dir, reportName), filepath.Join(dir, record.Name), filepath.Join(dir, htmlName)}
	raw, err := record.Marshal(r)
	if err != nil {
		return w, err
	}
	html, err := htmlreport.Render(r, page.Run)
	if err != nil {
		return w, fmt.Errorf("render the HTML report: %w", err)
	}
	return w, errors.Join(
		files.Ignored(dir), files.Write(w.json, raw), files.Write(w.html, html), files.Write(w.report, []byte(view.Report(r, page))),
	)
}

// outputsOf are the outputs of a run.
func outputsOf(r verdict.Result, paths written) map[string]string {
	out := map[string]string{
		"status": string(r.Verdict), "worse": changed(r, compare.Worse), "better": changed(r, compare.BetterThan),
		"over-budget": overBudget(r), "unmeasured": unmeasured(r), "compared": strings.Join(r.Compared, "\n"),
		"report": paths.report, "report-json": paths.json, "report-html": paths.html,
		"overhead": strconv.FormatFloat(r.Own.Seconds(), 'f', 1, 64),
	}
	for _, device := range []string{"desktop", "mobile"} {
		out["performance-"+device] = extreme(r, "lighthouse", "performance", " "+device, 100, func(a, b float64) bool { return a < b })
	}
	more := func(a, b float64) bool { return a > b }
	out["p95"] = extreme(r, "load", "http_req_duration.p95", "", 1, more)
	out["p99"] = extreme(r, "load", "http_req_duration.p99", "", 1, more)
	out["error-rate"] = extreme(r, "load", "http_req_failed", "", 100, more)
	return out
}

// extreme is the median that comes before all others of a metric, times a factor; ""
// if none was measured.
func extreme(r verdict.Result, meter, metric, suffix string, factor float64, before func(a, b float64) bool) string {
	text, first := "", 0.0
	for _, one := range r.Series {
		if one.Key.Meter != meter || one.Key.Metric != metric || !strings.HasSuffix(one.Key.Subject, suffix) || len(one.Head) == 0 {
			continue
		}
		if v := measure.Median(measure.Values(one.Head)) * factor; text == "" || before(v, first) {
			first, text = v, strconv.FormatFloat(v, 'f', -1, 64)
			if whole := strconv.FormatFloat(v, 'f', 2, 64); len(whole) < len(text) {
				text = strings.TrimRight(strings.TrimRight(whole, "0"), ".")
			}
		}
	}
	return text
}

func changed(r verdict.Result, change compare.Change) string {
	var lines []string
	for _, c := range r.Comparisons {
		if c.Change == change {
			lines = append(lines, c.Key.String())
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

func overBudget(r verdict.Result) string {
	var lines []string
	for _, c := range words.Unmet(r) {
		if c.Severity == budget.Error {
			lines = append(lines, words.Checked(c))
		}
	}
	return strings.Join(lines, "\n")
}

// unmeasured are the meters whose values cannot be believed.
func unmeasured(r verdict.Result) string {
	var lines []string
	for _, m := range words.Unhealthy(r) {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", m.Name, m.Health, strings.ReplaceAll(m.Why, "\n", " ")))
	}
	return strings.Join(lines, "\n")
}
