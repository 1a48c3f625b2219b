package words

import (
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// A Row is a finding in words, as plain text: each view escapes it.
type Row struct {
	ID, Severity, Class, Title, Message, Where, State, Fix, Note, Help, Why string
	Tools, Names                                                            []string
	Waived                                                                  finding.Waived
}

// The lengths of texts in a Row, in characters.
const (
	TitleLength   = 160
	messageLength = 1000
	WhereLength   = 200
)

// RowOf puts a finding in words.
func RowOf(f finding.Finding) Row {
	r := Row{ID: plain.Text(f.ID, 100), Severity: f.Severity.String(), Class: plain.Text(string(f.Class), 30), Title: plain.Text(f.Title, TitleLength), Where: where(f),
		State: plain.Text(string(f.State), 20), Note: note(f), Why: plain.Text(f.Why, 300), Waived: f.Waived}
	for _, s := range f.Sightings {
		r.Tools = appendNew(r.Tools, plain.Text(s.Tool, 60))
		for _, id := range s.IDs {
			r.Names = appendNew(r.Names, plain.Text(id, 60))
		}
		if r.Message == "" {
			r.Message = plain.Text(s.Message, messageLength)
		}
		if r.Help == "" {
			r.Help = s.Help
		}
		if r.Fix == "" && s.Package.Name != "" {
			r.Fix = fix(s.Package)
		}
	}
	if r.Title == "" {
		r.Title = plain.Or(r.Message)
	}
	return r
}

// appendNew adds an item that is not in the list, of which a few are enough.
func appendNew(list []string, item string) []string {
	if item == "" || len(list) >= 8 || slices.Contains(list, item) {
		return list
	}
	return append(list, item)
}

func fix(p finding.Package) string {
	if p.Fixed == "" {
		return "" // the tool knows none: others may
	}
	return "update to " + plain.Text(p.Fixed, 60)
}

// where says where a finding is: its first place, and how many others there are.
func where(f finding.Finding) string {
	var all []string
	for _, s := range f.Sightings {
		if p := place(s); p != "" && !slices.Contains(all, p) {
			all = append(all, p)
		}
		if len(all) > 50 {
			break
		}
	}
	switch len(all) {
	case 0:
		return ""
	case 1:
		return plain.Text(all[0], WhereLength)
	}
	return plain.Text(all[0], WhereLength) + " and " + plain.Count(len(all)-1, "more place")
}

func place(s finding.Sighting) string {
	l := s.Location
	text := l.Path
	if l.Path != "" && l.Line > 0 {
		text = fmt.Sprintf("%s:%d", l.Path, l.Line)
	}
	switch {
	case l.Host != "":
		text = l.Host
	case l.Image != "" && text != "":
		text = l.Image + ": " + text
	case l.Image != "":
		text = l.Image
	case l.Commit != "" && text != "":
		text += " in " + plain.Short(l.Commit)
	case l.Commit != "":
		text = "commit " + plain.Short(l.Commit)
	}
	if p := s.Package; p.Name != "" {
		name := strings.TrimSpace(p.Name + " " + p.Version)
		if text == "" {
			return name
		}
		return name + " in " + text
	}
	return text
}

// note says what makes a finding more or less urgent.
func note(f finding.Finding) string {
	var parts []string
	add := func(s string) { parts = appendNew(parts, s) }
	if f.Exploited {
		add("known to be exploited")
	}
	if f.EPSS >= 0.01 {
		add(fmt.Sprintf("EPSS %.0f %%", 100*f.EPSS))
	}
	for _, s := range f.Sightings {
		switch s.Secret.Live {
		case finding.LiveVerified:
			add("the credential works")
		case finding.LiveUnverified:
			add("the service refused the credential")
		case finding.LiveError:
			add("the service gave no answer about the credential")
		case finding.LiveUnknown:
		}
		switch s.Reach {
		case finding.ReachCalled:
			add("the vulnerable code is called")
		case finding.ReachImported:
			add("imported, no call known")
		case finding.ReachRequired:
			add("required only")
		case finding.ReachUnknown:
		}
	}
	return strings.Join(parts, ", ")
}
