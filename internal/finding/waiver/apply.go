package waiver

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// A Policy says which waivers hold. The zero value is the default.
type Policy struct {
	// MaxAge is the most time between a waiver's creation and its last day; without
	// a day of creation, between today and its last day. 0 is the package's MaxAge.
	MaxAge time.Duration
	// Soon is how long before its end a waiver is reported; 0 is the package's Soon.
	Soon time.Duration
	// TrustTools lets a suppression of a tool's own, or of its SARIF, hold. It has no
	// owner and no end, so by default it is shown and does not hold.
	TrustTools bool
	// Part says that the scan does not look at everything, so that a waiver which
	// matches nothing is not reported as unused.
	Part bool
}

// Apply returns the findings with the waivers that hold for them, and the waivers
// that need people. A finding is waived only if each sighting of it is: one waiver
// can cover them all, or several together.
func (p Policy) Apply(findings []finding.Finding, waivers []Waiver, now time.Time) ([]finding.Finding, verdict.Waivers) {
	if p.MaxAge == 0 {
		p.MaxAge = MaxAge
	}
	if p.Soon == 0 {
		p.Soon = Soon
	}
	a := &applying{policy: p, now: now, uses: make([]use, len(waivers))}
	for i, w := range waivers {
		a.uses[i] = use{Waiver: w, broken: p.broken(w, now)}
	}
	a.index()
	all := slices.Clone(findings)
	for i := range all {
		all[i].Waived = a.waive(all[i])
	}
	return all, a.notes()
}

// broken says why a waiver does not hold whatever it matches, "" if it holds.
func (p Policy) broken(w Waiver, now time.Time) string {
	today := now.UTC().Truncate(day)
	from, of := w.Created, "its creation"
	if from.IsZero() {
		from, of = today, "today, for it does not say when it was created"
	}
	switch {
	case w.Created.After(today):
		return fmt.Sprintf("it says that it was created on %s, which is in the future.", w.Created.Format(dateForm))
	case w.Expires.IsZero():
		return "it has no end."
	case w.Expires.Sub(from) > p.MaxAge:
		return fmt.Sprintf("it ends on %s, more than %d days after %s.", w.Expires.Format(dateForm), int(p.MaxAge/day), of)
	}
	return ""
}

// A use is a waiver with the findings that it matched.
type use struct {
	Waiver
	broken  string   // why it never holds
	matches []string // IDs of findings with a sighting that it matches
	live    []string // of these, credentials that were verified as live
	partly  []string // of these, findings with sightings that no waiver covers
	missed  string   // one of those sightings
}

// applying is one call of Apply.
type applying struct {
	policy Policy
	now    time.Time
	uses   []use
	// byID and byPrint find waivers by the lower-case ID and by the fingerprint.
	byID, byPrint map[string][]int
}

func (a *applying) index() {
	a.byID, a.byPrint = map[string][]int{}, map[string][]int{}
	for i, u := range a.uses {
		if u.Fingerprint != "" {
			a.byPrint[u.Fingerprint] = append(a.byPrint[u.Fingerprint], i)
		} else {
			for _, id := range slices.Concat(u.Aliases, []string{u.ID}) {
				id = strings.ToLower(id)
				a.byID[id] = append(a.byID[id], i)
			}
		}
	}
}

func (a *applying) expired(u use) bool { return !a.now.Before(u.ends()) }

// candidates returns the waivers that name a finding or one of its sightings.
func (a *applying) candidates(f finding.Finding) []int {
	var all []int
	all = append(all, a.byPrint[f.ID]...)
	for _, print := range f.Fingerprints {
		all = append(all, a.byPrint[print]...)
	}
	for _, id := range f.IDs {
		all = append(all, a.byID[strings.ToLower(id)]...)
	}
	for _, s := range f.Sightings {
		for _, id := range s.IDs {
			all = append(all, a.byID[strings.ToLower(id)]...)
		}
		all = append(all, a.byID[rule(s)]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// rule is how a waiver names a rule of a tool.
func rule(s finding.Sighting) string { return strings.ToLower(s.Tool + "/" + s.Rule) }

// covers reports whether a waiver that names a finding is for a sighting of it. An
// identifier of a vulnerability is for all sightings of the finding, by whatever
// name a tool knows it; a rule is for those of its tool.
func covers(u use, f finding.Finding, s finding.Sighting) bool {
	if u.Fingerprint != "" {
		return len(u.Commits) == 0 || len(f.Commits) == 0 || slices.ContainsFunc(u.Commits, func(c string) bool { return slices.Contains(f.Commits, c) })
	}
	named := rule(s) == strings.ToLower(u.ID) || isVulnerability(f, u.ID) ||
		slices.ContainsFunc(u.Aliases, func(id string) bool { return isVulnerability(f, id) })
	return named && inScope(u.Scope, s)
}

// isVulnerability reports whether a finding has an identifier.
func isVulnerability(f finding.Finding, id string) bool {
	has := func(ids []string) bool {
		return slices.ContainsFunc(ids, func(other string) bool { return strings.EqualFold(other, id) })
	}
	return has(f.IDs) || slices.ContainsFunc(f.Sightings, func(s finding.Sighting) bool { return has(s.IDs) })
}

// waive returns the waiver that holds for a finding, and notes its uses.
func (a *applying) waive(f finding.Finding) finding.Waived {
	var matched, holding []int
	open := ""
	suppressed := 0
	candidates := a.candidates(f)
	for _, s := range f.Sightings {
		covered := false
		for _, i := range candidates {
			u := a.uses[i]
			if !covers(u, f, s) {
				continue
			}
			matched = append(matched, i)
			if u.broken == "" && !a.expired(u) {
				holding, covered = append(holding, i), true
			}
		}
		if !covered && a.policy.TrustTools && s.Suppressed != "" {
			suppressed++
			covered = true
		}
		if !covered && open == "" {
			open = place(s)
		}
	}
	live := slices.ContainsFunc(f.Sightings, func(s finding.Sighting) bool { return s.Secret.Live == finding.LiveVerified })
	a.note(f, matched, holding, open, live)
	if open != "" || live || len(f.Sightings) == 0 {
		return finding.Waived{}
	}
	return a.waived(f, holding)
}

// note enters a finding in each waiver that it matches.
func (a *applying) note(f finding.Finding, matched, holding []int, open string, live bool) {
	for _, i := range sortedSet(matched) {
		u := &a.uses[i]
		u.matches = append(u.matches, f.ID)
		switch {
		case live:
			u.live = append(u.live, f.ID)
		case open != "" && slices.Contains(holding, i):
			u.partly = append(u.partly, f.ID)
			u.missed = open
		}
	}
}

// waived returns what holds for a finding: of several waivers the one that ends
// first, with the names of all.
func (a *applying) waived(f finding.Finding, holding []int) finding.Waived {
	holding = sortedSet(holding)
	if len(holding) == 0 {
		s := f.Sightings[0]
		return finding.Waived{By: "a suppression of " + s.Tool, Reason: s.Suppressed}
	}
	var names []string
	first := a.uses[holding[0]]
	for _, i := range holding {
		names = append(names, a.uses[i].Name)
		if a.uses[i].Expires.Before(first.Expires) {
			first = a.uses[i]
		}
	}
	return finding.Waived{By: strings.Join(names, ", "), Reason: first.Reason, Owner: first.Owner, Kind: first.Kind, Expires: first.Expires}
}

func sortedSet(indices []int) []int {
	return slices.Compact(slices.Sorted(slices.Values(indices)))
}

// place says where a sighting is, for people.
func place(s finding.Sighting) string {
	at := s.Location
	where := at.Path
	switch {
	case at.Image != "":
		where = imagePrefix + at.Image
	case at.Host != "":
		where = hostPrefix + at.Host
	}
	if where == "" {
		where = "no place"
	}
	return fmt.Sprintf("that of %s (%s) in %s", s.Tool, s.Rule, where)
}
