// Package htmlreport renders the result of a performance run as one HTML page that needs
// nothing else: charts of every metric over the last runs, and the rounds of both sides.
package htmlreport

import (
	"bytes"
	_ "embed" // the page and its style
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/quantity"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/words"
	"github.com/candlefish/deploy-action/internal/report/htmlpage"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

//go:embed report.gohtml
var pageText string

//go:embed report.css
var styleText string

// title is the heading.
const title = "📊 Performance Report"

// maxCards is how many measurements the page has. JSON has all.
const maxCards = 2000

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{"number": plain.Number}).Parse(pageText))

// A content is what the template shows, as plain text.
type content struct {
	Title, Headline, Policy, Run string
	Style                        template.CSS
	Verdict                      verdict.Verdict
	Reasons, Notes               []string
	Facts                        [][2]string
	Loud                         []*card
	Groups                       []group
	Left                         int
	Broken                       [][4]string
	Limits                       [][3]string
	Comparisons                  [][5]string
	Meters                       []meter
	Files                        []file
}

type (
	// A group has the measurements of one meter.
	group struct {
		Name  string
		Loud  int
		Cards []*card
	}
	// A card is one measurement.
	card struct {
		words.Row
		ID       string
		Class    string
		History  *chart
		Strip    *strip
		Rounds   [][2]string // side and values
		Medians  [][3]string // day, median and what the run was
		FromList string
	}
	meter struct {
		Name, Does, Health, Rounds, Versions, Isolated, Took string
		Bad                                                  bool
	}
	file struct {
		What, Of, Side string
		Round          int
		Path           string
		Link           string
		Representative bool
	}
)

// Render renders the report with the URL of its workflow run, "" for none. Links to kept
// files are relative to the folder performance-report.
func Render(r verdict.Result, run string) ([]byte, error) {
	style := htmlpage.Base + styleText
	page := content{
		Title: title, Headline: words.Headline(r), Style: template.CSS(style), Policy: htmlpage.Policy(style, ""), // it is ours
		Verdict: words.Verdict(r), Run: plain.HTTPS(run), Facts: facts(r), Files: files(r),
	}
	for _, reason := range r.Reasons[:min(len(r.Reasons), 100)] {
		text := plain.Text(reason.Text, 500)
		for _, k := range reason.Keys[:min(len(reason.Keys), 5)] {
			text += " [" + plain.Text(k.String(), 200) + "]"
		}
		page.Reasons = append(page.Reasons, text)
	}
	page.cards(r)
	page.tests(r)
	page.meters(r)
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
			all = append(all, [2]string{name, plain.Text(value, 500)})
		}
	}
	add("Status", words.Status(r))
	add("Environment", r.Target)
	add("Load scenarios", words.Scenarios(r))
	add("Target URL", r.URL)
	add("Base URL", r.BaseURL)
	add("Repository", r.Repository)
	add("Commit", r.Commit)
	add("Ref", r.Ref)
	for _, with := range r.Compared[:min(len(r.Compared), 10)] {
		add("Compared with", with)
	}
	add("Measured at", plain.Moment(r.At)+", in "+plain.Took(r.Took)+", of which "+plain.Took(r.Own)+" were not measuring")
	add("Measured in", r.Environment.Key())
	add("Earlier runs in the charts", plain.Number(len(r.History.Runs)))
	return all
}

// cards makes the cards of all measurements, by meter.
func (page *content) cards(r verdict.Result) {
	rows := words.Rows(r)
	page.Left = max(0, len(rows)-maxCards)
	series := map[measure.Key]measure.Series{}
	for _, s := range r.Series {
		series[s.Key] = s
	}
	comparisons := map[measure.Key]compare.Comparison{}
	for _, c := range r.Comparisons {
		if c.Against == compare.AgainstBase || c.Against == "" {
			comparisons[c.Key] = c
		}
	}
	limits := limitsOf(r)
	groups, drawn := map[string]*group{}, map[measure.Key]bool{}
	for i, row := range rows[:min(len(rows), maxCards)] {
		c := &card{Row: row, ID: fmt.Sprintf("m%d", i+1), Class: "rank-" + row.Rank.String(), FromList: strings.Join(row.From, ", ")}
		if s, ok := series[row.Key]; ok && !drawn[row.Key] {
			drawn[row.Key] = true
			c.draw(r, s, limits[row.Key], comparisons[row.Key])
		}
		name := plain.Text(row.Key.Meter, 60)
		g := groups[name]
		if g == nil {
			g = &group{Name: name}
			groups[name] = g
		}
		g.Cards = append(g.Cards, c)
		if row.Rank < words.RankQuiet {
			g.Loud++
			page.Loud = append(page.Loud, c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		page.Groups = append(page.Groups, *groups[name])
	}
}

// draw adds the charts of a series, and their values as text.
func (c *card) draw(r verdict.Result, s measure.Series, limit *float64, compared compare.Comparison) {
	anchor, anchored := words.Anchor(r, s.Key)
	var pinned *float64
	if anchored {
		pinned = &anchor
	}
	c.History = newChart(c.ID, s, c.Row, limit, pinned, c.Metric+" of "+c.Of)
	c.Strip = newStrip(c.ID, s, compared, r.Policy.Rule.Alpha, c.Metric+" of "+c.Of)
	for _, side := range []measure.Side{measure.Base, measure.Head} {
		var values []string
		points := s.Of(side)
		for _, p := range points[:min(len(points), 100)] {
			values = append(values, quantity.Value(s.Metric.Unit, p.Value))
		}
		if len(values) > 0 {
			c.Rounds = append(c.Rounds, [2]string{string(side), strings.Join(values, ", ")})
		}
	}
	if c.Rank == words.RankQuiet && limit == nil && !s.Metric.Compared {
		return
	}
	for _, p := range c.Past {
		what := plain.Text(string(p.Verdict), 20)
		if p.Now {
			what = "this run"
		}
		c.Medians = append(c.Medians, [3]string{strings.TrimSpace(p.Day + " " + p.Commit), quantity.Value(s.Metric.Unit, p.Median), what})
	}
}

// limitsOf are the first limits of series that apply.
func limitsOf(r verdict.Result) map[measure.Key]*float64 {
	all := map[measure.Key]*float64{}
	for _, b := range r.Budgets {
		if all[b.Key] == nil && b.NotApplicable == "" {
			all[b.Key] = new(b.Limit)
		}
	}
	return all
}

// tests are the tables of limits, comparisons and the tools' own checks.
func (page *content) tests(r verdict.Result) {
	for _, b := range r.Budgets[:min(len(r.Budgets), maxCards)] {
		page.Limits = append(page.Limits, [3]string{words.Checked(b), words.Kept(b), plain.Or(plain.Text(b.From, 200))})
	}
	for _, c := range r.Comparisons[:min(len(r.Comparisons), maxCards)] {
		page.Comparisons = append(page.Comparisons, [5]string{words.Compared(c, r.Policy.Rule.Alpha), fmt.Sprintf("%d and %d", c.BaseN, c.HeadN), fmt.Sprintf("%.3g, %.3g", c.P, c.Adjusted), fmt.Sprintf("%.2f", c.Effect), plain.Or(plain.Text(c.Why, words.WhyLength))})
	}
	broken := words.Broken(r)
	for _, a := range broken[:min(len(broken), 500)] {
		page.Broken = append(page.Broken, [4]string{plain.Text(a.Meter+" "+a.Subject, words.SubjectLength), plain.Text(a.Text, 300), fmt.Sprint(a.Round + 1), plain.Or(plain.Text(a.Why, 300))})
	}
}

func (page *content) meters(r verdict.Result) {
	for _, m := range r.Meters[:min(len(r.Meters), 100)] {
		health := plain.Text(string(m.Health), 40)
		if m.Why != "" {
			health += ": " + plain.Text(m.Why, 300)
		}
		var versions []string
		for _, name := range slices.Sorted(maps.Keys(m.Versions)) {
			versions = append(versions, name+" "+m.Versions[name])
		}
		name := plain.Text(m.Name, 60)
		page.Meters = append(page.Meters, meter{Name: name, Does: plain.Text(m.Does, 100), Health: health, Bad: !words.Well(m), Rounds: plain.Number(m.Rounds), Versions: plain.Or(plain.Text(strings.Join(versions, ", "), 300)), Isolated: plain.Or(plain.Text(strings.Join(m.Isolated, ", "), 300)), Took: plain.Took(m.Took)})
		for _, n := range append(slices.Clone(m.Notes[:min(len(m.Notes), 20)]), m.Hint) {
			if n != "" {
				page.Notes = append(page.Notes, name+": "+plain.Text(n, 300))
			}
		}
	}
}

// files are those kept for people, the representative rounds first.
func files(r verdict.Result) []file {
	var first, rest []file
	for _, f := range r.Files[:min(len(r.Files), 2000)] {
		one := file{What: plain.Text(f.What, 100), Of: plain.Text(f.Meter+" "+f.Subject, words.SubjectLength), Side: plain.Text(string(f.Side), 20), Round: f.Round + 1, Path: plain.Text(f.Path, 300), Link: relative(f.Path), Representative: f.Representative}
		if one.Representative {
			first = append(first, one)
		} else {
			rest = append(rest, one)
		}
	}
	return append(first, rest...)
}

// relative is a link to a file below the report's folder; "" for a path that leaves it.
func relative(p string) string {
	if p == "" || path.IsAbs(p) || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../") || plain.Text(p, len(p)) != p || strings.Contains(p, "\\") {
		return ""
	}
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i] = strings.ReplaceAll(url.PathEscape(s), ":", "%3A")
	}
	return "./" + strings.Join(segments, "/")
}
