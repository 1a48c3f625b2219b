package view

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/security/securitytest"
	"github.com/candlefish/deploy-action/internal/security/words"
)

// A tag or comment in Markdown that is not ours, unless it is escaped or in code.
var (
	codeSpan = regexp.MustCompile("(?s)`{1,}[^`].*?`{1,}")
	rawHTML  = regexp.MustCompile(`(^|[^\\])<[A-Za-z/!]`)
	rawLink  = regexp.MustCompile(`(^|[^\\])\]\(|https?:/[^\\]/|[^\\]\.evil|(^|[^\\])!\[`)
	mention  = regexp.MustCompile(`@[A-Za-z]|#\d`)
)

// inert fails on text that is more than text to a terminal or a log.
func inert(t *testing.T, what, text string) {
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

func TestHostileTextIsInertInMarkdown(t *testing.T) {
	t.Parallel()
	for _, h := range securitytest.Hostiles {
		r := securitytest.Hostile(h)
		for what, text := range map[string]string{"report": Report(r, page), "summary": Summary(r, page), "comment": Comment(r, page), "issue": Issue(r), "line": Line(r.Findings[0])} {
			name := what + " with " + words.Plain(h, 20)
			inert(t, name, text)
			text = strings.TrimPrefix(text, Marker+"\n")
			text = digestLine.ReplaceAllString(text, "")
			text = strings.ReplaceAll(text, page.Run, "")
			if i := strings.Index(text, "```yaml"); i >= 0 {
				block := text[i+7:]
				if n := strings.Count(text, "\n```"); n != 4 || strings.Count(block, "```") != 1 || !strings.HasSuffix(block, "```\n") {
					t.Errorf("%s: %d fences, and the last block is %q", name, n, block)
				}
				text = text[:i]
			}
			bare := codeSpan.ReplaceAllString(text, "CODE")
			bare = strings.ReplaceAll(bare, "[the workflow run]()", "")
			for kind, bad := range map[string]*regexp.Regexp{"HTML": rawHTML, "a link": rawLink, "a mention": mention} {
				if m := bad.FindStringIndex(bare); m != nil {
					t.Errorf("%s has %s: %q", name, kind, bare[max(0, m[0]-40):min(len(bare), m[1]+40)])
				}
			}
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "|") && len(line) > 60_000 {
					t.Errorf("%s: a row of %d bytes", name, len(line))
				}
			}
		}
	}
}

func TestHostileTextIsInertOnTheConsole(t *testing.T) {
	t.Parallel()
	for _, h := range securitytest.Hostiles {
		r := securitytest.Hostile(h)
		var lines []string
		for _, tool := range r.Tools {
			if one := Ended(tool); strings.Contains(one, "\n") {
				t.Errorf("a line about a tool has several: %q", one)
			}
			lines = append(lines, Ended(tool))
		}
		inert(t, "console with "+words.Plain(h, 20), strings.Join(lines, "\n")+"\n"+Text(r))
	}
}

// As the runner sees them: one command per annotation, and no other.
func TestHostileTextInAnnotations(t *testing.T) {
	t.Parallel()
	spec := input.Spec{Name: "security-gate", Title: "Security gate", Description: "Scans.", Outputs: []input.Output{{Name: "status", Help: "h"}}}
	for _, h := range securitytest.Hostiles {
		r := securitytest.Hostile(h)
		for i := range r.Findings { // as if there was such a file
			for j := range r.Findings[i].Sightings {
				r.Findings[i].Sightings[j].Location.Path = "a,b:c%0A::error::owned.txt"
			}
		}
		shown, _ := Annotations(r, everything)
		if len(shown) == 0 {
			t.Fatal("no annotations")
		}
		log := actiontest.NewStep(t, nil).Run(func(env action.Env, args []string) int {
			return action.Run(env, args, spec, func(_ context.Context, a *action.Action, _ input.Values) (action.Result, error) {
				for _, one := range shown {
					if len([]rune(one.Message)) > 4096 {
						t.Errorf("a message of %d characters", len([]rune(one.Message)))
					}
					a.Annotate(one)
				}
				a.Print(Text(r))
				return action.Result{}, nil
			})
		}).Log
		commands := 0
		for line := range strings.Lines(log) {
			if strings.HasPrefix(strings.TrimSpace(line), "::") {
				commands++
				if !strings.HasPrefix(line, "::error file=a%2Cb%3Ac%250A%3A%3Aerror%3A%3Aowned.txt,line=") {
					t.Errorf("a command: %q", line)
				}
			}
		}
		if commands != len(shown) {
			t.Errorf("%d commands for %d annotations with %q", commands, len(shown), words.Plain(h, 20))
		}
	}
	f := securitytest.Secret()
	f.Sightings[0].Location.Path, f.Sightings[1].Location.Path = "a\x1b[31m", "b\n::error::x"
	if shown, _ := Annotations(verdict.Judge(securitytest.Input(securitytest.HealthyTools(), f)), everything); len(shown) != 0 {
		t.Errorf("a path that can't be shown: %+v", shown)
	}
}
