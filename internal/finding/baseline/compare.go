package baseline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// A Comparison is what a scan is beside a baseline.
type Comparison struct {
	// Findings are those of the scan, with their State.
	Findings []finding.Finding
	// Fixed are in the baseline only, and all that saw them have looked again.
	Fixed []finding.Finding
	// Unknown are in the baseline only, and nobody knows whether they are still there.
	Unknown []Entry
	// First says when each finding was first seen, by its ID; new ones have no entry.
	First map[string]time.Time
	// Compared is what the baseline is.
	Compared string
	// Notes say what the comparison cannot know, in sentences.
	Notes []string
}

// Compare says which findings of a scan are new.
//
// A finding is existing if the baseline has one of its fingerprints. A secret that
// is in commits is existing only if the baseline has it in one of these commits: a
// secret that replaces another one at the same place looks the same but for that.
// With a baseline of this run secrets are compared by their hashes instead.
//
// What a tool found that the baseline does not have is new, even if it was there
// before: a gate cannot tell, and must not pass it. The notes name these tools, so
// that the author of a change sees why it is held for what others wrote; a new
// baseline of the main branch ends that.
func Compare(found []finding.Finding, base Baseline, scan Scan) Comparison {
	c := Comparison{Findings: slices.Clone(found), First: map[string]time.Time{}, Compared: base.name()}
	m := newMatcher(base)
	matched := make([]bool, len(base.Entries))
	for i := range c.Findings {
		f := &c.Findings[i]
		f.State = finding.StateNew
		entries, existing := m.match(*f)
		for _, n := range entries {
			matched[n] = true
		}
		if !existing {
			continue
		}
		f.State = finding.StateExisting
		if first := m.first(entries); !first.IsZero() {
			c.First[f.ID] = first
		}
	}
	for n, e := range base.Entries {
		switch {
		case matched[n]:
		case scan.looked(e, base.Level):
			c.Fixed = append(c.Fixed, e.finding(finding.StateFixed))
		default:
			c.Unknown = append(c.Unknown, e)
		}
	}
	c.Notes = notes(c, base, scan)
	return c
}

// name says what the baseline is.
func (b Baseline) name() string {
	switch {
	case b.Name != "":
		return b.Name
	case b.Commit != "":
		return fmt.Sprintf("the baseline of commit %.7s, %s", b.Commit, b.At.UTC().Format(time.DateOnly))
	}
	return "the baseline of " + b.At.UTC().Format(time.DateOnly)
}

// A matcher finds entries by their fingerprints.
type matcher struct {
	Baseline
	prints, commits map[string]int
}

func newMatcher(base Baseline) matcher {
	m := matcher{base, map[string]int{}, map[string]int{}}
	for n, e := range base.Entries {
		for _, p := range e.Fingerprints {
			m.prints[p] = n
		}
		for _, p := range e.Commits {
			m.commits[p] = n
		}
	}
	return m
}

// match returns the entries that a finding is, and whether it was there before. One
// that looks like an entry and is another secret is new, and the entry is not fixed
// by it.
func (m matcher) match(f finding.Finding) (entries []int, existing bool) {
	for _, p := range f.Fingerprints {
		if n, ok := m.prints[p]; ok && !slices.Contains(entries, n) {
			entries = append(entries, n)
		}
	}
	inCommit := false
	for _, p := range f.Commits {
		if n, ok := m.commits[p]; ok {
			inCommit = true
			if !slices.Contains(entries, n) {
				entries = append(entries, n)
			}
		}
	}
	hash := hashOf(f)
	switch {
	case m.secrets != nil && hash != "":
		return entries, m.secrets[hash]
	case len(f.Commits) > 0:
		return entries, inCommit
	}
	return entries, len(entries) > 0
}

// hashOf returns the hash of a secret, which is the same in all sightings.
func hashOf(f finding.Finding) string {
	for _, s := range f.Sightings {
		if s.Secret.Hash != "" {
			return s.Secret.Hash
		}
	}
	return ""
}

// first returns when the first of some entries was first seen.
func (m matcher) first(entries []int) time.Time {
	var first time.Time
	for _, n := range entries {
		if at := m.Entries[n].FirstSeen; first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// looked reports whether a scan would have found an entry that is still there.
func (s Scan) looked(e Entry, level verdict.Level) bool {
	for _, tool := range e.Tools {
		if !slices.Contains(s.Tools, tool) {
			return false
		}
	}
	if depth(s.Level) < depth(level) || len(e.Commits) > 0 && !s.Whole {
		return false
	}
	place := func(l finding.Location) bool { return l.Lasting() == e.Place }
	switch {
	case strings.HasPrefix(e.Place, "image:"):
		return slices.ContainsFunc(s.Images, func(name string) bool { return place(finding.Location{Image: name}) })
	case strings.HasPrefix(e.Place, "host:"):
		return slices.ContainsFunc(s.Hosts, func(name string) bool { return place(finding.Location{Host: name}) })
	}
	return true
}

// depth orders levels.
func depth(l verdict.Level) int {
	return slices.Index([]verdict.Level{verdict.Quick, verdict.Standard, verdict.Deep}, l)
}

// notes say what the comparison cannot know.
func notes(c Comparison, base Baseline, scan Scan) []string {
	var all []string
	if base.Level != scan.Level {
		all = append(all, fmt.Sprintf("The baseline was made at level %s, this scan at level %s.", base.Level, scan.Level))
	}
	fresh := map[string]int{}
	for _, f := range c.Findings {
		tools := toolsOf(f)
		if f.State == finding.StateNew && !slices.ContainsFunc(tools, func(tool string) bool { return slices.Contains(base.Tools, tool) }) {
			for _, tool := range tools {
				fresh[tool]++
			}
		}
	}
	for _, tool := range keys(fresh) {
		all = append(all, fmt.Sprintf("%s of %s may be older than this change: the baseline has no scan of it. Make a new baseline on the main branch.", count(fresh[tool], "new finding"), tool))
	}
	gone := map[string]int{}
	for _, e := range c.Unknown {
		gone[scan.missing(e)]++
	}
	for _, why := range keys(gone) {
		all = append(all, fmt.Sprintf("Not known to be fixed: %s of the baseline, since %s.", count(gone[why], "finding"), why))
	}
	return all
}

// missing says why nobody looked for an entry.
func (s Scan) missing(e Entry) string {
	var tools []string
	for _, tool := range e.Tools {
		if !slices.Contains(s.Tools, tool) {
			tools = append(tools, tool)
		}
	}
	switch {
	case len(tools) > 0:
		return strings.Join(tools, ", ") + " gave no result that can be believed"
	case strings.HasPrefix(e.Place, "image:"), strings.HasPrefix(e.Place, "host:"):
		return e.Place + " was not scanned, or not as deep"
	case len(e.Commits) > 0 && !s.Whole:
		return "only a part of the history was scanned"
	}
	return "this scan is not as deep"
}

func toolsOf(f finding.Finding) []string {
	var all []string
	for _, s := range f.Sightings {
		all = append(all, s.Tool)
	}
	return set(all)
}

func keys(of map[string]int) []string {
	var all []string
	for key := range of {
		all = append(all, key)
	}
	return set(all)
}

// count returns a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Update makes the next baseline: the findings of the scan, with the times at which
// they were first seen, and the entries of which nobody knows whether they are
// fixed. It has the tools of both.
func Update(base Baseline, found []finding.Finding, scan Scan) Baseline {
	c := Compare(found, base, scan)
	m := newMatcher(base)
	next := Baseline{Level: scan.Level, Commit: scan.Commit, At: scan.At.UTC().Truncate(time.Second), Tools: set(base.Tools, scan.Tools), secrets: map[string]bool{}}
	if depth(base.Level) > depth(next.Level) {
		next.Level = base.Level
	}
	used := map[string]bool{}
	for _, f := range c.Findings {
		e := entry(f, c.First[f.ID])
		if e.FirstSeen.IsZero() {
			e.FirstSeen = next.At
		}
		e.Fingerprints, e.Commits = unused(used, e.Fingerprints), unused(used, e.Commits)
		next.Entries = append(next.Entries, e)
		if hash := hashOf(f); hash != "" {
			next.secrets[hash] = true
		}
	}
	for i, f := range c.Findings {
		entries, _ := m.match(f)
		next.Entries[i].keep(used, base, entries, scan)
	}
	for _, e := range c.Unknown {
		e.Fingerprints, e.Commits = unused(used, e.Fingerprints), unused(used, e.Commits)
		next.Entries = append(next.Entries, e)
	}
	next.Entries = slices.DeleteFunc(next.Entries, func(e Entry) bool { return len(e.Fingerprints) == 0 })
	slices.SortFunc(next.Entries, func(a, b Entry) int { return strings.Compare(a.Fingerprints[0], b.Fingerprints[0]) })
	return next
}

// keep gives an entry what it is known by to the tools of earlier entries that gave
// no result this time.
func (e *Entry) keep(used map[string]bool, base Baseline, earlier []int, scan Scan) {
	for _, n := range earlier {
		old := base.Entries[n]
		if !slices.ContainsFunc(old.Tools, func(tool string) bool { return !slices.Contains(scan.Tools, tool) }) && (scan.Whole || len(old.Commits) == 0) {
			continue
		}
		e.Fingerprints = slices.Concat(e.Fingerprints, unused(used, old.Fingerprints))
		if len(e.Fingerprints) > 1 {
			slices.Sort(e.Fingerprints[1:])
		}
		e.Commits = set(e.Commits, unused(used, old.Commits))
		e.Tools = set(e.Tools, old.Tools)
	}
}

// unused returns the fingerprints that no entry has yet, and marks them as used.
func unused(used map[string]bool, prints []string) []string {
	var all []string
	for _, p := range prints {
		if !used[p] {
			used[p] = true
			all = append(all, p)
		}
	}
	return all
}
