// Package plain has untrusted text, numbers and times as people read them, in one line
// of plain text.
package plain

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/candlefish/deploy-action/internal/report"
)

// Text returns s on one line of at most n characters, without control characters,
// escape sequences of terminals, invisible characters and those that change the
// direction of text.
func Text(s string, n int) string {
	if most := 16 * (n + 1); len(s) > most { // what follows can't matter
		s = s[:most]
	}
	if strings.ContainsRune(s, '\x1b') {
		s = escapes.ReplaceAllString(s, "")
	}
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) && r != '\u200d' || r == '\ufeff' {
			return -1
		}
		return r
	}, report.Plain(s))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// escapes are sequences of terminals: colours, cursors, titles, links.
var escapes = regexp.MustCompile("\x1b(\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)?|[@-Z\\\\-_])")

// Number groups digits by three.
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Count is a number with its noun, which takes an s in the plural.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Number(n) + " " + noun + "s"
}

// Or returns s, or "–".
func Or(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// Day is a date, "–" for none.
func Day(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02")
}

// Moment is a time of the day.
func Moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// Took rounds a duration for people.
func Took(d time.Duration) string {
	if d >= 10*time.Second {
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// Short is the beginning of a commit.
func Short(commit string) string {
	if len(commit) > 10 {
		return commit[:10]
	}
	return commit
}

// HTTPS returns a link that may be followed, or "".
func HTTPS(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || Text(link, 2000) != link {
		return ""
	}
	return link
}
