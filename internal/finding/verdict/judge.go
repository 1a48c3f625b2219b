package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/finding"
)

// An Input is what a verdict is made of. Judge changes nothing of it.
type Input struct {
	Level    Level
	Policy   Policy
	Findings []finding.Finding // with State and Waived
	Fixed    []finding.Finding
	Compared string // what the baseline is; "" for none
	// First says when a finding was first seen, by its ID, as the baseline has it.
	First   map[string]time.Time
	Tools   []Tool
	Needs   []Need // of the level, see [NeedsOf], and what the user asked for beside it
	Waivers Waivers
	Place   Place
	At      time.Time
	Took    time.Duration
}

// Judge says what a scan says. What was found refuses it even if it did not see
// everything; then what it did not see is named too. It passes only if it saw
// everything that its level must contain.
func Judge(in Input) Result {
	r := Result{
		Level: in.Level, Policy: in.Policy, OnlyNew: in.Policy.OnlyNew, Compared: in.Compared,
		Findings: sorted(in.Findings), Fixed: sorted(in.Fixed), Tools: sortedTools(in.Tools),
		Waivers: sortedWaivers(in.Waivers), Place: in.Place, At: in.At, Took: in.Took,
	}
	for _, n := range in.Needs {
		r.Needs = append(r.Needs, answer(n, r.Tools))
	}
	over, ids := r.spend()
	lacks := r.lacks()
	r.Whole = len(lacks) == 0
	r.Score = Score(r.Findings)
	r.Speed = speedOf(r.Findings, in.First, in.At)
	switch {
	case len(over) > 0:
		r.Verdict = Refused
		r.Reasons = slices.Concat(over, r.notHeld(ids), lacks)
	case len(lacks) > 0:
		r.Verdict, r.Reasons = Inconclusive, lacks
	default:
		r.Verdict, r.Reasons = Pass, r.passed()
	}
	r.Band = BandOf(r.Score, r.Verdict)
	return r
}

// Exit returns the exit status of a scan with this result.
func (r Result) Exit() exit.Status {
	if r.Verdict == Pass {
		return exit.Done
	}
	return exit.GateRefused
}

// spend fills in Spent, and returns a reason for each exceeded budget and the IDs
// of all findings that count against one.
func (r *Result) spend() ([]Reason, map[string]bool) {
	var ids [][]string
	r.Spent, ids = r.Policy.spend(r.Findings)
	var over []Reason
	refused := map[string]bool{}
	for i, s := range r.Spent {
		if !s.Exceeded() {
			continue
		}
		over = append(over, Reason{Text: fmt.Sprintf("%s; the budget %s allows %d.", count(s.Count, s.words()+" finding"), s.Budget, s.Max), IDs: ids[i]})
		for _, id := range ids[i] {
			refused[id] = true
		}
	}
	if works := r.ids(func(f finding.Finding) bool { return refused[f.ID] && live(f) }); len(works) > 0 {
		over = slices.Insert(over, 0, Reason{Text: count(len(works), "found credential") + " verified as live: revoke and replace what works.", IDs: works})
	}
	return over, refused
}

func (b Budget) words() string {
	if b.Class == "" {
		return b.Severity.String()
	}
	return b.Severity.String() + " " + string(b.Class)
}

// ids returns the IDs of the findings that have a property.
func (r *Result) ids(has func(finding.Finding) bool) []string {
	var ids []string
	for _, f := range r.Findings {
		if has(f) {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// notHeld names the waivers that do not hold for findings which refused the scan.
func (r *Result) notHeld(refused map[string]bool) []Reason {
	order := map[string]int{}
	for i, f := range r.Findings {
		order[f.ID] = i
	}
	var reasons []Reason
	for _, n := range slices.Concat(r.Waivers.Expired, r.Waivers.Refused) {
		ids := slices.DeleteFunc(slices.Clone(n.IDs), func(id string) bool { return !refused[id] })
		slices.SortFunc(ids, func(a, b string) int { return order[a] - order[b] })
		if len(ids) > 0 {
			reasons = append(reasons, Reason{Text: fmt.Sprintf("The waiver %s for %s does not hold: %s", n.Name, n.What, n.Why), IDs: ids})
		}
	}
	return reasons
}

// lacks says what of the level was not seen.
func (r *Result) lacks() []Reason {
	var reasons []Reason
	add := func(text string) { reasons = append(reasons, Reason{Text: text}) }
	if !slices.ContainsFunc(r.Tools, func(t Tool) bool { return t.Health == Healthy }) {
		add("No scanner gave a result that can be believed.")
	}
	if len(r.Needs) == 0 {
		add(fmt.Sprintf("Nothing is known of what level %q must contain.", r.Level))
	}
	if r.Place.Files <= 0 {
		add("The workspace has no files to scan.")
	}
	if r.Place.Commits <= 0 {
		add("There are no commits to scan.")
	}
	for _, n := range r.Needs {
		if !n.Met {
			add(fmt.Sprintf("Level %s must contain %s, and this scan does not: %s.", r.Level, n.What, n.Why))
		}
	}
	return reasons
}

// passed says why a scan passed.
func (r *Result) passed() []Reason {
	var budgets []string
	for _, s := range r.Spent {
		budgets = append(budgets, fmt.Sprintf("%d of at most %d %s", s.Count, s.Max, s.words()))
	}
	text := "No budget is exceeded: " + strings.Join(budgets, ", ") + "."
	if len(budgets) == 0 {
		text = "No severity has a budget, so findings are only reported."
	}
	reasons := []Reason{
		{Text: text},
		{Text: fmt.Sprintf("All that level %s must contain was seen: %s.", r.Level, count(len(r.Needs), "need"))},
	}
	left := func(what string, ids []string) {
		if len(ids) > 0 {
			reasons = append(reasons, Reason{Text: fmt.Sprintf("%s, not counted: %d.", what, len(ids)), IDs: ids})
		}
	}
	left("Findings of the baseline", r.ids(func(f finding.Finding) bool {
		c := r.Policy.Count(f)
		return !c.Counts && !f.Waived.Holds() && c.As > finding.Info
	}))
	left("Waived findings", r.ids(func(f finding.Finding) bool { return f.Waived.Holds() && !live(f) }))
	var doubted []string
	for _, t := range r.Tools {
		if t.Health != Healthy && t.Health != NotApplicable && t.Health != LeftOut {
			doubted = append(doubted, lack(t))
		}
	}
	if len(doubted) > 0 {
		reasons = append(reasons, Reason{Text: "Scanners that are not believed, and without which the level is complete: " + strings.Join(doubted, "; ") + "."})
	}
	return reasons
}

// count returns "1 finding", "2 findings".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func sortedTools(tools []Tool) []Tool {
	return slices.SortedStableFunc(slices.Values(tools), func(a, b Tool) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Health, b.Health), cmp.Compare(a.Why, b.Why))
	})
}

func sortedWaivers(w Waivers) Waivers {
	by := func(notes []WaiverNote) []WaiverNote {
		return slices.SortedStableFunc(slices.Values(notes), func(a, b WaiverNote) int {
			return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.Name, b.Name), cmp.Compare(a.What, b.What))
		})
	}
	return Waivers{Expired: by(w.Expired), Unused: by(w.Unused), Soon: by(w.Soon), Refused: by(w.Refused)}
}

// IDs returns the IDs of all findings, sorted.
func (r Result) IDs() []string {
	ids := map[string]bool{}
	for _, f := range r.Findings {
		ids[f.ID] = true
	}
	return slices.Sorted(maps.Keys(ids))
}
