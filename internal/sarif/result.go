package sarif

import (
	"cmp"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	gosarif "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/sarif/ids"
)

// A result is the part of a SARIF result that is read (section 3.27).
type result struct {
	RuleID              *string           `json:"ruleId"`
	RuleIndex           *int              `json:"ruleIndex"`
	Rule                *reference        `json:"rule"`
	Kind                string            `json:"kind"`
	Level               string            `json:"level"`
	BaselineState       string            `json:"baselineState"`
	Message             message           `json:"message"`
	Locations           []location        `json:"locations"`
	RelatedLocations    []location        `json:"relatedLocations"`
	Suppressions        []suppression     `json:"suppressions"`
	PartialFingerprints map[string]string `json:"partialFingerprints"`
	Taxa                []reference       `json:"taxa"`
	Properties          bag               `json:"properties"`
	Provenance          *struct {
		InvocationIndex *int `json:"invocationIndex"`
	} `json:"provenance"`
}

// A bag has the properties that are read, of a rule or of a result.
type bag struct {
	Tags             []string `json:"tags"`
	SecuritySeverity any      `json:"security-severity"` // a string; of some tools a number
	Severity         any      `json:"severity"`
	ProblemSeverity  any      `json:"problem.severity"`
	CWE              any      `json:"cwe"`
	CVE              any      `json:"cve"`
}

// An outcome is what a result is to a gate.
type outcome int

const (
	problem   outcome = iota
	noProblem         // of another kind than fail
	absent            // not there any more
)

// The longest texts that are kept, in bytes.
const (
	maxTitle   = 256
	maxNote    = 500
	maxMessage = 4000
	maxContext = 500
)

// A worker reads results; each goroutine has its own.
type worker struct {
	*context
	about map[*gosarif.ReportingDescriptor]described
}

func (c *context) worker() *worker {
	return &worker{context: c, about: map[*gosarif.ReportingDescriptor]described{}}
}

// sighting reads one result.
func (w *worker) sighting(raw []byte) (finding.Sighting, outcome, error) {
	var r result
	if len(raw) == 0 || raw[0] != '{' {
		return finding.Sighting{}, problem, errors.New("it is no object")
	}
	if err := decode(raw, &r); err != nil {
		return finding.Sighting{}, problem, err
	}
	switch {
	case value(r.RuleID) == "" && r.Rule == nil && r.RuleIndex == nil && r.Message.empty():
		return finding.Sighting{}, problem, errors.New("it has neither a rule nor a message")
	case r.BaselineState == "absent":
		return finding.Sighting{}, absent, nil
	case r.Kind != "" && r.Kind != "fail" && kinds[r.Kind]:
		return finding.Sighting{}, noProblem, nil
	}
	return w.make(&r), problem, nil
}

// kinds are those of section 3.27.9. An unknown one counts as a problem.
var kinds = map[string]bool{"pass": true, "open": true, "informational": true, "notApplicable": true, "review": true, "fail": true}

func (w *worker) make(r *result) finding.Sighting {
	rule := w.rules.of(r)
	about := w.describe(rule)
	s := finding.Sighting{
		Tool: w.name, Rule: cmp.Or(line(value(r.RuleID), maxTitle), line(idOf(r.Rule), maxTitle), about.id, "no-rule"),
		Help: about.help, Suppressed: suppressed(r.Suppressions), LineHash: lineHash(r.PartialFingerprints),
	}
	s.Title = cmp.Or(about.title, w.clean(s.Rule))
	s.CWE = w.weaknesses(about.cwe, r)
	s.IDs = ids.Advisories(append([]string{s.Rule, about.name}, texts(r.Properties.CVE)...), append(about.tags, r.Properties.Tags...))
	s.Rating = finding.Rating{
		Word: cmp.Or(word(r.Properties), about.word), Score: cmp.Or(score(r.Properties.SecuritySeverity), about.score), Level: w.level(r, rule),
	}
	if !levels[s.Rating.Level] {
		s.Rating.Word, s.Rating.Level = cmp.Or(s.Rating.Word, line(s.Rating.Level, maxTitle)), "warning"
	}
	at := first(r)
	outside := ""
	s.Location, outside = w.places.locate(at)
	s.Class = w.classOf(&s, about, r)
	if s.Class == finding.ClassImage {
		s.Location.Image = w.image
	}
	s.Location.Commit = commit(r.PartialFingerprints["commitSha"])
	w.words(&s, r, rule, at, outside)
	return s
}

// words sets the texts of a result, from which secrets are kept away. What a scanner
// of secrets writes about a single result is dropped as a whole.
func (w *worker) words(s *finding.Sighting, r *result, rule *gosarif.ReportingDescriptor, at *location, outside string) {
	snippet := at.snippet()
	if s.Class == finding.ClassSecret {
		if w.gitleaks && snippet != "" && snippet != "REDACTED" && w.options.Hash != nil {
			s.Secret.Hash = w.options.Hash.Hash(snippet)
		}
		s.Message = s.Title
	} else {
		text := r.Message.text(rule, w.driver)
		s.Message = w.clean(cut(strings.TrimSpace(text), maxMessage))
		if s.Package = ids.Package(text, s.Rule); s.Package.Name != "" && s.Package.Ecosystem == "" {
			s.Package.Ecosystem = ids.Ecosystem(s.Location.Path)
		}
		if !credential(s.CWE) {
			s.Location.Context = w.clean(cut(strings.TrimSpace(snippet), maxContext))
		}
	}
	if outside != "" {
		s.Message = strings.TrimSpace(s.Message + "\nIt is at " + w.clean(line(outside, maxTitle)) + ", outside of the workspace.")
	}
	if s.Message == "" {
		s.Message = s.Title
	}
}

// described is what a rule says of itself, for all of its results.
type described struct {
	id, name, title, help, word string
	tags, cwe                   []string
	score                       float64
}

// describe reads a rule once.
func (w *worker) describe(rule *gosarif.ReportingDescriptor) described {
	if rule == nil {
		return described{}
	}
	if d, ok := w.about[rule]; ok {
		return d
	}
	d := described{id: line(value(rule.ID), maxTitle), name: line(value(rule.Name), maxTitle), help: link(value(rule.HelpURI))}
	for _, m := range []*gosarif.MultiformatMessageString{rule.ShortDescription, rule.FullDescription} {
		if m != nil && d.title == "" {
			d.title = cmp.Or(value(m.Text), value(m.Markdown))
		}
	}
	d.title = w.clean(cmp.Or(line(d.title, maxTitle), d.name, d.id))
	if rule.Properties != nil {
		raw, err := json.Marshal(rule.Properties)
		var b bag
		if err == nil && decode(raw, &b) == nil {
			d.tags, d.score, d.word = b.Tags, score(b.SecuritySeverity), word(b)
			d.cwe = append(texts(b.CWE), b.Tags...)
		}
	}
	for _, rel := range rule.Relationships {
		if rel != nil && rel.Target != nil && rel.Target.ToolComponent != nil && strings.EqualFold(value(rel.Target.ToolComponent.Name), "CWE") {
			d.cwe = append(d.cwe, "cwe-"+strings.TrimPrefix(strings.ToLower(value(rel.Target.ID)), "cwe-"))
		}
	}
	w.about[rule] = d
	return d
}

// word is how bad a tool says that it is, in a word of its own. "problem.severity" is
// CodeQL's for the quality of code and comes last.
func word(b bag) string {
	for _, v := range []any{b.Severity, b.ProblemSeverity} {
		if text, ok := v.(string); ok && text != "" && len(text) < 40 {
			return text
		}
	}
	for _, tag := range b.Tags { // Trivy's
		switch tag {
		case "CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN":
			return tag
		}
	}
	return ""
}

// score reads a security-severity, from 0 to 10.
func score(v any) float64 {
	n, ok := v.(float64)
	if text, isText := v.(string); isText {
		parsed, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		n, ok = parsed, err == nil
	}
	if !ok || !(n >= 0 && n <= 10) {
		return 0
	}
	return n
}

// texts reads a property that is a string or a list of them.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v {
			if text, ok := one.(string); ok {
				all = append(all, text)
			}
		}
		return all
	}
	return nil
}

// A suppression says that a result is accepted (section 3.35).
type suppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

// suppressed says why a result is accepted: it is if there are suppressions, and none
// of them was rejected or waits for a review (section 3.27.23).
func suppressed(all []suppression) string {
	why := ""
	for _, s := range all {
		if s.Status != "" && s.Status != "accepted" {
			return ""
		}
		text := "suppressed outside of the source"
		if s.Kind == "inSource" {
			text = "suppressed in the source"
		}
		if j := line(s.Justification, maxTitle); j != "" {
			text += ": " + j
		}
		why = cmp.Or(why, text)
	}
	return why
}

// lineHash is GitHub's. Other partial fingerprints are of one tool only, and may hold
// people's names and addresses: they are dropped.
func lineHash(prints map[string]string) string {
	h := cmp.Or(prints["primaryLocationLineHash"], prints["primaryLocationLineHash/v1"])
	hash, count, _ := strings.Cut(h, ":")
	if hash == "" || len(h) > 80 || strings.Trim(hash, hexDigits) != "" || strings.Trim(count, "0123456789") != "" {
		return ""
	}
	return h
}

const hexDigits = "0123456789abcdef"

func commit(text string) string {
	if len(text) != 40 || strings.Trim(text, hexDigits) != "" {
		return ""
	}
	return text
}

func idOf(r *reference) string {
	if r == nil {
		return ""
	}
	return r.ID
}
