package recording

import (
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/redact"
)

// A recording is kept as an artifact, which more people may read than the settings and
// the logs. It is judged again without asking anybody, so what only asking needs is
// left out: users and passwords, the values of queries, the programs of checks.

// A cleaner takes secrets out of what is recorded.
type cleaner struct {
	known func(string) string // takes out the secrets of this run; nil for none
	any   *redact.Redactor    // takes out what looks like one
}

// text is s without secrets.
func (c cleaner) text(s string) string {
	if address.MatchString(s) {
		s = plainURL(s)
	}
	if c.known != nil {
		s = c.known(s)
	}
	return c.any.String(s)
}

var address = regexp.MustCompile(`^\s*[A-Za-z][A-Za-z0-9+.-]*://`)

// plainURL is an address without user, password, query and fragment. It is cut by hand,
// since it may have variables in it, and since a password with an @ or a ? in it must
// not be left in part: all up to the last @ may be one.
func plainURL(s string) string {
	scheme, rest, _ := strings.Cut(s, "://")
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		rest = redact.Stars + rest[i:]
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i] + "?" + redact.Stars
	}
	return scheme + "://" + rest
}

// event is e without secrets.
func (c cleaner) event(e Event) Event {
	switch {
	case e.Start != nil:
		s := *e.Start
		s.Target, s.Image, s.Config = c.text(s.Target), c.text(s.Image), c.settings(s.Config)
		e.Start = &s
	case e.Problem != nil:
		e.Problem = new(redact.Deep(*e.Problem, c.text))
	case e.Custom != nil:
		e.Custom = new(redact.Deep(*e.Custom, c.text))
	case e.Look != nil:
		l := *e.Look
		l.Reason = c.text(l.Reason)
		e.Look = &l
	case e.Points != nil:
		e.Points = c.points(*e.Points)
	}
	return e
}

// points have the names of what was measured, which a server made up.
func (c cleaner) points(p Points) *Points {
	cloned := false
	for i := range p.Points {
		subject := p.Points[i].Subject
		if subject == "" {
			continue
		}
		if text := c.text(subject); text != subject {
			if !cloned {
				p.Points, cloned = slices.Clone(p.Points), true
			}
			p.Points[i].Subject = text
		}
	}
	return &p
}

// settings are those that a replay needs: the checks by name and weight alone.
func (c cleaner) settings(all config.Config) config.Config {
	all = redact.Deep(all, c.text)
	for i := range all.Checks {
		all.Checks[i].Program = nil
	}
	return all
}
