package httpjson

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/source"
)

const fileKey = "http"

// Kind is this source in an analysis file.
func Kind() source.Kind {
	return source.Kind{Key: fileKey, Help: "Any endpoint that answers JSON.", New: func() source.Config { return &Config{} }}
}

// A Config is any endpoint that answers JSON.
type Config struct {
	URL        string `json:"url" help:"URL of the endpoint, requested by GET. ${version}, ${service} and ${namespace} are filled in for each version."`
	HeaderEnv  string `json:"authorization-env,omitempty" help:"Environment variable with the value of the header Authorization."`
	Total      string `json:"total,omitempty" help:"JSONPath (RFC 9535) of the number of all requests."`
	Failed     string `json:"failed,omitempty" help:"JSONPath of the number of failed requests."`
	Value      string `json:"value,omitempty" help:"JSONPath of a value, for a limit."`
	Time       string `json:"time,omitempty" help:"JSONPath of the document's time: RFC 3339, or seconds or milliseconds since 1970. A document with the same time as the previous one is not counted again."`
	Cumulative bool   `json:"cumulative,omitempty" help:"Whether the numbers count since some start, rather than since the last reading."`
}

// Key implements config.Source.
func (*Config) Key() string { return fileKey }

// StaleAfter implements config.Source.
func (*Config) StaleAfter() time.Duration { return 0 }

// Validate implements config.Source.
func (c *Config) Validate(m config.Metric, p config.Problems) {
	p.Want(c.URL != "", "http.url", `""`, "the endpoint's address")
	p.Want(c.Total+c.Failed+c.Value != "", "http", "without a path", "total and failed, or value")
	source.Paired(p, fileKey, c.Total, c.Failed)
	source.Measures{Requests: c.Total+c.Failed != "", Value: c.Value != ""}.Validate(m, p, fileKey)
}

// Open implements source.Config.
func (c *Config) Open(_ context.Context, _ config.Metric, e source.Env) (source.Reader, error) {
	header, err := e.Authorization(c.HeaderEnv, "")
	if err != nil {
		return nil, err
	}
	e.MaskURL(c.URL)
	return New(Endpoint{URL: c.URL, Header: header, Cumulative: c.Cumulative, Paths: Paths{Total: c.Total, Failed: c.Failed, Value: c.Value, Time: c.Time}, Names: e.Names})
}
