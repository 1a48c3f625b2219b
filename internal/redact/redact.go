// Package redact takes secrets out of text that is about to leave the process:
// log lines, summaries, outputs, comments, error messages.
//
// It knows two kinds: secrets it was told, in the spellings they are usually
// seen in (as given, by line, quoted, percent-encoded, base64), and the shapes
// that give themselves away: credentials and queries in URLs, Authorization
// headers, tokens with a known prefix. It is the last net, not a licence to put
// secrets into messages.
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

// Stars stand where a secret was.
const Stars = "***"

// shortest is the length below which a text is no secret: starring out every
// "a" would hide the message and protect nothing.
const shortest = 4

// A Redactor removes secrets from text. The zero value knows only the shapes.
// It may be used by several goroutines.
type Redactor struct {
	mu      sync.RWMutex
	secrets []string // longest first, so that no part is left of a longer one
}

// New returns a Redactor that knows the secrets.
func New(secrets ...string) *Redactor {
	r := &Redactor{}
	for _, s := range secrets {
		r.Add(s)
	}
	return r
}

// Add makes the secret known, as a whole and line by line. Texts shorter than
// four bytes are ignored.
func (r *Redactor) Add(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range append(Lines(secret), strings.TrimSpace(secret)) {
		for _, spelling := range spellings(s) {
			if len(spelling) >= shortest && !slices.Contains(r.secrets, spelling) {
				r.secrets = append(r.secrets, spelling)
			}
		}
	}
	slices.SortFunc(r.secrets, func(a, b string) int { return len(b) - len(a) })
}

// Lines returns the lines of a secret that are worth masking one by one: the
// runner's masks, and most logs, work on single lines.
func Lines(secret string) []string {
	var lines []string
	for line := range strings.Lines(secret) {
		if line = strings.TrimSpace(line); len(line) >= shortest {
			lines = append(lines, line)
		}
	}
	return lines
}

func spellings(s string) []string {
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
	for _, sh := range shapes {
		text = sh.pattern.ReplaceAllString(text, sh.with)
	}
	return text
}

// longest is how much of somebody else's words an error holds, in bytes.
const longest = 300

// Excerpt returns the beginning of a text, such as a server's reason for a refusal,
// without the secrets: at most 300 bytes, and dots where more was. It looks for
// secrets before it cuts, so that no half of one is left.
func (r *Redactor) Excerpt(text string) string {
	if text = r.String(text); len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	return text
}

// shapes are what credentials look like wherever they turn up.
var shapes = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)[^\s/?#@"'<>]+@`), "${1}" + Stars + "@"},
	{regexp.MustCompile(`(?i)\b(https?://[^\s?#"'<>\x60)]+)\?[^\s#"'<>\x60)]+`), "${1}?" + Stars},
	{regexp.MustCompile(`(?i)\b((?:proxy-)?authorization["']?\s*[:=]\s*["'\[]*)(?:(bearer|basic|token|negotiate)\s+)?[^\s"',\]]+`), "${1}${2} " + Stars},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{16,}`), "${1} " + Stars},
	{regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16})\b`), Stars},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+`), Stars},
	{regexp.MustCompile(`(hooks\.slack\.com/services/)[A-Za-z0-9/_-]+`), "${1}" + Stars},
}
