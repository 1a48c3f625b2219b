package preview

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/candlefish/deploy-action/internal/access"
	"github.com/candlefish/deploy-action/internal/browser"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/preview/result"
	"github.com/candlefish/deploy-action/internal/preview/visit"
)

// A chromium is the browser as the reconciler's PageChecker.
type chromium struct {
	checker browser.Checker
	options browser.Options
	headers *access.Headers
}

// pageChecker returns the browser, nil if no input asks for one or the goal looks at no
// page: a clean-up must not depend on it. A missing browser that an input asks for is an
// input error: a skipped check must not look like a passed one.
func (s *session) pageChecker() (visit.PageChecker, error) {
	c := chromium{
		checker: browser.Checker{Logf: s.a.Printf}, headers: s.headers,
		options: browser.Options{
			Accessibility: s.v.Bool("accessibility"), Visual: s.v.Bool("visual"), Out: s.v.String("pictures-dir"), Baseline: s.v.String("pictures-baseline"),
			MaxDiff: s.v.Float("max-visual-diff") / 100,
		},
	}
	if s.goal != result.GoalUp || !c.options.Accessibility && !c.options.Visual {
		return nil, nil
	}
	if err := c.checker.Available(); err != nil {
		return nil, &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("accessibility and visual: this machine has no browser: %w", err),
			Hint: "in a workflow, use actions/pr-preview-browser instead of actions/pr-preview: its image contains Chromium"}
	}
	return c, nil
}

// CheckPages implements visit.PageChecker.
func (c chromium) CheckPages(ctx context.Context, pages []string) ([]result.Check, error) {
	o := c.options
	for _, page := range pages {
		p := browser.Page{URL: page}
		if u, err := url.Parse(page); err == nil {
			p.Header = c.headers.For(u)
		}
		o.Pages = append(o.Pages, p)
	}
	results, err := c.checker.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	var checks []result.Check
	for _, r := range results {
		where := r.Page + ", " + r.Viewport
		if r.Err != "" {
			checks = append(checks, check("browser: "+where, false, r.Err))
			continue
		}
		if o.Accessibility {
			checks = append(checks, accessibility(where, r.Violations))
		}
		if o.Visual {
			checks = append(checks, appearance(where, r))
		}
	}
	return checks, nil
}

func accessibility(where string, violations []browser.Violation) result.Check {
	if len(violations) == 0 {
		return check("accessibility: "+where, true, "axe-core finds nothing")
	}
	var found []string
	for _, v := range violations {
		found = append(found, fmt.Sprintf("%s (%s, %d elements)", v.Help, v.Impact, v.Nodes))
	}
	return check("accessibility: "+where, false, strings.Join(found, "; "))
}

func appearance(where string, r browser.Result) result.Check {
	name := "appearance: " + where
	switch {
	case !r.Baseline:
		return check(name, true, "no baseline to compare with; "+r.Picture)
	case r.Changed:
		return check(name, false, fmt.Sprintf("%.2f %% of the pixels differ: %s %s", 100*r.DiffShare, r.Diff, r.Note))
	}
	return check(name, true, "unchanged")
}

func check(name string, ok bool, detail string) result.Check {
	return result.Check{Name: name, OK: ok, Detail: detail}
}
