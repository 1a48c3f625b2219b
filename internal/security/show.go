package security

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/finding/waiver/openvex"
	"github.com/candlefish/deploy-action/internal/sarif/emit"
	"github.com/candlefish/deploy-action/internal/scanner/tree"
	"github.com/candlefish/deploy-action/internal/security/record"
	"github.com/candlefish/deploy-action/internal/security/scope"
	"github.com/candlefish/deploy-action/internal/security/view"
	"github.com/candlefish/deploy-action/internal/security/view/htmlreport"
)

// The names of the reports, as the seed has them; security-report.json is record.Name.
const (
	reportName = "security-report.md"
	htmlName   = "security-report.html"
	vexName    = "security-waivers.openvex.json"
)

// show writes the reports, tells people, and concludes. What could not be written for
// people is said and changes no verdict. A report that could not be written is an
// error, and a refusal is told nevertheless.
func (s *session) show(ctx context.Context, seen scope.Scanned, r verdict.Result) (action.Result, error) {
	page := s.page()
	shown, left := []action.Annotation(nil), ""
	if s.v.Bool("annotations") {
		var err error
		if shown, left, err = s.annotations(ctx, seen, r); err != nil {
			s.a.Printf("no annotations: %v", err)
		}
	}
	page.LeftOut = left
	paths, unwritten := s.writeReports(r, page, seen)
	if unwritten != nil {
		if paths = (written{}); r.Verdict == verdict.Pass { // of which there is no report
			return action.Result{}, unwritten
		}
	}
	for _, n := range shown {
		s.a.Annotate(n)
	}
	told := s.publish(ctx, seen.Workspace.Commit, r, page)
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
		return "refused: findings are over their budgets"
	case verdict.Inconclusive:
		return "inconclusive: not all was scanned that the level needs"
	case verdict.Pass: // its status says enough
	}
	return ""
}

func (s *session) page() view.Page {
	return view.Page{Run: s.a.RunURL(), Waivers: s.v.String("waivers")}
}

// annotations are those for lines that the pull request changed, none outside of one.
func (s *session) annotations(ctx context.Context, seen scope.Scanned, r verdict.Result) ([]action.Annotation, string, error) {
	if !s.PullRequest() || seen.Workspace.Span.Copy == "" {
		return nil, "", nil
	}
	changed, err := tree.Changed(ctx, tree.Local(scope.Git), seen.Workspace.Span)
	if err != nil {
		return nil, "", err
	}
	shown, left := view.Annotations(r, view.TouchedBy(changed))
	return shown, left, nil
}

// written are the paths of the reports.
type written struct {
	report, json, html string
	sarif              []string
}

// writeReports writes all files of a scan.
func (s *session) writeReports(r verdict.Result, page view.Page, seen scope.Scanned) (written, error) {
	dir := s.v.String("report-dir")
	w := written{report: filepath.Join(dir, reportName), json: filepath.Join(dir, record.Name), html: filepath.Join(dir, htmlName)}
	raw, err := record.Marshal(r)
	if err != nil {
		return w, err
	}
	html, err := htmlreport.Render(r, page.Run)
	if err != nil {
		return w, fmt.Errorf("render the HTML report: %w", err)
	}
	content := map[string][]byte{w.json: raw, w.html: html, w.report: []byte(view.Report(r, page))}
	for _, one := range seen.Seen {
		for name, raw := range one.Artifacts {
			content[filepath.Join(dir, filepath.Base(name))] = []byte(s.a.Redact(string(raw)))
		}
	}
	if vex, left := openvex.Write(r, cmp.Or(s.Repository, "security-gate")); vex != nil {
		content[filepath.Join(dir, vexName)] = vex
		if left > 0 {
			s.a.Printf("%s lacks %d waived findings, of which its statement would not be true of the whole package", vexName, left)
		}
	}
	sarif, err := s.sarif(r)
	if err != nil {
		return w, err
	}
	maps.Copy(content, sarif)
	w.sarif = slices.Sorted(maps.Keys(sarif))
	errs := []error{files.Ignored(dir), files.Ignored(s.v.String("sarif-dir"))}
	for _, path := range slices.Sorted(maps.Keys(content)) {
		errs = append(errs, files.Write(path, content[path]))
	}
	return w, errors.Join(errs...)
}

// outputsOf are the outputs of a scan.
func outputsOf(r verdict.Result, paths written) map[string]string {
	counts := map[finding.Severity]int{}
	fresh, waived := 0, 0
	for _, f := range r.Findings {
		switch {
		case f.Waived.Holds():
			waived++
			continue
		case f.State == finding.StateNew:
			fresh++
		}
		counts[f.Severity]++
	}
	out := map[string]string{
		"status": string(r.Verdict), "level": string(r.Level), "score": strconv.Itoa(r.Score), "score-status": r.Band.Status,
		"critical": strconv.Itoa(counts[finding.Critical]), "high": strconv.Itoa(counts[finding.High]),
		"medium": strconv.Itoa(counts[finding.Medium]), "low": strconv.Itoa(counts[finding.Low]), "waived": strconv.Itoa(waived),
		"unmet": unmet(r), "unhealthy": unhealthy(r),
		"report": paths.report, "report-json": paths.json, "report-html": paths.html, "sarif": strings.Join(paths.sarif, "\n"),
	}
	if r.Compared != "" {
		out["new"], out["fixed"] = strconv.Itoa(fresh), strconv.Itoa(len(r.Fixed))
	}
	return out
}

func unmet(r verdict.Result) string {
	var lines []string
	for _, n := range r.Needs {
		if !n.Met {
			lines = append(lines, n.What)
		}
	}
	return strings.Join(lines, "\n")
}

// unhealthy are the scanners that did not do their work.
func unhealthy(r verdict.Result) string {
	var lines []string
	for _, t := range r.Tools {
		switch t.Health {
		case verdict.Healthy, verdict.NotApplicable, verdict.LeftOut:
		default:
			lines = append(lines, fmt.Sprintf("%s: %s: %s", t.Name, t.Health, strings.ReplaceAll(cmp.Or(t.Why, "no reason known"), "\n", " ")))
		}
	}
	return strings.Join(lines, "\n")
}

// lacked reports whether a need is unmet that a tool could have met.
func lacked(r verdict.Result, tool string) bool {
	return slices.ContainsFunc(r.Needs, func(n verdict.Answered) bool { return !n.Met && slices.Contains(n.Tools, tool) })
}

// sarifName is the file of all findings, for other readers than GitHub.
const sarifName = "security-gate.sarif"

// sarif renders the findings in SARIF, by the path of its file.
func (s *session) sarif(r verdict.Result) (map[string][]byte, error) {
	document, _ := emit.Of(r, s.emitOptions(false))
	var b bytes.Buffer
	if err := document.Write(&b); err != nil {
		return nil, fmt.Errorf("render SARIF: %w", err)
	}
	return map[string][]byte{filepath.Join(s.v.String("sarif-dir"), sarifName): b.Bytes()}, nil
}

func (s *session) emitOptions(upload bool) emit.Options {
	return emit.Options{Upload: upload, LineHash: emit.Hashes(os.DirFS(s.v.String("dir"))), Server: s.a.Getenv("GITHUB_SERVER_URL")}
}
