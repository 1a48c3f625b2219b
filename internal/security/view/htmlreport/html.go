// Package htmlreport renders the result of a security scan as one HTML page that needs
// nothing else.
package htmlreport

import (
	"bytes"
	_ "embed" // the page and its parts
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/report/htmlpage"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/security/words"
)

//go:embed report.gohtml
var pageText string

//go:embed report.css
var styleText string

//go:embed report.js
var scriptText string

// title is the heading.
const title = "🛡️ Security Report"

// maxRows is how many findings the HTML report has: a browser still filters so many
// at once. JSON has all.
const maxRows = 10000

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{"number": plain.Number}).Parse(pageText))

// A content is what the template shows, as plain text.
type content struct {
	Title, Headline, Policy string
	Style                   template.CSS
	Script                  template.JS
	Verdict                 verdict.Verdict
	Reasons, Notes          []string
	Facts                   [][2]string
	Run                     string
	Classes                 []class
	Level                   verdict.Level
	Needs                   []need
	Rows                    []row
	Left                    int
	Filters                 []filter
	Waivers                 []waiver
	Tools                   []tool
	Speed                   string
}

type (
	class  struct{ Name, Found, Worst, Seen string }
	need   struct{ What, Met, Why string }
	filter struct {
		Name, Label string
		Values      []string
	}
	waiver struct{ Name, What, State, Owner, Until, Why string }
	tool   struct {
		Name, Does, Health, Why, Results, Saw, Planted, Version, Database, Isolated, Took string
		Bad                                                                               bool
	}
	row struct {
		words.Row
		Rank         int // of the severity, for sorting
		ToolList     string
		NameList     string
		WaivedWord   string
		WaiverDetail string
	}
)

// Render renders the report with the URL of its workflow run, "" for none. No request
// leaves the page.
// Without scripts it is a plain table.
func Render(r verdict.Result, run string) ([]byte, error) {
	page := content{
		Title: title, Headline: words.Headline(r), Style: template.CSS(htmlpage.Base + styleText), Script: template.JS(scriptText), // both are ours
		Policy:  htmlpage.Policy(htmlpage.Base+styleText, scriptText),
		Verdict: r.Verdict, Facts: facts(r), Run: plain.HTTPS(run), Level: r.Level, Speed: words.Detected(r.Speed),
	}
	for _, reason := range r.Reasons[:min(len(r.Reasons), 100)] {
		page.Reasons = append(page.Reasons, plain.Text(reason.Text, 500))
	}
	for _, c := range words.Claims(r) {
		page.Classes = append(page.Classes, class{words.Noun(c.Class), c.Found, plain.Or(c.Worst), c.Seen})
	}
	for _, n := range r.Needs {
		met, why := "yes", n.By
		if !n.Met {
			met, why = "no", n.Why
		}
		page.Needs = append(page.Needs, need{plain.Text(n.What, 200), met, plain.Text(plain.Or(why), 500)})
	}
	page.Rows, page.Left = rows(r)
	page.Filters = filters(page.Rows)
	page.Waivers = waivers(r.Waivers)
	page.Tools, page.Notes = tools(r)
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, page); err != nil {
		return nil, fmt.Errorf("render the HTML report: %w", err)
	}
	return b.Bytes(), nil
}

func facts(r verdict.Result) [][2]string {
	var all [][2]string
	add := func(name, value string) {
		if value != "" {
			all = append(all, [2]string{name, value})
		}
	}
	add("Security score", words.Score(r))
	add("Status", strings.TrimSpace(plain.Text(r.Band.Emoji, 10)+" "+words.Status(r)))
	add("Scan level", string(r.Level))
	add("Repository", plain.Text(r.Place.Repository, 200))
	add("Commit", plain.Text(r.Place.Commit, 100))
	add("Ref", plain.Text(r.Place.Ref, 200))
	add("To scan", words.Extent(r.Place))
	add("Compared with", plain.Text(r.Compared, 200))
	if r.OnlyNew {
		add("Limits apply to", "new findings only")
	}
	add("Scanned at", plain.Moment(r.At)+", in "+plain.Took(r.Took))
	return all
}

// rows are the findings of now, then those that are fixed, and how many are left out.
func rows(r verdict.Result) ([]row, int) {
	all := slices.Clone(r.Findings)
	for _, f := range r.Fixed {
		f.State = finding.StateFixed
		all = append(all, f)
	}
	rows := make([]row, 0, min(len(all), maxRows))
	for _, f := range all[:min(len(all), maxRows)] {
		one := row{Row: words.RowOf(f), Rank: int(f.Severity), WaivedWord: "no"}
		one.Help = plain.HTTPS(one.Help)
		one.ToolList, one.NameList = strings.Join(one.Tools, ", "), strings.Join(one.Names, ", ")
		if words.IsWaived(f) {
			one.WaivedWord = "yes"
			one.WaiverDetail = fmt.Sprintf("Waived by %s until %s: %s (%s)", plain.Or(plain.Text(f.Waived.By, 100)), plain.Day(f.Waived.Expires), plain.Or(plain.Text(f.Waived.Reason, 300)), plain.Or(plain.Text(f.Waived.Owner, 60)))
		}
		rows = append(rows, one)
	}
	return rows, max(0, len(all)-maxRows)
}

// filters has the values that the rows have.
func filters(rows []row) []filter {
	all := []filter{{Name: "severity", Label: "Severity"}, {Name: "class", Label: "Class"}, {Name: "tool", Label: "Tool"}, {Name: "state", Label: "State"}, {Name: "waived", Label: "Waived"}}
	seen := map[[2]string]bool{}
	for _, r := range rows {
		for i, values := range [][]string{{r.Severity}, {r.Class}, r.Tools, {r.State}, {r.WaivedWord}} {
			for _, v := range values {
				if key := [2]string{all[i].Name, v}; !seen[key] && v != "" {
					seen[key] = true
					all[i].Values = append(all[i].Values, v)
				}
			}
		}
	}
	for i := range all[1:] { // severities are sorted by the rows
		slices.Sort(all[i+1].Values)
	}
	return all
}

func waivers(w verdict.Waivers) []waiver {
	var all []waiver
	for _, part := range []struct {
		state string
		notes []verdict.WaiverNote
	}{{"refused", w.Refused}, {"expired", w.Expired}, {"ends soon", w.Soon}, {"matches nothing", w.Unused}} {
		for _, n := range part.notes[:min(len(part.notes), maxRows)] {
			all = append(all, waiver{plain.Text(n.Name, 100), plain.Text(n.What, 100), part.state, plain.Or(plain.Text(n.Owner, 60)), plain.Day(n.Expires), plain.Or(plain.Text(n.Why, 300))})
		}
	}
	return all
}

func tools(r verdict.Result) (tools []tool, notes []string) {
	for _, t := range r.Tools {
		name := plain.Text(t.Name, 60)
		tools = append(tools, tool{Name: name, Does: plain.Text(t.Does, 100), Health: plain.Text(string(t.Health), 40), Why: plain.Text(t.Why, 300), Bad: !words.Well(t), Results: words.Results(t), Saw: words.Saw(t),
			Planted: plain.Or(plain.Text(t.Planted, 200)), Version: plain.Or(plain.Text(t.Version, 60)), Database: words.Database(t, r.At), Isolated: plain.Or(plain.Text(strings.Join(t.Isolated, ", "), 300)), Took: plain.Took(t.Took)})
		for _, n := range append(slices.Clone(t.Notes), t.Hint) {
			if n != "" {
				notes = append(notes, name+": "+plain.Text(n, 300))
			}
		}
	}
	return tools, notes
}

// ToolsJSON is the list of tools as the script reads it.
func (r row) ToolsJSON() (string, error) {
	raw, err := json.Marshal(r.Tools)
	if r.Tools == nil {
		return "[]", nil
	}
	return string(raw), err
}
