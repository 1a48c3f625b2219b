package finding

import (
	"cmp"
	"slices"
	"strings"
)

// compare orders units. Equal ones are the same in all.
func (u unit) compare(v unit) int {
	if c := compare(u.s, v.s); c != 0 {
		return c
	}
	return slices.Compare(u.ids, v.ids)
}

// compare orders sightings: what is in the files before what is in the history,
// then by place. Equal ones are the same in all their fields. A secret's hash comes
// last: it is another one in each run.
func compare(a, b *Sighting) int {
	if a == b {
		return 0
	}
	for _, by := range [...]func(a, b *Sighting) int{byPlace, byPackage, byRule, byText, bySecret} {
		if c := by(a, b); c != 0 {
			return c
		}
	}
	return 0
}

func byPlace(a, b *Sighting) int {
	l, m := &a.Location, &b.Location
	if inHistory := l.Commit != ""; inHistory != (m.Commit != "") {
		if inHistory {
			return 1
		}
		return -1
	}
	if c := strings.Compare(l.Path, m.Path); c != 0 {
		return c // most differ here
	}
	return cmp.Or(cmp.Compare(l.Line, m.Line), cmp.Compare(l.Column, m.Column), cmp.Compare(l.End, m.End), strings.Compare(l.Image, m.Image), strings.Compare(l.Host, m.Host),
		strings.Compare(l.Commit, m.Commit), strings.Compare(l.Context, m.Context))
}

func byPackage(a, b *Sighting) int {
	p, q := &a.Package, &b.Package
	return cmp.Or(strings.Compare(p.Name, q.Name), strings.Compare(p.Ecosystem, q.Ecosystem), strings.Compare(p.Version, q.Version),
		strings.Compare(p.Fixed, q.Fixed), truth(p.Direct)-truth(q.Direct), slices.Compare(a.IDs, b.IDs))
}

func byRule(a, b *Sighting) int {
	return cmp.Or(strings.Compare(a.Tool, b.Tool), strings.Compare(a.Rule, b.Rule), strings.Compare(string(a.Class), string(b.Class)),
		slices.Compare(a.CWE, b.CWE), strings.Compare(a.Rating.Word, b.Rating.Word), cmp.Compare(a.Rating.Score, b.Rating.Score),
		strings.Compare(a.Rating.Level, b.Rating.Level))
}

func byText(a, b *Sighting) int {
	return cmp.Or(strings.Compare(a.Title, b.Title), strings.Compare(a.Message, b.Message), strings.Compare(a.Help, b.Help),
		strings.Compare(string(a.Reach), string(b.Reach)), a.Known.Compare(b.Known), strings.Compare(a.LineHash, b.LineHash),
		strings.Compare(a.Suppressed, b.Suppressed))
}

func bySecret(a, b *Sighting) int {
	return cmp.Or(strings.Compare(string(a.Secret.Live), string(b.Secret.Live)), strings.Compare(a.Secret.Hash, b.Secret.Hash))
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
