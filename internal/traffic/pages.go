package traffic

import (
	"context"
	"net/http"
	"strings"

	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/probe/expect"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/traffic/entry"
)

// paths returns what the probes ask for; without Paths it is the URL itself.
func (c Config) paths() []expect.Path {
	if len(c.Paths) > 0 {
		return c.Paths
	}
	return []expect.Path{{Weight: 1}}
}

func (c Config) target(path string) probe.Target {
	if path == "" {
		return probe.Target{URL: c.URL, Host: c.Host, GRPC: c.GRPC, Fresh: c.Fresh}
	}
	return probe.Target{URL: strings.TrimSuffix(c.URL, "/") + path, Host: c.Host, GRPC: c.GRPC, Fresh: c.Fresh}
}

// entries returns how many entry points the probes share.
func (c Config) entries() int { return 1 + len(c.More) }

// at returns the configuration for one entry point.
func (c Config) at(i int) Config {
	if i > 0 {
		c.URL, c.Host = c.More[i-1].URL, c.More[i-1].Host
	}
	return c
}

// Reachable leaves out those of More that do not answer from here, and says why.
func (c Config) Reachable(ctx context.Context) (Config, []string) {
	var silent []string
	c.More, silent = entry.Reachable(ctx, c.More, func(ctx context.Context, p entry.Point) (probe.Sample, error) {
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		own := Config{URL: p.URL, Host: p.Host, Fresh: c.Fresh}
		return probe.Fetch(ctx, own.target(c.paths()[0].Path), c.Version)
	})
	return c, silent
}

// pages returns the requests of the stream, with what stable answered before.
func (c Config) pages(id Identity) []probe.Page {
	var pages []probe.Page
	for i := range c.entries() {
		pages = append(pages, c.at(i).pagesOf(id, i == 0)...)
	}
	return pages
}

// pagesOf returns the requests to one entry point. What stable answered in detail is
// known of the first one.
func (c Config) pagesOf(id Identity, first bool) []probe.Page {
	var pages []probe.Page
	for _, path := range c.paths() {
		page := probe.Page{URL: c.target(path.Path).URL, Host: c.Host, Path: path, Before: release.Answers{Path: path.Path}}
		if len(id.Answers) == 0 { // an older record, or a stable version that is replaced
			page.Before.Status = id.Status
		}
		for _, a := range id.Answers {
			switch {
			case a.Path == path.Path && first:
				page.Before = a
			case a.Path == path.Path:
				page.Before.Status = a.Status
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
