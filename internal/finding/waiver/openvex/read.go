package openvex

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/finding/waiver"
)

// A File is an OpenVEX document.
type File struct {
	Name string // for messages
	Raw  []byte
}

// Read returns the waivers that the statements of documents are, for what is at a
// place: a statement is about the repository, as pkg:github/owner/name or its URL,
// with its subcomponents as package URLs; or about a package alone. Its author is
// the owner, and it ends maxAge after its time (0 is [waiver.MaxAge]).
//
// A note says for each document how many of its statements are for other products.
// An error has a line for each problem, and its status is that of bad input.
func Read(files []File, place verdict.Place, maxAge time.Duration) ([]waiver.Waiver, []verdict.WaiverNote, error) {
	if maxAge == 0 {
		maxAge = waiver.MaxAge
	}
	var all []said
	var notes []verdict.WaiverNote
	var wrong []error
	for _, f := range files {
		d, err := parse(f.Name, f.Raw)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		here, others := d.about(f.Name, place)
		all = append(all, here...)
		if others > 0 {
			notes = append(notes, verdict.WaiverNote{
				Name: f.Name, What: fmt.Sprintf("%d of %d statements", others, len(d.Statements)), Owner: d.Author,
				Why: "their products are neither packages nor this repository at this commit.",
			})
		}
	}
	if len(wrong) > 0 {
		return nil, nil, &exit.Error{Status: exit.BadInput, Err: errors.Join(wrong...)}
	}
	return waivers(all, maxAge), notes, nil
}

// A said is a statement that is about something here.
type said struct {
	statement
	name  string
	owner string
	at    time.Time
	scope []string // package URLs; empty is everything here
}

// about returns the statements of a document that are about something at a place,
// and the number of the others.
func (d document) about(name string, place verdict.Place) (here []said, others int) {
	for i, s := range d.Statements {
		scope, ok := scopeOf(s.Products, place)
		if !ok {
			others++
			continue
		}
		here = append(here, said{
			statement: s, name: fmt.Sprintf("%s: statement %d", name, i+1), owner: d.Author, scope: scope,
			at: latest(s.LastUpdated, s.Timestamp, d.LastUpdated, d.Timestamp),
		})
	}
	return here, others
}

// latest returns the later one of a statement's own times, or else of those of its
// document.
func latest(times ...*time.Time) time.Time {
	for pair := range slices.Chunk(times, 2) {
		var last time.Time
		for _, t := range pair {
			if t != nil && t.After(last) {
				last = *t
			}
		}
		if !last.IsZero() {
			return last
		}
	}
	return time.Time{}
}

// waivers returns the statements that say that a vulnerability is no problem and
// that no later statement takes back.
func waivers(all []said, maxAge time.Duration) []waiver.Waiver {
	slices.SortStableFunc(all, func(a, b said) int { return a.at.Compare(b.at) })
	var list []waiver.Waiver
	for i, s := range all {
		if s.Status != notAffected && s.Status != fixed {
			continue
		}
		if slices.ContainsFunc(all[i+1:], func(later said) bool {
			return (later.Status == affected || later.Status == underInvestigation) && overlap(s, later)
		}) {
			continue
		}
		list = append(list, s.waiver(maxAge))
	}
	return list
}

// overlap reports whether two statements can be about the same vulnerability of the
// same package.
func overlap(a, b said) bool {
	if !slices.ContainsFunc(a.names(), func(name string) bool {
		return slices.ContainsFunc(b.names(), func(other string) bool { return strings.EqualFold(name, other) })
	}) {
		return false
	}
	return len(a.scope) == 0 || len(b.scope) == 0 || slices.ContainsFunc(a.scope, func(purl string) bool {
		return slices.ContainsFunc(b.scope, func(other string) bool { return unversioned(purl) == unversioned(other) })
	})
}

func (s said) names() []string {
	return append(slices.Clone(s.Vulnerability.Aliases), s.Vulnerability.Name)
}

// unversioned cuts version, qualifiers and subpath off a package URL. The @ of an
// npm scope is written %40 there; bare, the last one counts.
func unversioned(purl string) string {
	purl, _, _ = strings.Cut(purl, "#")
	purl, _, _ = strings.Cut(purl, "?")
	if i := strings.LastIndex(purl, "@"); i > strings.LastIndex(purl, "/") {
		purl = purl[:i]
	}
	return strings.ToLower(purl)
}

func (s said) waiver(maxAge time.Duration) waiver.Waiver {
	kind := waiver.NotFeasible
	if s.Status == fixed {
		kind = waiver.ToolNoise
	}
	var why []string
	for _, part := range []string{s.Justification, s.ImpactStatement, s.StatusNotes} {
		if part = strings.TrimSpace(part); part != "" {
			why = append(why, part)
		}
	}
	created := s.at.UTC().Truncate(24 * time.Hour)
	return waiver.Waiver{
		Name: s.name, ID: strings.TrimSpace(s.Vulnerability.Name), Aliases: s.Vulnerability.Aliases, Scope: s.scope,
		Reason: cmp.Or(strings.Join(why, "; "), s.Status), Kind: kind, Owner: s.owner,
		Created: created, Expires: created.Add(maxAge).Truncate(24 * time.Hour),
	}
}

// scopeOf returns the package URLs that products limit a statement to, and whether
// they are about anything at a place. No package URL is everything there.
func scopeOf(products []product, place verdict.Place) (scope []string, ok bool) {
	everything := false
	for _, p := range products {
		purls, is := p.scope(place)
		ok = ok || is
		everything = everything || is && len(purls) == 0
		scope = append(scope, purls...)
	}
	if everything {
		return nil, true
	}
	return scope, ok
}

// scope returns the package URLs that one product limits a statement to.
func (p product) scope(place verdict.Place) ([]string, bool) {
	if slices.ContainsFunc(p.names(), func(name string) bool { return isRepository(name, place) }) {
		var purls []string
		for _, sub := range p.Subcomponents {
			purls = append(purls, packages(sub)...)
		}
		return purls, len(purls) > 0 || len(p.Subcomponents) == 0
	}
	if len(p.Subcomponents) > 0 {
		return nil, false // of a package in another product
	}
	purls := slices.DeleteFunc(packages(p.component), func(purl string) bool { // another version of the repository
		return unversioned(purl) == "pkg:github/"+strings.ToLower(place.Repository)
	})
	return purls, len(purls) > 0
}

// packages returns the package URLs of a component that a finding can have.
func packages(c component) []string {
	return slices.DeleteFunc(c.names(), func(name string) bool {
		return !strings.HasPrefix(name, "pkg:") || strings.HasPrefix(name, "pkg:oci/") || strings.HasPrefix(name, "pkg:docker/") || strings.HasPrefix(name, "pkg:generic/")
	})
}

// isRepository reports whether a name is the repository of a place: with a version,
// only if it is what is checked out.
func isRepository(name string, place verdict.Place) bool {
	if place.Repository == "" {
		return false
	}
	name = strings.ToLower(name)
	for _, prefix := range []string{"git+https://", "https://"} {
		name = strings.TrimPrefix(name, prefix)
	}
	rest, isPURL := strings.CutPrefix(name, "pkg:github/")
	if !isPURL {
		var ok bool
		if rest, ok = strings.CutPrefix(name, "github.com/"); !ok {
			return false
		}
	}
	repository, version, _ := strings.Cut(rest, "@")
	repository = strings.TrimSuffix(strings.TrimSuffix(repository, "/"), ".git")
	return repository == strings.ToLower(place.Repository) && (version == "" || slices.Contains(versions(place), version))
}

// versions are the names of what is checked out.
func versions(place verdict.Place) []string {
	all := []string{strings.ToLower(place.Commit)}
	for _, prefix := range []string{"refs/tags/", "refs/heads/"} {
		if short, ok := strings.CutPrefix(place.Ref, prefix); ok {
			all = append(all, strings.ToLower(short))
		}
	}
	return slices.DeleteFunc(all, func(v string) bool { return v == "" })
}
