package verdict

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/candlefish/deploy-action/internal/finding"
)

// A Count says what a finding counts as, under a policy.
type Count struct {
	Counts bool
	As     finding.Severity
	Why    string // a sentence
}

// Count says whether a finding counts against the budgets, at which severity, and
// why. Neither a waiver nor the baseline nor a lower rating holds for a credential
// that was verified as live.
func (p Policy) Count(f finding.Finding) Count {
	if live(f) {
		return Count{true, finding.Critical, "It is a credential that was verified as live: it counts as critical, whatever the baseline and the waivers say."}
	}
	if f.Waived.Holds() {
		return Count{false, f.Severity, "It is waived by " + f.Waived.By + "."}
	}
	as, why := f.Severity, ""
	if p.Called && as > finding.Info && uncalled(f) {
		as--
		why = fmt.Sprintf(" It counts as %s instead of %s, since the program does not call it.", as, f.Severity)
	}
	switch {
	case as == finding.Info:
		return Count{false, as, "Findings of severity info never count." + why}
	case p.OnlyNew && f.State == finding.StateExisting:
		return Count{false, as, "The baseline has it, and only new findings count." + why}
	}
	return Count{true, as, "It is open." + why}
}

// live reports whether a finding is a credential that works.
func live(f finding.Finding) bool {
	return slices.ContainsFunc(f.Sightings, func(s finding.Sighting) bool { return s.Secret.Live == finding.LiveVerified })
}

// uncalled reports whether it is known for each place of a dependency's
// vulnerability that the program does not call it there. A place that nobody looked
// at for calls may call it.
func uncalled(f finding.Finding) bool {
	if f.Class != finding.ClassDependency {
		return false
	}
	known := map[string]bool{}
	for _, s := range f.Sightings {
		switch s.Reach {
		case finding.ReachImported, finding.ReachRequired:
			known[s.Location.Path] = true
		case finding.ReachUnknown:
		default:
			return false
		}
	}
	return len(known) > 0 && !slices.ContainsFunc(f.Sightings, func(s finding.Sighting) bool { return !known[s.Location.Path] })
}

// spend counts the findings against the budgets. The IDs are those of each budget.
func (p Policy) spend(findings []finding.Finding) ([]Spent, [][]string) {
	spent := make([]Spent, len(p.Budgets))
	ids := make([][]string, len(p.Budgets))
	for i, b := range p.Budgets {
		spent[i].Budget = b
		for _, f := range findings {
			c := p.Count(f)
			if c.Counts && c.As == b.Severity && (b.Class == "" || b.Class == f.Class) {
				spent[i].Count++
				ids[i] = append(ids[i], f.ID)
			}
		}
	}
	return spent, ids
}

// sorted returns the findings, the worst first, in an order that depends on them alone.
func sorted(findings []finding.Finding) []finding.Finding {
	all := slices.Clone(findings)
	slices.SortStableFunc(all, func(a, b finding.Finding) int {
		return cmp.Or(
			cmp.Compare(b.Severity, a.Severity),
			-compareBool(live(a), live(b)),
			-compareBool(a.Exploited, b.Exploited),
			cmp.Compare(b.EPSS, a.EPSS),
			cmp.Compare(slices.Index(finding.Classes(), a.Class), slices.Index(finding.Classes(), b.Class)),
			cmp.Compare(a.Title, b.Title),
			cmp.Compare(a.ID, b.ID),
		)
	})
	return all
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
