package prometheus

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/source"
)

const fileKey = "prometheus"

// Kind is this source in an analysis file.
func Kind() source.Kind {
	return source.Kind{Key: fileKey, Help: "A Prometheus server.", New: func() source.Config { return &Config{} }}
}

// A Config is a gateway's ready-made queries, or queries of one's own.
type Config struct {
	URL     string `json:"url" help:"URL of the server. Environment variables may stand in it, as ${NAME}; a $ without { is left alone."`
	Gateway string `json:"gateway,omitempty" jsonschema:"enum=traefik,enum=istio,enum=envoy-gateway,enum=nginx-gateway-fabric,enum=haproxy,enum=app" help:"Ready-made queries for what counts the requests; app for the application's own http_requests_total. Not together with queries of your own."`
	Plus    bool   `json:"plus,omitempty" help:"NGINX Gateway Fabric runs NGINX Plus."`
	source.Queries
	TokenEnv string `json:"token-env,omitempty" help:"Environment variable with a bearer token."`
}

// Key implements config.Source.
func (*Config) Key() string { return fileKey }

// StaleAfter implements config.Source.
func (*Config) StaleAfter() time.Duration { return 0 }

// Validate implements config.Source.
func (c *Config) Validate(m config.Metric, p config.Problems) {
	p.Want(c.URL != "", "prometheus.url", `""`, "the server's address")
	p.Want((c.Gateway != "") == c.Empty(), "prometheus", "without or with both of gateway and queries", "one of them")
	source.Paired(p, fileKey, c.Total, c.Failed)
	p.Want(c.Gateway == "" || m.Limit == nil, "limit", "set", "no limit: a gateway's queries count requests and have no value")
	c.measures(m).Validate(m, p, fileKey)
}

// measures are what is asked for. A gateway is asked for what the metric is judged by.
func (c *Config) measures(m config.Metric) source.Measures {
	if c.Gateway == "" {
		return c.Measures()
	}
	histogram := c.Gateway != string(HAProxy) && c.Gateway != string(NGINXGatewayFabric)
	return source.Measures{Requests: m.Errors != nil || !histogram, Latency: histogram && m.Latency != nil}
}

// Open implements source.Config.
func (c *Config) Open(_ context.Context, m config.Metric, e source.Env) (source.Reader, error) {
	header, err := e.Authorization(c.TokenEnv, "Bearer ")
	if err != nil {
		return nil, err
	}
	address, err := e.Expand(c.URL)
	if err != nil {
		return nil, err
	}
	e.MaskURL(address)
	server := Server{URL: address, Header: header}
	names := c.Named(e.Names)
	if c.Gateway == "" {
		return server.Ask(c.Queries, names)
	}
	return server.Ready(Ready{Preset: Preset(c.Gateway), Names: names, Errors: m.Errors != nil, Latency: m.Latency != nil, VersionLabel: c.By, Plus: c.Plus})
}
