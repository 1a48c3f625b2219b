package words

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// A claim is what a scan can say about one class of problems.
type Claim struct {
	Class  finding.Class
	Found  string // "none found", "3 found", "not scanned"
	Seen   string // by which tools, of how much; and what did not see it
	Count  int    // findings that are not waived
	Waived int
	Worst  string // the worst severity of Count, "" for none
}

// nouns are the classes as people read them.
var nouns = map[finding.Class]string{
	finding.ClassSecret: "Secrets", finding.ClassDependency: "Dependencies", finding.ClassImage: "Images", finding.ClassCode: "Code",
	finding.ClassConfig: "Configuration", finding.ClassWorkflow: "Workflows", finding.ClassNetwork: "Hosts",
}

// Noun is a class as people read it.
func Noun(c finding.Class) string {
	if n := nouns[c]; n != "" {
		return n
	}
	return plain.Text(string(c), 30)
}

// Claims returns one claim per class.
func Claims(r verdict.Result) []Claim {
	var all []Claim
	for _, c := range finding.Classes() {
		all = append(all, claimOf(r, c))
	}
	return all
}

func claimOf(r verdict.Result, c finding.Class) Claim {
	is := Claim{Class: c}
	worst := finding.Info
	for _, f := range r.Findings {
		switch {
		case f.Class != c:
		case IsWaived(f):
			is.Waived++
		default:
			is.Count++
			worst = max(worst, f.Severity)
			is.Worst = worst.String()
		}
	}
	s := sightOf(r, c)
	is.Seen = s.text()
	switch {
	case is.Count > 0 && s.whole():
		is.Found = plain.Number(is.Count) + " found"
	case is.Count > 0:
		is.Found = plain.Number(is.Count) + " found, not all was scanned"
	case s.whole() && is.Waived > 0:
		is.Found = "none but the waived"
	case s.whole():
		is.Found = "none found"
	case len(s.saw) > 0:
		is.Found = "none seen, not all was scanned"
	case len(s.blind) == 0 && s.idle != "" && s.left == "" && s.met && s.beside == "":
		is.Found = "nothing to scan"
	default:
		is.Found = "not scanned"
	}
	return is
}

// A sight is how much the tools saw of one class.
type sight struct {
	saw    []string // healthy tools, with how much they saw
	part   bool     // one of them saw less than there is
	blind  []string // tools that did not do what they had to, with the reason
	beside string   // what looked at less than the class
	idle   string   // why nothing is for any of them
	left   string   // why one of them did not run
	met    bool     // the needs of the class are met
}

// whole reports whether all that there is of the class was seen by a healthy tool.
func (s sight) whole() bool { return len(s.saw) > 0 && !s.part && s.met }

// namesOnly is a scanner that looks at the names of packages, not for what is known
// of them: its silence says nothing about vulnerabilities.
const namesOnly = "inventory"

func (s sight) text() string {
	parts := slices.Clone(s.saw)
	if s.beside != "" {
		parts = append(parts, s.beside)
	}
	if len(s.blind) > 0 {
		parts = append(parts, "not by "+strings.Join(s.blind, ", "))
	}
	if len(parts) == 0 {
		return plain.Or(cmp.Or(s.left, s.idle))
	}
	return strings.Join(parts, "; ")
}

func sightOf(r verdict.Result, c finding.Class) sight {
	s := sight{met: true}
	names := map[string]bool{}
	for _, t := range r.Tools {
		if t.Class != c {
			continue
		}
		names[t.Name] = true
		extent, whole := Coverage(t.Coverage)
		switch t.Health {
		case verdict.Healthy:
			if t.Name == namesOnly {
				s.beside = strings.TrimSpace(t.Name+" "+extent) + ", names only"
				continue
			}
			s.saw = append(s.saw, strings.TrimSpace(plain.Text(t.Name, 60)+" "+extent))
			s.part = s.part || !whole
		case verdict.LeftOut:
			s.left = cmp.Or(s.left, plain.Text(t.Why, 200))
		case verdict.NotApplicable:
			if s.idle == "" {
				s.idle = plain.Text(t.Why, 200)
			}
		default:
			s.blind = append(s.blind, fmt.Sprintf("%s (%s)", plain.Text(t.Name, 60), t.Health))
		}
	}
	for _, n := range r.Needs {
		if !n.Met && about(n, r.Tools, names) {
			s.met = false
		}
	}
	return s
}

// about reports whether a need is about a class, by the names of its tools. An
// unmet need whose tools are all unknown can be about any class.
func about(n verdict.Answered, tools []verdict.Tool, names map[string]bool) bool {
	known := slices.ContainsFunc(n.Tools, func(name string) bool {
		return slices.ContainsFunc(tools, func(t verdict.Tool) bool { return t.Name == name })
	})
	return !known || slices.ContainsFunc(n.Tools, func(name string) bool { return names[name] })
}

// Coverage says how much a tool saw, "" if it did not say, and whether that is all
// that was expected.
func Coverage(c verdict.Coverage) (text string, whole bool) {
	var parts []string
	whole = true
	for _, p := range []struct {
		seen, expected int
		noun           string
	}{{c.Commits, c.CommitsExpected, "commit"}, {c.Files, c.FilesExpected, "file"}, {c.Packages, c.PackagesExpected, "package"}} {
		switch {
		case p.seen < 0:
		case p.expected < 0:
			parts = append(parts, plain.Count(p.seen, p.noun))
		default:
			parts = append(parts, plain.Number(p.seen)+" of "+plain.Count(p.expected, p.noun))
			whole = whole && p.seen >= p.expected
		}
	}
	if len(parts) == 0 {
		return "", whole
	}
	return "(" + strings.Join(parts, ", ") + ")", whole
}
