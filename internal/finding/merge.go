package finding

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Merge makes findings of the sightings of all tools of one run: what is the same
// thing becomes one finding. The worst come first; the result does not depend on
// the order of the sightings. The same thing is
//
//   - the same vulnerability, by any of its identifiers, of the same package in the
//     same manifest or image. That two identifiers are of one vulnerability is
//     learned from all sightings of the run. What is in two lockfiles is two findings;
//   - the same credential, by [Secret.Hash], in all places and commits. Without a
//     hash: the same rule at the same place;
//   - in code: the same weakness (CWE) or rule at the same line;
//   - in configuration and workflows: the same rule at the same line. Their CWEs are
//     too general to tell two results from each other;
//   - at a host: the same rule.
//
// Rules of different tools that mean the same are one rule. A sighting that is
// there twice counts once.
func Merge(sightings []Sighting) []Finding {
	units := split(sightings)
	known := learn(units)
	drafts := group(units, known)
	share(drafts, known)
	sign(drafts)
	slices.SortStableFunc(drafts, func(a, b *draft) int {
		if c := int(b.finding.Severity) - int(a.finding.Severity); c != 0 {
			return c
		}
		return slices.Index(Classes(), a.finding.Class) - slices.Index(Classes(), b.finding.Class)
	})
	findings := make([]Finding, len(drafts))
	for i, d := range drafts {
		findings[i] = d.finding
	}
	return findings
}

// A unit is a sighting, as far as it is about one thing.
type unit struct {
	s   *Sighting
	ids []string // of a vulnerability
}

// split makes units of sightings: a bulletin that lists several CVEs is one of each.
func split(sightings []Sighting) []unit {
	units := make([]unit, 0, len(sightings))
	for i := range sightings {
		s := &sightings[i]
		if s.Class != ClassDependency && s.Class != ClassImage {
			units = append(units, unit{s: s})
			continue
		}
		ids := identifiers(s)
		var cves []string
		for _, id := range ids {
			if strings.HasPrefix(id, "CVE-") {
				cves = append(cves, id)
			}
		}
		if len(cves) < 2 || !bulletin.MatchString(ids[0]) {
			units = append(units, unit{s, ids})
			continue
		}
		for _, cve := range cves {
			units = append(units, unit{s, []string{cve, ids[0]}})
		}
	}
	return units
}

// A draft is a finding while it is made.
type draft struct {
	finding Finding
	units   []unit
	rating  rating
}

// group puts what is the same thing together. The drafts are in the order of their
// first sightings.
func group(units []unit, known *aliases) []*draft {
	all := newSets(len(units))
	first := make(map[string]int, len(units))
	for n, u := range units {
		for _, key := range u.keys(known) {
			if other, ok := first[key]; ok {
				all.join(other, n)
			} else {
				first[key] = n
			}
		}
	}
	joinLoose(units, known, all)
	byRoot := make([][]unit, len(units))
	for n, u := range units {
		root := all.root(n)
		if byRoot[root] == nil {
			byRoot[root] = make([]unit, 0, all.size[root])
		}
		byRoot[root] = append(byRoot[root], u)
	}
	var drafts []*draft
	for _, members := range byRoot {
		if len(members) > 0 {
			drafts = append(drafts, newDraft(members, known))
		}
	}
	slices.SortFunc(drafts, func(a, b *draft) int { return a.units[0].compare(b.units[0]) })
	return drafts
}

// newDraft makes a finding without its fingerprints.
func newDraft(units []unit, known *aliases) *draft {
	slices.SortFunc(units, unit.compare)
	units = slices.CompactFunc(units, func(a, b unit) bool { return a.compare(b) == 0 })
	f := Finding{EPSS: -1, State: StateNew, Sightings: make([]Sighting, 0, len(units))}
	for _, u := range units {
		if n := len(f.Sightings); n == 0 || compare(&f.Sightings[n-1], u.s) != 0 {
			f.Sightings = append(f.Sightings, *u.s)
		}
		if f.Title == "" {
			f.Title = u.s.Title
		}
		if c := u.s.Class; f.Class == "" || slices.Index(Classes(), c) < slices.Index(Classes(), f.Class) {
			f.Class = c
		}
	}
	if f.Title == "" {
		f.Title = untitled(units[0].s)
	}
	f.IDs = names(units, known)
	r := worst(f.Sightings)
	f.Severity, f.Why = r.severity, r.why
	return &draft{f, units, r}
}

// untitled returns a title for a sighting without one: the first line of its
// message, which for a secret may say too much, or its rule.
func untitled(s *Sighting) string {
	line := ""
	if s.Class != ClassSecret {
		line, _, _ = strings.Cut(strings.TrimSpace(s.Message), "\n")
	}
	return cmp.Or(clip(line), clip(s.Rule), "A finding without a name")
}

// names returns all identifiers of a vulnerability, the learned ones too.
func names(units []unit, known *aliases) []string {
	var own, learned []string
	for _, u := range units {
		own = append(own, u.ids...)
	}
	if len(own) == 0 {
		return nil
	}
	for _, u := range units {
		if len(u.ids) > 0 {
			all := known.members[known.of(u.ids[0])]
			learned = all[:min(len(all), maxIDs)]
			break
		}
	}
	all := slices.Concat(own, learned)
	slices.SortFunc(all, byPreference)
	return slices.Compact(all)
}

// key joins parts that cannot be taken for others.
func key(parts ...string) string {
	size := 0
	for _, p := range parts {
		size += len(p) + 8
	}
	return string(appendKey(make([]byte, 0, size), parts))
}

func appendKey(b []byte, parts []string) []byte {
	for _, p := range parts {
		b = strconv.AppendInt(b, int64(len(p)), 10)
		b = append(append(b, ':'), p...)
	}
	return b
}

// keys returns what a unit is the same by: two with a key in common are one thing.
func (u unit) keys(known *aliases) []string {
	s, l := u.s, u.s.Location
	rule, _ := family(s.Tool, s.Rule)
	line := strconv.Itoa(l.Line)
	switch s.Class {
	case ClassDependency, ClassImage:
		system := ecosystem(s.Package.Ecosystem)
		name := packageName(system, s.Package.Name)
		if len(u.ids) == 0 {
			return []string{key("package", place(l), system, name, rule, u.otherwise())}
		}
		return []string{key("vulnerability", place(l), system, name, strconv.Itoa(known.of(u.ids[0])))}
	case ClassSecret:
		if s.Secret.Hash != "" {
			return []string{key("secret", s.Secret.Hash)}
		}
		return []string{key("at", place(l), line, rule, l.Commit, u.otherwise())}
	case ClassNetwork:
		return []string{key("host", host(l.Host), rule, u.otherwise())}
	case ClassCode, ClassConfig, ClassWorkflow: // in a line of a file
	}
	found := []string{key("line", place(l), line, rule, u.otherwise())}
	if s.Class == ClassCode && l.Line > 0 {
		for _, cwe := range weaknesses(s.CWE) {
			found = append(found, key("weakness", place(l), line, cwe))
		}
	}
	return found
}

// otherwise tells apart what has no place: by the message.
func (u unit) otherwise() string {
	if l := u.s.Location; place(l) != "" || l.Host != "" || u.s.Package.Name != "" {
		return ""
	}
	return u.s.Message
}

// host returns one spelling of a host.
func host(name string) string {
	return strings.TrimSuffix(strings.ToLower(name), ":443")
}

// joinLoose joins the vulnerabilities whose package or ecosystem the tool did not
// say with the only one of that name at their place; with several, with none.
func joinLoose(units []unit, known *aliases, all *sets) {
	whole, loose := map[string][]int{}, []int{}
	for n, u := range units {
		switch {
		case len(u.ids) == 0:
		case u.s.Package.Name == "" || ecosystem(u.s.Package.Ecosystem) == "":
			loose = append(loose, n)
		default:
			for _, k := range []string{u.looseKey("", known), u.looseKey(u.s.Package.Name, known)} {
				if roots := whole[k]; !slices.Contains(roots, all.root(n)) && len(roots) < 2 {
					whole[k] = append(roots, all.root(n))
				}
			}
		}
	}
	for _, n := range loose {
		if roots := whole[units[n].looseKey(units[n].s.Package.Name, known)]; len(roots) == 1 {
			all.join(n, roots[0])
		}
	}
}

// looseKey names a vulnerability at a place, whatever its ecosystem is.
func (u unit) looseKey(name string, known *aliases) string {
	return key(place(u.s.Location), strconv.Itoa(known.of(u.ids[0])), separators.ReplaceAllString(strings.ToLower(name), "-"))
}
