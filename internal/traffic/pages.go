package traffic

import (
	"net/http"
	"strings"

	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/probe/expect"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// paths returns what the probes ask for; without Paths it is the URL itself.
func (c Config) paths() []expect.Path {
	if len(c.Paths) > 0 {
		return c.Paths
	}
	return []expect.Path{{Weight: 1}}
}

// target returns the request for a path.
func (c Config) target(path string) probe.Target {
	if path == "" {
		return probe.Target{URL: c.URL, Host: c.Host}
	}
	return probe.Target{URL: strings.TrimSuffix(c.URL, "/") + path, Host: c.Host}
}

// pages returns the requests of the stream, with what stable answered before.
func (c Config) pages(id Identity) []probe.Page {
	var pages []probe.Page
	for _, path := range c.paths() {
		page := probe.Page{URL: c.target(path.Path).URL, Path: path, Before: release.Answers{Path: path.Path}}
		if len(id.Answers) == 0 { // an older record, or a stable version that is replaced
			page.Before.Status = id.Status
		}
		for _, a := range id.Answers {
			if a.Path == path.Path {
				page.Before = a
			}
		}
		pages = append(pages, page)
	}
	return pages
}

// pins returns the headers that lead a request to one version.
func (c Config) pins(record *release.Record) map[rollout.Side]http.Header {
	pins := map[rollout.Side]http.Header{}
	if record.Preflight != "" {
		pins[rollout.SideCanary] = http.Header{c.PreflightHeader: {record.Preflight}}
	}
	if record.PreflightStable != "" {
		pins[rollout.SideStable] = http.Header{c.PreflightHeader: {record.PreflightStable}}
	}
	return pins
}
