package sarif

import (
	"strings"

	gosarif "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/sarif/place"
)

// A location is where a result is (section 3.28).
type location struct {
	ID       *int `json:"id"`
	Physical *struct {
		Artifact *artifactLocation `json:"artifactLocation"`
		Region   *struct {
			StartLine   int `json:"startLine"`
			StartColumn int `json:"startColumn"`
			EndLine     int `json:"endLine"`
			Snippet     *struct {
				Text string `json:"text"`
			} `json:"snippet"`
		} `json:"region"`
	} `json:"physicalLocation"`
}

// An artifactLocation names a file (section 3.4). An index of nil is none.
type artifactLocation struct {
	URI    string `json:"uri"`
	BaseID string `json:"uriBaseId"`
	Index  *int   `json:"index"`
}

// first is the location that a result is shown at, as GitHub has it; a related one if
// it has no other.
func first(r *result) *location {
	for _, all := range [][]location{r.Locations, r.RelatedLocations} {
		for i := range all {
			if p := all[i].Physical; p != nil && p.Artifact != nil {
				return &all[i]
			}
		}
	}
	return &location{}
}

// snippet is the first line of the text at the location.
func (l *location) snippet() string {
	if l.Physical == nil || l.Physical.Region == nil || l.Physical.Region.Snippet == nil {
		return ""
	}
	text := strings.TrimLeft(l.Physical.Region.Snippet.Text, "\r\n")
	first, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(first)
}

// places are the files of a run.
type places struct {
	uris      *place.Resolver
	artifacts []artifact
}

func newPlaces(workspace string, r *gosarif.Run, artifacts []artifact) places {
	bases := map[string]place.Base{}
	for id, l := range r.OriginalUriBaseIds {
		bases[id] = place.Base{URI: value(l.URI), Parent: value(l.URIBaseID)}
	}
	return places{uris: place.New(workspace, bases), artifacts: artifacts}
}

// locate returns where a location is in the workspace. What is a file outside of it is
// returned beside it.
func (p *places) locate(l *location) (at finding.Location, outside string) {
	if l.Physical == nil || l.Physical.Artifact == nil {
		return at, ""
	}
	a := *l.Physical.Artifact
	if a.URI == "" && a.Index != nil && *a.Index >= 0 && *a.Index < len(p.artifacts) && p.artifacts[*a.Index].Location != nil {
		a = *p.artifacts[*a.Index].Location
	}
	if a.URI == "" {
		return at, ""
	}
	at.Path, at.Host, outside = p.uris.Resolve(a.URI, a.BaseID)
	if r := l.Physical.Region; r != nil && at.Path != "" && r.StartLine > 0 {
		at.Line, at.Column = r.StartLine, max(r.StartColumn, 0)
		if r.EndLine > r.StartLine {
			at.End = r.EndLine
		}
	}
	return at, outside
}
