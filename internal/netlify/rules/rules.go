// Package rules reads what says how a site on Netlify answers: _redirects, _headers and
// netlify.toml. It understands them as the parsers of netlify-cli do, so that a preview
// answers as the site would; a table of cases with the outcomes of those parsers is
// among its tests.
//
// What netlify-cli's parsers accept is accepted. If they drop or ignore a part of it, or
// if it most likely does not do what its author meant, a warning says so. What they
// report as an error is an error here too, although netlify-cli then goes on without
// that rule: a preview without it would be another site.
package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/BurntSushi/toml"
)

// The names of the files.
const (
	RedirectsName = "_redirects"
	HeadersName   = "_headers"
	ConfigName    = "netlify.toml"
)

// Rules are what the netlify.toml contains that is published.
type Rules struct {
	Redirects []Redirect `toml:"redirects,omitempty"`
	Headers   []Header   `toml:"headers,omitempty"`
	// Images configure Netlify's image service, verbatim.
	Images map[string]any `toml:"images,omitempty"`
	// Build is the part of [build] that Netlify reads after the upload.
	Build *Build `toml:"build,omitempty"`
	// Warnings are what is ignored, or most likely wrong.
	Warnings []string `toml:"-"`
}

// A Build has the settings of Netlify's post-processing, verbatim. Nothing else of
// [build] is published: its environment may hold secrets.
type Build struct {
	Processing map[string]any `toml:"processing"`
}

// A Redirect is one rule of _redirects or of netlify.toml, in the form of the published
// netlify.toml. Its fields are Netlify's.
type Redirect struct {
	From       string         `toml:"from"`
	Query      map[string]any `toml:"query,omitempty"`
	To         string         `toml:"to"`
	Status     *int           `toml:"status,omitempty"`
	Force      bool           `toml:"force,omitempty"`
	Conditions map[string]any `toml:"conditions,omitempty"` // texts, and lists of them
	Signed     string         `toml:"signed,omitempty"`
	Headers    map[string]any `toml:"headers,omitempty"`
	RateLimit  map[string]any `toml:"rate_limit,omitempty"`
}

// A Header sets response headers for some paths.
type Header struct {
	For    string            `toml:"for"`
	Values map[string]string `toml:"values"`
}

// Merge reads the three files, each empty if there is none, into one set of rules, with
// those of _redirects and _headers first. It reports all errors together. ConfigPath is
// how errors name netlify.toml.
func Merge(redirects, headers, config, configPath string) (Rules, error) {
	first, warnings1, err1 := ParseRedirects(redirects)
	set, warnings2, err2 := ParseHeaders(headers)
	all, err3 := ParseConfig(config)
	for i, w := range all.Warnings {
		all.Warnings[i] = configPath + ": " + w
	}
	if err3 != nil {
		err3 = fmt.Errorf("%s: %w", configPath, err3)
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		return Rules{}, err
	}
	all.Warnings = slices.Concat(warnings1, warnings2, all.Warnings)
	all.Redirects = lastOfEqual(slices.Concat(first, all.Redirects))
	all.Headers = lastOfEqual(slices.Concat(set, all.Headers))
	return all, nil
}

// TOML returns the netlify.toml to publish, nil without any rule.
func (r Rules) TOML() ([]byte, error) {
	if len(r.Redirects)+len(r.Headers)+len(r.Images) == 0 && r.Build == nil {
		return nil, nil
	}
	var out bytes.Buffer
	err := toml.NewEncoder(&out).Encode(r)
	return out.Bytes(), err
}

// lastOfEqual keeps the last of equal rules.
func lastOfEqual[T any](rules []T) []T {
	seen := map[string]bool{}
	var kept []T
	for _, r := range slices.Backward(rules) {
		key, _ := json.Marshal(r) // texts, numbers and maps, which it sorts
		if !seen[string(key)] {
			seen[string(key)] = true
			kept = append(kept, r)
		}
	}
	slices.Reverse(kept)
	return kept
}
