package perfbench

import (
	_ "embed" // recorded reports
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
)

// lhciRecorded has five reports of Lighthouse 12.6.1, the version of lighthouse-ci 0.15.1,
// of one page on loopback. They have what lighthouse-ci reads of them; of lists the
// length counts, so their entries are empty.
//
//go:embed lhci/reports.json
var lhciRecorded []byte

// A report is what lighthouse-ci reads of one of Lighthouse's.
type report struct {
	FinalURL   string                     `json:"finalUrl"`
	Version    string                     `json:"lighthouseVersion"`
	Categories map[string]*reportCategory `json:"categories"`
	Audits     map[string]*reportAudit    `json:"audits"`
}

type reportCategory struct {
	Score *float64 `json:"score"`
}

type reportAudit struct {
	Score   *float64       `json:"score"`
	Mode    string         `json:"scoreDisplayMode"`
	Value   *float64       `json:"numericValue,omitempty"`
	Details *reportDetails `json:"details,omitempty"`
}

type reportDetails struct {
	Items []reportItem `json:"items"`
}

type reportItem struct {
	Type  string   `json:"resourceType,omitempty"`
	Size  *float64 `json:"transferSize,omitempty"`
	Count *float64 `json:"requestCount,omitempty"`
}

// A reportSet is the rounds of one page.
type reportSet struct {
	name    string
	reports []report
	failed  map[string]bool // audits that failed to run in some round
}

const page = "/ mobile"

// reportSets returns the recorded rounds; the first four of them, whose median is a
// mean; and the rounds with what goes wrong in others: audits that failed, that do not
// apply, that one report does not have.
func reportSets() []reportSet {
	whole := reportSet{name: "five", reports: readReports()}
	even := reportSet{name: "four", reports: readReports()[:4]}
	sick := reportSet{name: "sick", reports: readReports(), failed: map[string]bool{"speed-index": true, "unused-javascript": true, "interactive": true}}
	fail := func(round int, audit string) { sick.reports[round].Audits[audit] = &reportAudit{Mode: "error"} }
	fail(1, "speed-index")
	fail(3, "unused-javascript")
	for round := range sick.reports {
		fail(round, "interactive")
	}
	sick.reports[2].Audits["image-alt"] = &reportAudit{Mode: "notApplicable"}
	sick.reports[2].Audits["label"] = &reportAudit{Mode: "manual"}
	sick.reports[4].Categories["seo"].Score = nil
	for round := range sick.reports {
		delete(sick.reports[round].Audits, "bootup-time")
	}
	return []reportSet{whole, even, sick}
}

func readReports() []report {
	var all []report
	if err := json.Unmarshal(lhciRecorded, &all); err != nil {
		panic(err) // it is part of the program
	}
	return all
}

// write writes the reports as lighthouse-ci finds them: it reads .lighthouseci/lhr-N.json
// of its working folder, with N of digits, whatever folder it is told.
func (s reportSet) write(dir string) error {
	below := filepath.Join(dir, ".lighthouseci")
	if err := os.MkdirAll(below, 0o755); err != nil {
		return err
	}
	for i, r := range s.reports {
		raw, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(below, fmt.Sprintf("lhr-%d.json", i+1)), raw, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// assertions returns an assertion for all that the first report has, with limits at the
// values of one round, so that others are above and below.
func (s reportSet) assertions() map[string]any {
	all := map[string]any{}
	limit := func(options map[string]float64) []any { return []any{"error", options} }
	for name, a := range s.reports[0].Audits {
		options := map[string]float64{"minScore": 0.9}
		if a.Value != nil {
			options["maxNumericValue"] = *a.Value
		}
		if a.Details != nil && len(a.Details.Items) > 0 {
			options["maxLength"] = float64(len(a.Details.Items))
		}
		all[name] = limit(options)
	}
	for name, c := range s.reports[1].Categories {
		if c.Score != nil {
			all["categories:"+name] = limit(map[string]float64{"minScore": *c.Score})
		}
	}
	for _, item := range s.reports[0].Audits["resource-summary"].Details.Items {
		all["resource-summary:"+item.Type+":size"] = limit(map[string]float64{"maxNumericValue": max(*item.Size-1, 0)})
		all["resource-summary:"+item.Type+":count"] = limit(map[string]float64{"maxNumericValue": *item.Count})
	}
	all["bootup-time"] = "warn" // which the sick rounds do not have
	return all
}

// run returns the values as the gate has them.
func (s reportSet) run() budget.Run {
	series := map[string]*measure.Series{}
	for round, r := range s.reports {
		for metric, value := range values(r) {
			if series[metric] == nil {
				series[metric] = &measure.Series{Key: measure.Key{Meter: budget.Lighthouse, Subject: page, Metric: metric}, Metric: measure.Metric{Name: metric, Unit: unitOf(metric)}}
			}
			series[metric].Head = append(series[metric].Head, measure.Point{Round: round, Value: value})
		}
	}
	run := budget.Run{
		Lighthouse: s.reports[0].Version, Rounds: map[string]int{budget.Lighthouse: len(s.reports)},
		Representative: map[string]map[string]int{budget.Lighthouse: {page: s.representative()}},
	}
	for _, metric := range slices.Sorted(maps.Keys(series)) {
		run.Series = append(run.Series, *series[metric])
	}
	return run
}

func unitOf(metric string) measure.Unit {
	switch {
	case strings.HasSuffix(metric, budget.Score) || slices.Contains(budget.Categories(), metric):
		return measure.Score
	case strings.HasSuffix(metric, budget.Length) || strings.HasSuffix(metric, ":count"):
		return measure.Count
	case strings.HasSuffix(metric, ":size"):
		return measure.Bytes
	}
	return measure.Milliseconds
}

// values returns the values of one report by metric.
func values(r report) map[string]float64 {
	all := map[string]float64{}
	for name, c := range r.Categories {
		if c.Score != nil {
			all[name] = *c.Score
		}
	}
	for name, a := range r.Audits {
		if a.Mode == "error" || a.Mode == "manual" {
			continue
		}
		switch {
		case a.Score != nil:
			all[name+budget.Score] = *a.Score
		case a.Mode == "notApplicable":
			all[name+budget.Score] = 1
		case a.Mode == "informative":
			all[name+budget.Score] = 0
		}
		if a.Value != nil {
			all[name] = *a.Value
		}
		if a.Details != nil { // as the meter does: without a list there is no length
			all[name+budget.Length] = float64(len(a.Details.Items))
		}
	}
	if summary := r.Audits["resource-summary"]; summary != nil && summary.Details != nil {
		for _, item := range summary.Details.Items {
			all["resource-summary:"+item.Type+":size"], all["resource-summary:"+item.Type+":count"] = *item.Size, *item.Count
		}
	}
	return all
}

// representative returns the round that is nearest to the medians of First Contentful
// Paint and Time to Interactive, of which the upper ones count.
func (s reportSet) representative() int {
	of := func(audit string) (values []float64, median float64) {
		for _, r := range s.reports {
			value := 0.0
			if a := r.Audits[audit]; a != nil && a.Value != nil {
				value = *a.Value
			}
			values = append(values, value)
		}
		return values, slices.Sorted(slices.Values(values))[len(values)/2]
	}
	fcp, fcpMedian := of("first-contentful-paint")
	tti, ttiMedian := of("interactive")
	far := func(i int) float64 {
		return (fcp[i]-fcpMedian)*(fcp[i]-fcpMedian) + (tti[i]-ttiMedian)*(tti[i]-ttiMedian)
	}
	best := 0
	for i := range s.reports {
		if far(i) < far(best) {
			best = i
		}
	}
	return best
}
