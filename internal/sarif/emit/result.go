package emit

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	gosarif "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/candlefish/deploy-action/internal/finding"
)

// maxAlso is how many other places of a finding are written. GitHub takes 1,000 with
// the first.
const maxAlso = 100

// A slim result is one of go-sarif without the lists that are always empty here. A
// list of suppressions without an entry says "known, and not accepted", and go-sarif
// leaves it out.
type slim struct {
	*gosarif.Result
	Attachments      *none                  `json:"attachments,omitempty"`
	CodeFlows        *none                  `json:"codeFlows,omitempty"`
	Fixes            *none                  `json:"fixes,omitempty"`
	GraphTraversals  *none                  `json:"graphTraversals,omitempty"`
	Graphs           *none                  `json:"graphs,omitempty"`
	Locations        []place                `json:"locations"`
	Rank             *none                  `json:"rank,omitempty"`
	RelatedLocations []place                `json:"relatedLocations,omitempty"`
	Stacks           *none                  `json:"stacks,omitempty"`
	Suppressions     *[]gosarif.Suppression `json:"suppressions,omitempty"`
	Taxa             *none                  `json:"taxa,omitempty"`
	Message          text                   `json:"message"`
}

// A text is a message without arguments.
type text struct {
	Text string `json:"text"`
}

// A place is a location without the indices and offsets that go-sarif writes as -1.
type place struct {
	ID       int     `json:"id,omitempty"`
	Physical spot    `json:"physicalLocation"`
	Logical  []named `json:"logicalLocations,omitempty"`
}

type spot struct {
	Artifact struct {
		URI    string `json:"uri"`
		BaseID string `json:"uriBaseId"`
	} `json:"artifactLocation"`
	Region region `json:"region"`
}

type region struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
	EndLine     int `json:"endLine,omitempty"`
}

type named struct {
	Name string `json:"fullyQualifiedName"`
	Kind string `json:"kind"`
}

// suppresses reports whether a result of the run is accepted: then all of its results
// say whether they are (section 3.27.23).
func (r Run) suppresses() bool {
	return slices.ContainsFunc(r.Results, func(one Result) bool { return one.Waived.Holds() || one.Sighting.Suppressed != "" })
}

func (r *Result) sarif(of *rule, compared, suppressed bool) slim {
	s := r.Sighting
	out := gosarif.NewResult()
	out.RuleID, out.RuleIndex, out.Level = &of.id, of.index, level(r.Severity)
	if r.hash != "" {
		out.PartialFingerprints = map[string]string{"primaryLocationLineHash": r.hash}
	}
	if r.ID != "" {
		out.Fingerprints = map[string]string{"candlefish/v1": r.ID}
	}
	if compared {
		out.WithBaselineState(r.baselineState())
	}
	out.Properties = r.properties()
	one := slim{Result: out, Locations: []place{placeOf(s.Location)}, Message: text{cmp.Or(s.Message, s.Title, s.Rule)}}
	for i, l := range r.Also {
		also := placeOf(l)
		also.ID = i + 1
		one.RelatedLocations = append(one.RelatedLocations, also)
	}
	if suppressed {
		all := r.suppressions()
		one.Suppressions = &all
	}
	return one
}

func (r *Result) baselineState() string {
	switch {
	case r.Absent || r.State == finding.StateFixed:
		return "absent"
	case r.State == finding.StateExisting:
		return "unchanged"
	}
	return "new"
}

func (r *Result) properties() *gosarif.PropertyBag {
	bag := gosarif.NewPropertyBag()
	if v := securitySeverity(r.Severity, r.Sighting.Rating.Score); v != "" {
		bag.Add("security-severity", v)
	}
	bag.Add("candlefish/severity", r.Severity.String()).Add("candlefish/class", string(r.Sighting.Class))
	if len(r.Tools) > 1 {
		bag.Add("candlefish/tools", r.Tools)
	}
	if p := r.Sighting.Package; p.Name != "" {
		bag.Add("candlefish/package", strings.Trim(p.Name+"@"+p.Version, "@"))
		if p.Fixed != "" {
			bag.Add("candlefish/fixed-in", p.Fixed)
		}
	}
	if r.Known {
		bag.Add("candlefish/exploited", true)
	}
	if r.EPSS >= 0 {
		bag.Add("candlefish/epss", r.EPSS)
	}
	if c := r.Sighting.Location.Commit; c != "" {
		bag.Add("candlefish/commit", c)
	}
	return bag
}

// suppressions are the waiver of a finding and what the tool itself suppresses; an
// empty list for neither. A reader takes a result as suppressed only if all of them
// are accepted.
func (r *Result) suppressions() []gosarif.Suppression {
	all := []gosarif.Suppression{}
	if w := r.Waived; w.Holds() {
		why := cmp.Or(w.Reason, "waived") + " (" + w.By
		if w.Owner != "" {
			why += ", by " + w.Owner
		}
		if !w.Expires.IsZero() {
			why += ", until " + w.Expires.Format("2006-01-02")
		}
		all = append(all, *gosarif.NewSuppression().WithKind("external").WithStatus("accepted").WithJustification(why + ")"))
	}
	if why := r.Sighting.Suppressed; why != "" {
		kind := "external"
		if strings.HasPrefix(why, "suppressed in the source") {
			kind = "inSource"
		}
		status := "underReview"
		if r.Accepted {
			status = "accepted"
		}
		all = append(all, *gosarif.NewSuppression().WithKind(kind).WithStatus(status).WithJustification(why))
	}
	return all
}

// placeOf is where a finding is. GitHub shows only what is in a file: a host and an
// image are shown as a file of their name.
func placeOf(l finding.Location) place {
	var p place
	file := l.Path
	if l.Image != "" {
		file = strings.TrimSuffix("image/"+l.Image+"/"+l.Path, "/")
		p.Logical = []named{{l.Image, "resource"}}
	}
	if l.Host != "" {
		file = "host/" + l.Host
		p.Logical = []named{{l.Host, "resource"}}
	}
	p.Physical.Artifact.URI, p.Physical.Artifact.BaseID = uri(cmp.Or(file, "repository")), root
	p.Physical.Region = region{StartLine: max(l.Line, 1), StartColumn: l.Column}
	if l.End > l.Line {
		p.Physical.Region.EndLine = l.End
	}
	return p
}

// uri is a relative path as a URI: no part of it is taken for a scheme, a query or a
// fragment.
func uri(file string) string {
	parts := strings.Split(strings.TrimLeft(file, "/"), "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(url.PathEscape(part), ":", "%3A")
	}
	return strings.Join(parts, "/")
}
