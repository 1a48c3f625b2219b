package scanning

import (
	"context"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// An either is a tool, or what its report of elsewhere says.
type either struct{ tool }

func (e either) Choose(job scanner.Job) scanner.Scanner {
	if job.Settings["report"] != "" {
		return elsewhere{}
	}
	return e.tool
}

// An elsewhere reads the report of another tool.
type elsewhere struct{}

func (elsewhere) About() scanner.About               { return scanner.About{Name: "probe"} }
func (elsewhere) Applies(scanner.Job) (bool, string) { return true, "" }
func (elsewhere) Plant() scanner.Plant               { return scanner.Plant{Without: "it ran elsewhere"} }
func (elsewhere) Scan(context.Context, scanner.Job) (scanner.Report, error) {
	return scanner.Report{Coverage: verdict.Unknown(), Sightings: []finding.Sighting{{Tool: "other", Rule: "r2"}, {Rule: "r3"}}}, nil
}

func TestAScannerCanBeReplacedByAReportOfElsewhere(t *testing.T) {
	t.Parallel()
	s := scanOf(t, either{finds()})
	if seen := s.Run(t.Context())[0]; seen.Tool.Planted != "found" || seen.Sightings[0].Rule != "r1" {
		t.Errorf("without a report: %+v", seen)
	}
	s.Job.Settings = map[string]string{"report": "a.sarif"}
	seen := s.Run(t.Context())[0]
	if seen.Tool.Health != verdict.Healthy || !strings.HasSuffix(seen.Tool.Planted, "it ran elsewhere") {
		t.Errorf("with a report: %+v", seen.Tool)
	}
	if len(seen.Sightings) != 2 || seen.Sightings[0].Tool != "other" || seen.Sightings[1].Tool != "probe" {
		t.Errorf("names of tools: %+v", seen.Sightings)
	}
}
