package view

import (
	"context"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/report/plain/plaintest"
	"github.com/candlefish/deploy-action/internal/security/securitytest"
)

func TestHostileTextIsInertInMarkdown(t *testing.T) {
	t.Parallel()
	for _, h := range plaintest.Hostiles {
		r := securitytest.Hostile(h)
		for what, text := range map[string]string{"report": Report(r, page), "summary": Summary(r, page), "comment": Comment(r, page), "issue": Issue(r), "line": Line(r.Findings[0])} {
			name := what + " with " + plain.Text(h, 20)
			text = strings.TrimPrefix(text, Marker+"\n")
			text = plain.Undigested(text)
			text = strings.ReplaceAll(text, page.Run, "")
			if i := strings.Index(text, "```yaml"); i >= 0 {
				block := text[i+7:]
				if n := strings.Count(text, "\n```"); n != 4 || strings.Count(block, "```") != 1 || !strings.HasSuffix(block, "```\n") {
					t.Errorf("%s: %d fences, and the last block is %q", name, n, block)
				}
				text = text[:i]
			}
			plaintest.Markdown(t, name, strings.ReplaceAll(text, "[the workflow run]()", ""))
		}
	}
}

func TestHostileTextIsInertOnTheConsole(t *testing.T) {
	t.Parallel()
	for _, h := range plaintest.Hostiles {
		r := securitytest.Hostile(h)
		var lines []string
		for _, tool := range r.Tools {
			if one := Ended(tool); strings.Contains(one, "\n") {
				t.Errorf("a line about a tool has several: %q", one)
			}
			lines = append(lines, Ended(tool))
		}
		plaintest.Inert(t, "console with "+plain.Text(h, 20), strings.Join(lines, "\n")+"\n"+Text(r))
	}
}

// As the runner sees them: one command per annotation, and no other.
func TestHostileTextInAnnotations(t *testing.T) {
	t.Parallel()
	spec := input.Spec{Name: "security-gate", Title: "Security gate", Description: "Scans.", Outputs: []input.Output{{Name: "status", Help: "h"}}}
	for _, h := range plaintest.Hostiles {
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
			t.Errorf("%d commands for %d annotations with %q", commands, len(shown), plain.Text(h, 20))
		}
	}
	f := securitytest.Secret()
	f.Sightings[0].Location.Path, f.Sightings[1].Location.Path = "a\x1b[31m", "b\n::error::x"
	if shown, _ := Annotations(verdict.Judge(securitytest.Input(securitytest.HealthyTools(), f)), everything); len(shown) != 0 {
		t.Errorf("a path that can't be shown: %+v", shown)
	}
}
