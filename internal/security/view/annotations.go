package view

import (
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/security/words"
)

// maxAnnotation is the length of an annotation's message, in characters: GitHub cuts
// it at 4,096.
const maxAnnotation = 4000

// A Touched reports whether a pull request changes a line of a file.
type Touched func(path string, line int) bool

// TouchedBy is a Touched of changed lines by path.
func TouchedBy[L interface{ Has(line int) bool }](changed map[string][]L) Touched {
	return func(path string, line int) bool {
		for _, l := range changed[path] {
			if l.Has(line) {
				return true
			}
		}
		return false
	}
}

// Annotations returns the findings on changed lines, the worst first and at most 10
// per level, and a sentence about those that are left out, "" for none.
func Annotations(r verdict.Result, touched Touched) (shown []action.Annotation, left string) {
	var all []action.Annotation
	for _, f := range words.Open(r.Findings) {
		if s, ok := onChanged(f, touched); ok {
			all = append(all, annotation(f, s, levelOf(f.Severity)))
		}
	}
	shown, more := action.Limited(all)
	if text := action.More(more, plain.Number); text != "" {
		left = fmt.Sprintf("GitHub shows %d annotations per level; on the changed lines there are %s.", action.AnnotationLimit, text)
	}
	return shown, left
}

// onChanged returns the first sighting of a finding that is on a changed line. One
// whose path can't be shown is on none.
func onChanged(f finding.Finding, touched Touched) (finding.Sighting, bool) {
	for _, s := range f.Sightings {
		l := s.Location
		if l.Path == "" || l.Line < 1 || plain.Text(l.Path, len(l.Path)) != l.Path {
			continue
		}
		const most = 1000 // lines of one result
		for line := l.Line; line <= min(max(l.End, l.Line), l.Line+most); line++ {
			if touched(l.Path, line) {
				s.Location.Line = line
				return s, true
			}
		}
	}
	return finding.Sighting{}, false
}

func levelOf(s finding.Severity) action.Level {
	switch {
	case s >= finding.High:
		return action.Error
	case s == finding.Medium:
		return action.Warning
	}
	return action.Notice
}

func annotation(f finding.Finding, s finding.Sighting, level action.Level) action.Annotation {
	r := words.RowOf(f)
	parts := []string{r.Title}
	if r.Message != "" && r.Message != r.Title {
		parts = append(parts, r.Message)
	}
	for _, more := range []string{r.Note, r.Fix} {
		if more != "" {
			parts = append(parts, strings.ToUpper(more[:1])+more[1:])
		}
	}
	text := strings.Join(parts, ". ")
	text = plain.Text(text, maxAnnotation-200) + fmt.Sprintf(" (%s; %s)", strings.Join(r.Tools, ", "), r.ID)
	return action.Annotation{Level: level, Title: "Security: " + r.Severity, Message: plain.Text(text, maxAnnotation), File: s.Location.Path, Line: s.Location.Line}
}
