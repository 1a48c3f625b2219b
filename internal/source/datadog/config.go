package datadog

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/source"
)

const fileKey = "datadog"

// Kind is this source in an analysis file.
func Kind() source.Kind {
	return source.Kind{Key: fileKey, Help: "Datadog, with keys from the environment: DD_API_KEY and DD_APP_KEY.", New: func() source.Config { return &Config{} }}
}

// A Config asks Datadog, with the keys DD_API_KEY and DD_APP_KEY of the environment.
type Config struct {
	Site string `json:"site,omitempty" help:"Site of the account. Default: datadoghq.com."`
	source.Queries
}

// Key implements config.Source.
func (*Config) Key() string { return fileKey }

// StaleAfter implements config.Source: Datadog fills its buckets for a while.
func (*Config) StaleAfter() time.Duration { return 4 * time.Minute }

// Validate implements config.Source.
func (c *Config) Validate(m config.Metric, p config.Problems) {
	p.Want(!c.Empty(), "datadog", "without a query", "total and failed, or value")
	p.Want(c.Latency == "", "datadog.latency-buckets", "set", "a value with a limit: Datadog has no histogram to compare")
	source.Paired(p, fileKey, c.Total, c.Failed)
	has := c.Measures()
	has.Latency = false
	has.Validate(m, p, fileKey)
}

// Open implements source.Config.
func (c *Config) Open(_ context.Context, _ config.Metric, e source.Env) (source.Reader, error) {
	api, err := e.Secret("DD_API_KEY")
	if err != nil {
		return nil, err
	}
	app, err := e.Secret("DD_APP_KEY")
	if err != nil {
		return nil, err
	}
	return New(Query{Site: c.Site, APIKey: api, AppKey: app, Total: c.Total, Failed: c.Failed, Value: c.Value, By: c.By, Names: c.Named(e.Names)})
}
