package cloudwatch

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/source"
)

const fileKey = "cloudwatch"

// Kind is this source in an analysis file.
func Kind() source.Kind {
	return source.Kind{Key: fileKey, Help: "AWS CloudWatch, with the usual AWS credentials.", New: func() source.Config { return &Config{} }}
}

// A Config asks CloudWatch with the usual AWS credentials: by a preset, which asks for
// a latency where the metric has a limit and else for requests and failed ones, or
// for metrics of one's own.
type Config struct {
	Region       string `json:"region,omitempty" help:"AWS region. Default: that of the environment."`
	Preset       string `json:"preset,omitempty" jsonschema:"enum=alb,enum=lambda" help:"Ready-made metrics: alb for target groups, which needs load-balancer, lambda for functions, which needs function and alias."`
	LoadBalancer string `json:"load-balancer,omitempty" help:"Load balancer of preset alb: app/NAME/ID."`
	Function     string `json:"function,omitempty" help:"Function of preset lambda."`
	Alias        string `json:"alias,omitempty" help:"Alias of preset lambda."`
	Percentile   string `json:"percentile,omitempty" help:"Percentile of a preset's latency, with a limit. Default: p95."`

	Namespace  string            `json:"namespace,omitempty" help:"CloudWatch namespace, without a preset."`
	Total      string            `json:"total,omitempty" help:"Name of the metric that counts all requests."`
	Failed     string            `json:"failed,omitempty" help:"Name of the metric that counts the failed requests."`
	Value      string            `json:"value,omitempty" help:"Name of the metric that is a value."`
	Stat       string            `json:"stat,omitempty" help:"Statistic of value. Default: Average."`
	Dimensions map[string]string `json:"dimensions,omitempty" help:"Dimensions, with ${version} for what the version is called."`
	Sparse     bool              `json:"sparse,omitempty" help:"The metric of failed requests has no data where nothing failed."`
	Period     config.Duration   `json:"period,omitempty" help:"Length of one data point. Default: 1m."`

	Stable string `json:"stable" help:"What the stable version is called: its target group, its function version, or what ${version} stands for."`
	Canary string `json:"canary" help:"The same for the canary."`
}

// Key implements config.Source.
func (*Config) Key() string { return fileKey }

// StaleAfter implements config.Source: CloudWatch fills its periods for a while.
func (c *Config) StaleAfter() time.Duration { return 4*time.Minute + 2*time.Duration(c.Period) }

// Validate implements config.Source.
func (c *Config) Validate(m config.Metric, p config.Problems) {
	p.Want(c.Preset == "" || c.Preset == "alb" || c.Preset == "lambda", "cloudwatch.preset", fmt.Sprintf("%q", c.Preset), "alb or lambda")
	p.Want(c.Preset != "alb" || c.LoadBalancer != "", "cloudwatch.load-balancer", `""`, "app/NAME/ID")
	p.Want(c.Preset != "lambda" || c.Function != "" && c.Alias != "", "cloudwatch", "without function or alias", "both")
	p.Want((c.Preset != "") != (c.Total+c.Failed+c.Value != ""), "cloudwatch", "without or with both of preset and metrics", "one of them")
	p.Want(c.Stable != c.Canary, "cloudwatch", "the same for both versions", "stable and canary, which differ")
	source.Paired(p, fileKey, c.Total, c.Failed)
	latency := c.Preset != "" && m.Limit != nil // see metrics
	source.Measures{Requests: c.Total+c.Failed != "" || c.Preset != "" && !latency, Value: c.Value != "" || latency}.Validate(m, p, fileKey)
}

// Open implements source.Config.
func (c *Config) Open(ctx context.Context, m config.Metric, _ source.Env) (source.Reader, error) {
	account, err := aws.Connect(ctx, aws.ConnectOptions{Region: c.Region})
	if err != nil {
		return nil, err
	}
	metrics := c.metrics(m.Limit != nil)
	metrics.Period = time.Duration(c.Period)
	return New(cloudwatch.NewFromConfig(account.Config()), metrics)
}

// metrics are what to ask for; a preset asks for its latency where that has a limit.
func (c *Config) metrics(latency bool) Metrics {
	percentile := cmp.Or(c.Percentile, "p95")
	switch {
	case c.Preset == "alb" && latency:
		return TargetGroupLatency(c.LoadBalancer, c.Stable, c.Canary, percentile)
	case c.Preset == "alb":
		return TargetGroups(c.LoadBalancer, c.Stable, c.Canary)
	case c.Preset == "lambda" && latency:
		return LambdaDuration(c.Function, c.Alias, c.Stable, c.Canary, percentile)
	case c.Preset == "lambda":
		return LambdaAlias(c.Function, c.Alias, c.Stable, c.Canary)
	}
	return Metrics{Total: c.own(c.Total, "Sum"), Failed: c.own(c.Failed, "Sum"), Value: c.own(c.Value, cmp.Or(c.Stat, "Average")),
		Sparse: c.Sparse, Names: source.Names{Stable: c.Stable, Canary: c.Canary}}
}

func (c *Config) own(name, stat string) *Metric {
	if name == "" {
		return nil
	}
	return &Metric{Namespace: c.Namespace, Name: name, Dimensions: c.Dimensions, Stat: stat}
}
