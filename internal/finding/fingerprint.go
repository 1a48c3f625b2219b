package finding

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A fingerprint is the first 24 hexadecimal digits of a SHA-256: 96 bits, so that
// nobody makes a finding with the fingerprint of a waived one, and short enough to
// be typed. Nothing of a secret goes in, nor a hash of it.
//
//	vulnerability  identifier, ecosystem, package, manifest or image without its tag
//	secret         path, context; and with the rule; of a commit: with the commit
//	host           host, rule
//	other          rule or CWE, path, context
//
// The context is the line without white space and without the secret, so that a
// finding that moved keeps its fingerprint. Among equal ones the last part is an
// ordinal, by their order in the file. A finding has one for each of its names and
// places, so that a run with one tool more or less knows it again.
const digits = 24

// maxContext is how much of a line counts, in bytes: minified files have one line.
const maxContext = 1000

// A mark is what a fingerprint is made from, but for the ordinal.
type mark struct {
	base [sha256.Size]byte
	tool string
	// The first in the order of group, tools, name and base is the finding's ID: the one
	// that is most likely to stay when a tool is added or removed.
	group int    // of better kinds of marks are lower
	tools int    // how many tools make it, where that says something
	name  string // of a vulnerability or weakness
}

// newMark makes a mark from its parts.
func newMark(group int, u unit, parts ...string) mark {
	var room [512]byte
	return mark{base: sha256.Sum256(appendKey(room[:0], parts)), tool: u.s.Tool, group: group}
}

// sign gives the findings their fingerprints and IDs. The drafts are in the order
// of their places.
func sign(drafts []*draft) {
	all, commits := counter{}, counter{}
	for _, d := range drafts {
		d.finding.Fingerprints = all.sign(d.marks())
		d.finding.Commits = commits.sign(d.commits())
		d.finding.ID = d.finding.Fingerprints[0]
	}
}

// A counter gives equal marks of different findings their ordinals.
type counter map[[sha256.Size]byte]int

// sign returns the fingerprints of one finding: the best one first, the rest sorted.
func (c counter) sign(marks []mark) []string {
	if len(marks) == 0 {
		return nil
	}
	all := make([]string, len(marks))
	for i, m := range marks {
		c[m.base]++
		sum := sha256.Sum256(strconv.AppendInt(m.base[:], int64(c[m.base]), 10))
		all[i] = hex.EncodeToString(sum[:digits/2])
	}
	slices.Sort(all[1:])
	return all
}

// marks returns each mark of a finding once, the best first.
func (d *draft) marks() []mark {
	all := make([]mark, 0, 2*len(d.units)+len(d.finding.IDs))
	best := d.units[0]
	for _, u := range d.units {
		all = append(all, u.marks()...)
		if best.s.Package.Name == "" || best.s.Package.Ecosystem == "" {
			best = u
		}
	}
	for _, id := range d.finding.IDs {
		all = append(all, best.vulnerability(learned, id))
	}
	return unique(all)
}

// unique returns each mark once with the number of its tools, the best first.
func unique(marks []mark) []mark {
	slices.SortFunc(marks, func(a, b mark) int {
		return cmp.Or(bytes.Compare(a.base[:], b.base[:]), strings.Compare(a.tool, b.tool), a.group-b.group)
	})
	each, tool := marks[:0], "" // in place: it is never longer than what was read
	for _, m := range marks {
		n := len(each) - 1
		switch {
		case n < 0 || each[n].base != m.base:
			each = append(each, m)
		default:
			each[n].group = min(each[n].group, m.group)
			if tool != m.tool {
				each[n].tools += m.tools
			}
		}
		tool = m.tool
	}
	slices.SortFunc(each, func(a, b mark) int {
		return cmp.Or(a.group-b.group, b.tools-a.tools, strings.Compare(a.name, b.name), bytes.Compare(a.base[:], b.base[:]))
	})
	return each
}

// The groups of marks. Those of vulnerabilities are the preference of their
// identifier.
const (
	shared     = 0 // a rule that several tools have
	byWeakness = 1
	byTool     = 2
	inHistory  = 1  // of a secret
	blind      = 5  // added: without context, or without package
	learned    = 20 // an identifier that this finding's own sightings do not have
)

// marks returns the marks of one sighting.
func (u unit) marks() []mark {
	s, l := u.s, u.s.Location
	rule, known := family(s.Tool, s.Rule)
	switch s.Class {
	case ClassDependency, ClassImage:
		return u.packageMarks(rule)
	case ClassSecret:
		return u.secretMarks(rule)
	case ClassNetwork:
		return []mark{newMark(0, u, "host", host(l.Host), rule, u.otherwise())}
	case ClassCode, ClassConfig, ClassWorkflow: // in a line of a file
	}
	context, group := squeeze(l.Context), byTool
	if known {
		group = shared
	}
	add := 0
	if context == "" {
		add = blind
	}
	all := []mark{newMark(group+add, u, "rule", l.Lasting(), rule, context, u.otherwise())}
	if s.Class == ClassCode {
		for _, cwe := range weaknesses(s.CWE) {
			m := newMark(byWeakness+add, u, "weakness", l.Lasting(), cwe, context, u.otherwise())
			m.tools, m.name = 1, cwe
			all = append(all, m)
		}
	}
	return all
}

// packageMarks returns the marks of a dependency: one for each identifier.
func (u unit) packageMarks(rule string) []mark {
	if len(u.ids) == 0 {
		system := ecosystem(u.s.Package.Ecosystem)
		return []mark{newMark(0, u, "package", u.s.Location.Lasting(), system, packageName(system, u.s.Package.Name), rule, u.otherwise())}
	}
	var all []mark
	for _, id := range u.ids {
		group := preference(id)
		if u.s.Package.Name == "" || u.s.Package.Ecosystem == "" {
			group += blind
		}
		all = append(all, u.vulnerability(group, id))
	}
	return all
}

// vulnerability returns the mark of one identifier.
func (u unit) vulnerability(group int, id string) mark {
	system := ecosystem(u.s.Package.Ecosystem)
	m := newMark(group, u, "vulnerability", u.s.Location.Lasting(), system, packageName(system, u.s.Package.Name), id)
	m.name = id
	return m
}

// secretMarks returns the marks of a secret: of its place, so that a second tool
// with another name for it changes no ID, and of its rule there.
func (u unit) secretMarks(rule string) []mark {
	l, group := u.s.Location, 0
	if l.Commit != "" {
		group = inHistory
	}
	context := squeezeSecret(l.Context)
	return []mark{
		newMark(group, u, "secret", l.Lasting(), context, u.otherwise()),
		newMark(group+byTool, u, "secret rule", l.Lasting(), rule, context, u.otherwise()),
	}
}

// commits returns the marks of a secret in the history, where it was added.
func (d *draft) commits() []mark {
	var all []mark
	for _, u := range d.units {
		if l := u.s.Location; u.s.Class == ClassSecret && l.Commit != "" {
			all = append(all, newMark(0, u, "secret commit", l.Lasting(), squeezeSecret(l.Context), l.Commit))
		}
	}
	return unique(all)
}

// squeeze returns a line without its white space.
func squeeze(line string) string {
	line = strings.ToValidUTF8(line[:min(len(line), maxContext)], "")
	return strings.Join(strings.Fields(line), "")
}

// squeezeSecret returns the letters and digits of a line, without the words that
// tools write in place of a secret.
func squeezeSecret(line string) string {
	line = strings.ReplaceAll(strings.ToLower(squeeze(line)), "redacted", "")
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, line)
}
