package emit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	gosarif "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/candlefish/deploy-action/internal/finding"
)

// A rule is what the results of a run with one rule have in common.
type rule struct {
	index    int
	id       string
	title    string
	help     string
	class    finding.Class
	cwe      []string
	ids      []string
	severity finding.Severity // the worst of its results
	score    float64          // with that severity
}

// rules are those of a run, by id.
func rules(r Run) map[string]*rule {
	all := map[string]*rule{}
	for _, one := range r.Results {
		s := one.Sighting
		known := all[s.Rule]
		if known == nil {
			known = &rule{id: s.Rule, title: s.Title, help: s.Help, class: s.Class, severity: -1}
			all[s.Rule] = known
		}
		if one.Severity > known.severity {
			known.severity, known.score = one.Severity, s.Rating.Score
		}
		known.help = cmp.Or(known.help, s.Help)
		known.cwe, known.ids = union(known.cwe, s.CWE), union(known.ids, s.IDs)
	}
	for i, id := range slices.Sorted(maps.Keys(all)) {
		all[id].index = i
	}
	return all
}

func union(a, b []string) []string {
	for _, text := range b {
		if !slices.Contains(a, text) {
			a = append(a, text)
		}
	}
	return a
}

// level is SARIF's word for a severity.
func level(s finding.Severity) string {
	switch {
	case s >= finding.High:
		return "error"
	case s == finding.Medium:
		return "warning"
	}
	return "note"
}

// bands are GitHub's for security-severity: over 9.0 critical, from 7.0 to 8.9 high,
// 4.0 to 6.9 medium, 0.1 to 3.9 low
// (https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning).
// They leave open what 9.0 is; it is not written. The last is written without a score.
var bands = map[finding.Severity][3]float64{
	finding.Critical: {9.1, 10, 9.5}, finding.High: {7, 8.9, 8}, finding.Medium: {4, 6.9, 5.5}, finding.Low: {0.1, 3.9, 2},
}

// securitySeverity is a score that GitHub shows as this severity: the tool's own, if
// it is in the band. Info has none.
func securitySeverity(s finding.Severity, score float64) string {
	band, ok := bands[s]
	if !ok {
		return ""
	}
	if score < band[0] || score > band[1] {
		score = band[2]
	}
	return strconv.FormatFloat(score, 'f', 1, 64)
}

// maxTags is how many tags GitHub takes of a rule.
const maxTags = 20

// tags are those that GitHub filters by.
func (r *rule) tags() []string {
	all := []string{"security", string(r.class)}
	for _, c := range r.cwe {
		number, err := strconv.Atoi(strings.TrimPrefix(c, "CWE-"))
		if err == nil {
			all = append(all, fmt.Sprintf("external/cwe/cwe-%03d", number))
		}
	}
	all = union(nil, append(all, r.ids...))
	return all[:min(len(all), maxTags)]
}

// descriptor is the rule in SARIF.
func (r *rule) descriptor() *gosarif.ReportingDescriptor {
	title := cmp.Or(r.title, r.id)
	d := gosarif.NewRule(r.id).WithShortDescription(gosarif.NewMultiformatMessageString().WithText(cutRunes(title, maxDescription))).
		WithFullDescription(gosarif.NewMultiformatMessageString().WithText(cutRunes(title, maxDescription)))
	text := title
	if r.help != "" {
		d.WithHelpURI(r.help)
		text += "\nSee " + r.help
	}
	d.WithHelp(gosarif.NewMultiformatMessageString().WithText(text))
	c := gosarif.NewReportingConfiguration()
	c.Level = level(r.severity)
	d.WithDefaultConfiguration(c)
	bag := gosarif.NewPropertyBag().WithTags(r.tags())
	if v := securitySeverity(r.severity, r.score); v != "" {
		bag.Add("security-severity", v)
	}
	return d.WithProperties(bag)
}

// maxDescription is GitHub's limit of a rule's descriptions, in characters.
const maxDescription = 1024

func cutRunes(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}
