package budget

import (
	_ "embed" // the names of audits
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The first and the last major version of Lighthouse whose audits are known.
const (
	firstMajor = 10
	lastMajor  = 13
)

// auditList has a line for each audit of Lighthouse 10.4.0, 11.7.1, 12.8.2 and 13.5.0:
// its name, the first of these major versions that has it, and the last one if a later
// one has not.
//
//go:embed audits.txt
var auditList string

// A span is the major versions that have an audit, both included.
type span struct{ first, last int }

// categories of Lighthouse.
var categories = map[string]span{
	"performance":    {firstMajor, lastMajor},
	"accessibility":  {firstMajor, lastMajor},
	"best-practices": {firstMajor, lastMajor},
	"seo":            {firstMajor, lastMajor},
	"pwa":            {firstMajor, 11},
}

var audits = sync.OnceValue(func() map[string]span {
	all := map[string]span{}
	for line := range strings.Lines(auditList) {
		fields := append(strings.Fields(line), strconv.Itoa(lastMajor))
		first, _ := strconv.Atoi(fields[1]) // a test reads the whole list
		last, _ := strconv.Atoi(fields[2])
		all[fields[0]] = span{first, last}
	}
	return all
})

// A gone audit is one of the default limits that a newer Lighthouse does not have.
type gone struct {
	// successor is the audit that finds the same thing; "" if none does.
	successor string
	why       string
}

// successors says what became of audits. An insight that also looks at other things
// than the audit it replaced is no successor: it would refuse what the limit allows.
var successors = map[string]gone{
	"viewport":               {"viewport-insight", ""},
	"tap-targets":            {"target-size", ""},
	"uses-text-compression":  {"", "document-latency-insight looks at the compression of the document alone, and at redirects and the server's time beside it"},
	"uses-responsive-images": {"", "image-delivery-insight has it in one score with formats and compression of images"},
	"content-width":          {"", "no audit compares the width of the content with that of the screen any more"},
	"font-size":              {"", "no audit looks at the size of fonts any more"},
	"pwa":                    {"", "the category was removed in Lighthouse 12"},
	// Both were removed before Lighthouse 10.
	"no-vulnerable-libraries":           {"", "the security gate finds packages with known vulnerabilities"},
	"external-anchors-use-rel-noopener": {"", "browsers treat links to a new window as noopener"},
}

// auditOf returns the audit or category that a metric of Lighthouse comes from.
func auditOf(metric string) string {
	metric, _, _ = strings.Cut(metric, ":")
	for _, suffix := range []string{Score, Length, Waste} {
		metric = strings.TrimSuffix(metric, suffix)
	}
	return metric
}

// major returns the major version of "13.5.0"; 0 if it is not known.
func major(version string) int {
	text, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// has reports whether a version of Lighthouse has an audit or category. What nobody
// knows about a version that is older or newer than the known ones is what the nearest
// known one has.
func has(version, audit string) bool {
	s, ok := audits()[audit]
	if c, is := categories[audit]; is {
		s, ok = c, true
	}
	m := min(max(major(version), firstMajor), lastMajor)
	return ok && s.first <= m && m <= s.last
}

// lacks says that a version of Lighthouse does not have an audit or category, and
// what it has instead.
func lacks(version, audit string) string {
	what := "audit"
	if _, ok := categories[audit]; ok {
		what = "category"
	}
	text := fmt.Sprintf("Lighthouse %s has no %s %s", version, what, audit)
	if g := successors[audit]; g.successor != "" {
		return text + "; " + g.successor + " finds the same thing"
	} else if g.why != "" {
		return text + ": " + g.why
	}
	return text
}

// A Removal is a default limit that some version of Lighthouse has nothing for.
type Removal struct {
	Audit string
	Since int // major version without it; 10 for "before 10"
	// Successor is the audit that the limit is for instead; "" if it does not apply,
	// and then Why says why.
	Successor, Why string
}

// Removals returns what became of default limits, by audit.
func Removals() []Removal {
	var all []Removal
	for audit, g := range successors {
		since := firstMajor
		for m := firstMajor; m <= lastMajor; m++ {
			if has(strconv.Itoa(m), audit) {
				since = m + 1
			}
		}
		all = append(all, Removal{audit, since, g.successor, g.why})
	}
	slices.SortFunc(all, func(a, b Removal) int { return strings.Compare(a.Audit, b.Audit) })
	return all
}

// Known reports whether one of the known versions of Lighthouse has the audit.
func Known(audit string) bool {
	_, ok := audits()[audit]
	return ok
}

// Categories returns the categories of Lighthouse, sorted.
func Categories() []string {
	var all []string
	for name := range categories {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
