// Package emit writes SARIF 2.1.0, for GitHub's code scanning and for other readers.
//
// A run is of one tool. Each finding is in one run only, that of the first healthy
// tool that saw it, so that GitHub shows it once; the other tools are named beside it.
// A tool that ran and found nothing has an empty run: without it GitHub would keep
// its last alerts open. For the same reason a tool that did not see all has no run in
// what is uploaded: an empty run would close its alerts.
//
// Whatever does not fit in GitHub's limits is left out from the mildest on, and told:
// see [Left].
package emit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/sarif"
)

// Options say how to write.
type Options struct {
	// Category is the first part of the category of all runs; "" for DefaultCategory.
	Category string
	// Upload writes what GitHub is to show: no runs of tools that did not see all, and
	// nothing that is not there any more.
	Upload bool
	// LineHash returns GitHub's primaryLocationLineHash of a line of a file, "" if it
	// is not known; nil for never. Findings without one are known to GitHub by their own ID.
	LineHash func(path string, line int) string
	Server   string // GitHub's address: "https://github.com"; "" for none
}

// DefaultCategory is the category of runs whose caller names none.
const DefaultCategory = "security-gate"

// A Document is what one or several files are written from.
type Document struct {
	Runs   []Run
	Place  verdict.Place
	Server string
}

// A Run is of one tool.
type Run struct {
	Tool     string
	Version  string   // "" if it is not known
	ID       string   // automationDetails.id: the category, with a slash behind it
	Whole    bool     // it ran and saw all there is
	Why      []string // it did not
	Ended    time.Time
	Files    int  // that it looked at; -1 if it is not known
	Compared bool // there was a baseline: every result has its state
	Results  []Result
}

// A Result is one finding at one place.
type Result struct {
	Sighting finding.Sighting
	Severity finding.Severity
	ID       string   // the finding's fingerprint; "" if it has none
	Tools    []string // all that saw it
	Also     []finding.Location
	State    finding.State
	Waived   finding.Waived
	// Accepted says that what the tool itself suppresses is accepted. Else it is under
	// review: who can change the code could suppress what they like.
	Accepted bool
	Known    bool    // to be exploited
	EPSS     float64 // -1 if it is not known
	Absent   bool    // it is in the baseline only
	hash     string
}

// Left is something that a file has not.
type Left struct {
	Tool  string
	What  string // "results", "run", "hidden results"
	Count int
	Why   string
}

// String returns it as a sentence.
func (l Left) String() string {
	switch l.What {
	case "run":
		return fmt.Sprintf("%s has no run in the SARIF: %s", l.Tool, l.Why)
	case hidden:
		return fmt.Sprintf("GitHub does not show %d results of %s: %s", l.Count, l.Tool, l.Why)
	}
	return fmt.Sprintf("%d %s of %s are not in the SARIF: %s", l.Count, l.What, l.Tool, l.Why)
}

// Of makes a document of a scan.
func Of(r verdict.Result, o Options) (Document, []Left) {
	d := Document{Place: r.Place, Server: o.Server}
	var left []Left
	at := map[string]int{}
	healthy := map[string]bool{}
	for _, t := range r.Tools {
		whole := t.Health == verdict.Healthy || t.Health == verdict.NotApplicable
		healthy[t.Name] = whole
		switch {
		case t.Health == verdict.LeftOut:
			continue
		case o.Upload && !whole:
			left = append(left, Left{t.Name, "run", 1, fmt.Sprintf("it is %s, and GitHub would close the alerts that it did not see again", t.Health)})
			continue
		}
		run := Run{Tool: t.Name, Version: t.Version, Whole: whole, Ended: r.At, Files: t.Coverage.Files, Compared: r.Compared != "", ID: id(o, t.Name)}
		if !whole {
			run.Why = []string{fmt.Sprintf("%s: %s", t.Health, t.Why)}
		}
		at[t.Name] = len(d.Runs)
		d.Runs = append(d.Runs, run)
	}
	lost := map[string]int{}
	add := func(all []finding.Finding, gone bool) {
		for _, f := range all {
			one := resultOf(f, healthy, gone)
			tool := one.Sighting.Tool
			if _, ok := at[tool]; !ok && !o.Upload && tool != "" { // of a SARIF file that was given
				at[tool] = len(d.Runs)
				d.Runs = append(d.Runs, Run{Tool: tool, Whole: healthy[given], Ended: r.At, Files: -1, Compared: r.Compared != "", ID: id(o, tool)})
			}
			if i, ok := at[tool]; ok {
				d.Runs[i].Results = append(d.Runs[i].Results, one)
			} else if !gone {
				lost[one.Sighting.Tool]++
			}
		}
	}
	add(r.Findings, false)
	if !o.Upload && r.Compared != "" {
		add(r.Fixed, true)
	}
	for tool, n := range lost {
		left = append(left, Left{tool, "results", n, "the tool has no run"})
	}
	d.finish(o)
	slices.SortFunc(left, func(a, b Left) int { return cmp.Or(strings.Compare(a.Tool, b.Tool), strings.Compare(a.What, b.What)) })
	return d, left
}

// id is the category of a tool's run: what stands before the last slash.
func id(o Options, tool string) string {
	return strings.Trim(cmp.Or(o.Category, DefaultCategory), "/") + "/" + tool + "/"
}

// given is the scanner whose sightings have the names of the tools whose SARIF files
// it reads.
const given = "sarif"

// resultOf makes the result of a finding, at the first sighting of a healthy tool.
func resultOf(f finding.Finding, healthy map[string]bool, gone bool) Result {
	r := Result{Severity: f.Severity, ID: f.ID, State: f.State, Waived: f.Waived, Accepted: f.Waived.Holds(), Known: f.Exploited, EPSS: f.EPSS, Absent: gone}
	if len(f.Sightings) == 0 {
		return r
	}
	first := max(slices.IndexFunc(f.Sightings, func(s finding.Sighting) bool { return healthy[s.Tool] }), 0)
	r.Sighting = f.Sightings[first]
	r.Sighting.Title = cmp.Or(r.Sighting.Title, f.Title)
	for i, s := range f.Sightings {
		if !slices.Contains(r.Tools, s.Tool) {
			r.Tools = append(r.Tools, s.Tool)
		}
		if here := s.Location; i != first && here.Path != "" && !same(here, r.Sighting.Location) && len(r.Also) < maxAlso &&
			!slices.ContainsFunc(r.Also, func(l finding.Location) bool { return same(l, here) }) {
			r.Also = append(r.Also, here)
		}
	}
	return r
}

func same(a, b finding.Location) bool { return a.Path == b.Path && a.Line == b.Line }

// OfLog makes a document of what was read, run by run. Runs of one tool and category
// must have been merged, see [sarif.Merge].
func OfLog(l sarif.Log, o Options) Document {
	d := Document{Server: o.Server}
	for _, r := range l.Runs {
		run := Run{Tool: cmp.Or(r.Tool, r.Name), Version: r.Version, ID: r.Category, Whole: r.Ran && len(r.Doubts) == 0, Why: r.Doubts, Ended: r.Ended, Files: r.Files}
		if run.ID == "" {
			run.ID = id(o, r.Name)
		}
		run.Results = make([]Result, 0, len(r.Sightings))
		for _, s := range r.Sightings {
			severity, _ := finding.Rate(s)
			run.Results = append(run.Results, Result{Sighting: s, Severity: severity, EPSS: -1, Accepted: true})
		}
		d.Runs = append(d.Runs, run)
	}
	d.finish(o)
	return d
}

// finish sorts the results and gives each what GitHub knows it by.
func (d *Document) finish(o Options) {
	for i := range d.Runs {
		results := d.Runs[i].Results
		slices.SortStableFunc(results, Result.compare)
		for j := range results {
			r := &results[j]
			s := r.Sighting
			r.hash = s.LineHash
			if r.hash == "" && o.LineHash != nil && s.Location.Path != "" && s.Location.Commit == "" {
				r.hash = o.LineHash(s.Location.Path, max(s.Location.Line, 1)) // of a whole file that of its first
			}
			if r.hash == "" && r.ID != "" {
				r.hash = r.ID + ":1"
			}
		}
	}
}

// compare puts what is there before what is not any more, and the worst first.
func (r Result) compare(other Result) int {
	a, b := r.Sighting, other.Sighting
	if r.Absent != other.Absent {
		if r.Absent {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(other.Severity, r.Severity), cmp.Compare(a.Location.Path, b.Location.Path), cmp.Compare(a.Location.Line, b.Location.Line),
		cmp.Compare(a.Location.Column, b.Location.Column), cmp.Compare(a.Rule, b.Rule), cmp.Compare(r.ID, other.ID), cmp.Compare(a.Message, b.Message))
}
