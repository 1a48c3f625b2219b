// Package redact removes secrets from text before it leaves the process: log lines,
// summaries, outputs, comments, error messages.
//
// It recognizes two kinds: registered secrets, in their usual encodings (plain, by
// line, quoted, percent-encoded, base64), and patterns of credentials: user names and
// queries in URLs, Authorization headers, tokens with a known prefix. It is the last
// safeguard: secrets should not get into messages at all.
package redact

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Stars replace a secret.
const Stars = "***"

// minLength is the minimum length of a secret, in bytes: masking every "a" would hide
// the message and protect nothing.
const minLength = 4

// A Redactor removes secrets from text. The zero value recognizes only the patterns. It
// may be used by several goroutines.
type Redactor struct {
	mu      sync.RWMutex
	secrets []string // longest first, so that no part of a longer one is left
}

// New returns a Redactor with registered secrets.
func New(secrets ...string) *Redactor {
	r := &Redactor{}
	for _, s := range secrets {
		r.Add(s)
	}
	return r
}

// Add registers a secret, as a whole and line by line. It ignores texts shorter than four
// bytes.
func (r *Redactor) Add(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range append(Lines(secret), strings.TrimSpace(secret)) {
		for _, text := range encodings(s) {
			if len(text) >= minLength && !slices.Contains(r.secrets, text) {
				r.secrets = append(r.secrets, text)
			}
		}
	}
	slices.SortFunc(r.secrets, func(a, b string) int { return len(b) - len(a) })
}

// Lines returns the lines of a secret to mask one by one: the runner's masks, and most
// logs, work on single lines.
func Lines(secret string) []string {
	var lines []string
	for line := range strings.Lines(secret) {
		if line = strings.TrimSpace(line); len(line) >= minLength {
			lines = append(lines, line)
		}
	}
	return lines
}

// encodings returns the usual encodings of a secret.
func encodings(s string) []string {
	quoted := strconv.Quote(s)
	b64 := base64.StdEncoding.EncodeToString([]byte(s))
	return []string{s, quoted[1 : len(quoted)-1], url.QueryEscape(s), url.PathEscape(s), b64, strings.TrimRight(b64, "=")}
}

// String returns text without the secrets.
func (r *Redactor) String(text string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range r.secrets {
		text = strings.ReplaceAll(text, s, Stars)
	}
	for _, p := range patterns {
		text = p.expression.ReplaceAllString(text, p.with)
	}
	return text
}

// maxExcerpt is the length limit of an excerpt, in bytes.
const maxExcerpt = 300

// Excerpt returns the beginning of a text, such as a server's error message, without the
// secrets: at most 300 bytes, followed by dots if it is longer. It removes secrets before
// it cuts, so that no part of one is left.
func (r *Redactor) Excerpt(text string) string {
	if text = r.String(text); len(text) > maxExcerpt {
		text = strings.ToValidUTF8(text[:maxExcerpt], "") + "..."
	}
	return text
}

// patterns match credentials anywhere.
var patterns = []struct {
	expression *regexp.Regexp
	with       string
}{
	{regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)[^\s/?#@"'<>]+@`), "${1}" + Stars + "@"},
	{regexp.MustCompile(`(?i)\b(https?://[^\s?#"'<>\x60)]+)\?[^\s#"'<>\x60)]+`), "${1}?" + Stars},
	{regexp.MustCompile(`(?i)\b((?:proxy-)?authorization["']?\s*[:=]\s*["'\[]*)(?:(bearer|basic|token|negotiate)\s+)?[^\s"',\]]+`), "${1}${2} " + Stars},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{16,}`), "${1} " + Stars},
	{regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16})\b`), Stars},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+`), Stars},
	{regexp.MustCompile(`(hooks\.slack\.com/services/)[A-Za-z0-9/_-]+`), "${1}" + Stars},
}
