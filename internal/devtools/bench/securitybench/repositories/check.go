package repositories

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
)

// A sight is what a sighting is known by, in a recorded result too: that has no hash
// of a secret, and texts may be redacted.
type sight struct {
	tool, rule, id string
	class          finding.Class
	at             finding.Location
	pkg            finding.Package
}

func (s sight) String() string {
	return fmt.Sprintf("%s %s %s in %s:%d %s", s.tool, s.rule, s.id, s.at.Path, s.at.Line, s.pkg.Name)
}

func newSight(s finding.Sighting) sight {
	one := sight{tool: s.Tool, rule: s.Rule, class: s.Class, at: s.Location, pkg: s.Package}
	one.at.Context, one.pkg.Fixed = "", ""
	if len(s.IDs) > 0 {
		one.id = s.IDs[0]
	}
	return one
}

// faultsOf compares the gate's findings with what the scanners said alone: each of
// their sightings is in one finding, no finding has one that they did not have, and no
// two findings are the same vulnerability of the same package at the same place.
func faultsOf(findings []finding.Finding, scanned []alone) []string {
	return slices.Concat(misplaced(findings, scanned), twice(findings))
}

func misplaced(findings []finding.Finding, scanned []alone) []string {
	// Two credentials at one place are two findings.
	want := map[sight]map[string]bool{}
	for _, one := range scanned {
		for _, s := range one.sightings {
			k := newSight(s)
			if want[k] == nil {
				want[k] = map[string]bool{}
			}
			want[k][s.Secret.Hash] = true
		}
	}
	got := map[sight]int{}
	for _, f := range findings {
		inThis := map[sight]bool{}
		for _, s := range f.Sightings {
			inThis[newSight(s)] = true
		}
		for k := range inThis {
			got[k]++
		}
	}
	var faults []string
	for k, hashes := range want {
		if got[k] != len(hashes) {
			faults = append(faults, fmt.Sprintf("%s is in %d findings, want %d", k, got[k], len(hashes)))
		}
	}
	for k := range got {
		if want[k] == nil {
			faults = append(faults, fmt.Sprintf("%s is in a finding, and the scanner did not report it alone", k))
		}
	}
	slices.Sort(faults)
	return faults
}

// twice are the vulnerabilities that are more than one finding.
func twice(findings []finding.Finding) []string {
	in := map[string]map[string]bool{} // findings of an identifier, a package and a place
	for _, f := range findings {
		for _, s := range f.Sightings {
			for _, id := range f.IDs {
				at := strings.Replace(s.Location.Path, "go.sum", "go.mod", 1) // both are of one module
				k := fmt.Sprintf("%s in %s, %s%s", id, s.Package.Name, at, s.Location.Image)
				if in[k] == nil {
					in[k] = map[string]bool{}
				}
				in[k][f.ID] = true
			}
		}
	}
	var faults []string
	for k, ids := range in {
		if len(ids) > 1 {
			faults = append(faults, fmt.Sprintf("%s is %d findings: %v", k, len(ids), slices.Sorted(maps.Keys(ids))))
		}
	}
	slices.Sort(faults)
	return faults
}
