package preview

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/candlefish/deploy-action/internal/browser"
)

// mostPages is how many pages the browser looks at: the front page and the first of
// the sitemap.
const mostPages = 5

// An Eye looks at pages in a browser and says what it sees, each as a Check. Checks
// that fail do not make a preview fail: they are for the reviewer to judge.
type Eye interface {
	Look(ctx context.Context, pages []string) ([]Check, error)
}

// chromium is the browser as the keeper's Eye.
type chromium struct {
	checker browser.Checker
	options browser.Options
}

// eye is nil where nobody asked for a browser. One that was asked for and is not
// there is an error: what was not looked at must not seem fine.
func (s *session) eye() (Eye, error) {
	c := chromium{
		checker: browser.Checker{Say: func(line string) { s.a.Print(line) }},
		options: browser.Options{
			Accessibility: s.v.Bool("accessibility"), Visual: s.v.Bool("visual"), Out: s.v.String("pictures-dir"), Baseline: s.v.String("pictures-baseline"),
			MaxDiff: s.v.Float("max-visual-diff") / 100,
		},
	}
	if !c.options.Accessibility && !c.options.Visual {
		return nil, nil
	}
	if err := c.checker.Available(); err != nil {
		return nil, fmt.Errorf("accessibility and visual need a browser, which the action's image does not have; run the program where one is: %w", err)
	}
	return c, nil
}

// Look implements Eye.
func (c chromium) Look(ctx context.Context, pages []string) ([]Check, error) {
	o := c.options
	for _, page := range pages {
		o.Pages = append(o.Pages, browser.Page{URL: page})
	}
	results, err := c.checker.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	var checks []Check
	for _, r := range results {
		where := r.Page + ", " + r.Viewport
		if r.Err != "" {
			checks = append(checks, Check{"browser: " + where, false, r.Err})
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

func accessibility(where string, violations []browser.Violation) Check {
	if len(violations) == 0 {
		return Check{"accessibility: " + where, true, "axe-core finds nothing"}
	}
	var found []string
	for _, v := range violations {
		found = append(found, fmt.Sprintf("%s (%s, %d elements)", v.Help, v.Impact, v.Nodes))
	}
	return Check{"accessibility: " + where, false, strings.Join(found, "; ")}
}

func appearance(where string, r browser.Result) Check {
	name := "appearance: " + where
	switch {
	case !r.Baseline:
		return Check{name, true, "no earlier picture to compare with; " + r.Picture}
	case r.Changed:
		return Check{name, false, fmt.Sprintf("%.2f %% of the pixels differ: %s %s", 100*r.DiffShare, r.Diff, r.Note)}
	}
	return Check{name, true, "as before"}
}

// eyes lets the browser look at the frontend.
func (k *Keeper) eyes(ctx context.Context, p *Part) {
	if k.Eye == nil || p.Status != Ready {
		return
	}
	pages := []string{p.URL + "/"}
	if status, body, err := k.Web.Get(ctx, p.URL+"/sitemap.xml"); err == nil && status == 200 {
		more, _, err := sitemap(body, p.URL, mostPages)
		for _, page := range more {
			if u, e := url.Parse(page); err == nil && e == nil && u.Path != "/" && len(pages) < mostPages {
				pages = append(pages, page)
			}
		}
	}
	checks, err := k.Eye.Look(ctx, pages)
	if err != nil {
		checks = append(checks, Check{"browser", false, err.Error()})
	}
	p.Checks = append(p.Checks, checks...)
}
