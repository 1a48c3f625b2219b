package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/source/datadog"
	"github.com/candlefish/deploy-action/internal/source/httpjson"
	"github.com/candlefish/deploy-action/internal/source/prometheus"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// A source yields what it has learnt of both versions since it was last read.
type source interface {
	Read(ctx context.Context) ([]analysis.Point, error)
}

// How often a source is read, and how long one reading may take. A source that is
// slower than the interval is read again when it has answered.
const (
	readEvery = 2 * time.Second
	readLimit = 20 * time.Second
)

// measure opens the sources of the analysis file and reads them until ctx ends.
// Those that can't tell the versions apart, or can't be read at all, are refused
// together, before anything is changed.
func (r *run) measure(ctx context.Context, m *traffic.Monitor, target *workload.Target, entry string) error {
	record := target.Record()
	for _, k := range r.cfg.Analysis.Checks {
		if k.SecretEnv != "" {
			r.action.Mask(r.action.Getenv(k.SecretEnv))
		}
	}
	checks := checker{
		target: target, getenv: r.action.Getenv, redact: r.action.Redact,
		release: check.Release{Namespace: record.Namespace, Deployment: record.Deployment, Image: record.Image,
			RunID: r.id.ID, RunURL: r.id.URL, EntryPoint: entry},
	}
	m.Check(func(k analysis.CustomCheck, weight int) analysis.Finding { return checks.run(ctx, k, weight) })
	var refused []string
	sources := map[string]source{}
	for _, metric := range r.cfg.Analysis.Metrics {
		if metric.Name == analysis.ProbeMetric {
			continue
		}
		s, err := r.source(ctx, metric, record, target)
		if err != nil {
			refused = append(refused, fmt.Sprintf("metric %s: %v", metric.Name, err))
			continue
		}
		sources[metric.Name] = s
	}
	if len(refused) > 0 {
		slices.Sort(refused)
		return exit.Refuse("docs/analysis.md says what each source needs", refused...)
	}
	// The first reading is the baseline; all sources take theirs at once.
	for name, s := range sources {
		go read(ctx, s, func(points []analysis.Point, err error) { m.Measured(name, points, err) })
	}
	return nil
}

// read reads one source until ctx ends.
func read(ctx context.Context, s source, tell func([]analysis.Point, error)) {
	for {
		next := time.After(readEvery)
		attempt, cancel := context.WithTimeout(ctx, readLimit)
		points, err := s.Read(attempt)
		cancel()
		if ctx.Err() != nil {
			return
		}
		tell(points, err)
		var limited interface{ RetryAfter() time.Duration }
		if errors.As(err, &limited) {
			next = time.After(max(limited.RetryAfter(), readEvery))
		}
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
	}
}

// source opens what a metric is read from.
func (r *run) source(ctx context.Context, m analysis.Metric, record *release.Record, target *workload.Target) (source, error) {
	names := func(q analysis.Queries) analysis.Names {
		return analysis.Names{Namespace: record.Namespace, Service: record.Service, CanaryService: record.CanaryService(), Stable: q.Stable, Canary: q.Canary}
	}
	switch {
	case m.Prometheus != nil:
		return r.prometheus(m, names(m.Prometheus.Queries))
	case m.Datadog != nil:
		d := *m.Datadog
		return datadog.New(datadog.Query{
			Site: d.Site, APIKey: r.action.Getenv("DD_API_KEY"), AppKey: r.action.Getenv("DD_APP_KEY"),
			Total: d.Total, Failed: d.Failed, Value: d.Value, By: d.By, Names: names(d.Queries),
		})
	case m.CloudWatch != nil:
		return cloudWatch(ctx, m)
	case m.Kubernetes != nil:
		return kubernetes(target, *m.Kubernetes), nil
	case m.HTTP != nil:
		h := *m.HTTP
		header, err := r.authorization(h.HeaderEnv, "")
		if err != nil {
			return nil, err
		}
		return httpjson.New(httpjson.Endpoint{URL: h.URL, Header: header, Cumulative: h.Cumulative,
			Paths: httpjson.Paths{Total: h.Total, Failed: h.Failed, Value: h.Value}, Names: names(analysis.Queries{})})
	}
	return nil, errors.New("it has no source")
}

func (r *run) prometheus(m analysis.Metric, names analysis.Names) (source, error) {
	p := m.Prometheus
	header, err := r.authorization(p.TokenEnv, "Bearer ")
	if err != nil {
		return nil, err
	}
	server := prometheus.Server{URL: os.Expand(p.URL, r.action.Getenv), Header: header}
	if p.Gateway == "" {
		return server.Ask(prometheus.Queries{Total: p.Total, Failed: p.Failed, Latency: p.Latency, Value: p.Value, By: p.By}, names)
	}
	return server.Ready(prometheus.Ready{Preset: prometheus.Preset(p.Gateway), Names: names, Errors: m.Errors != nil, Latency: m.Latency != nil, VersionLabel: p.By, Plus: p.Plus})
}

// kubernetes reads the pods. Values are shares of what of says, or counts.
func kubernetes(target *workload.Target, k analysis.KubernetesSource) source {
	of := workload.OfLimit
	if k.Of == "requests" {
		of = workload.OfRequest
	}
	switch k.Resource {
	case "restarts":
		return target.Restarts(workload.AnyRestart)
	case "oom-kills":
		return target.Restarts(workload.OOMKill)
	case "memory":
		return target.Usage(workload.UsageMemory, of)
	}
	return target.Usage(workload.UsageCPU, of)
}

// more are the permissions that the analysis file asks for.
func (c Config) more() []kube.Permission {
	var more []kube.Permission
	if slices.ContainsFunc(c.Analysis.Metrics, func(m analysis.Metric) bool {
		return m.Kubernetes != nil && (m.Kubernetes.Resource == "cpu" || m.Kubernetes.Resource == "memory")
	}) {
		more = append(more, workload.UsagePermissions...)
	}
	if slices.ContainsFunc(c.Analysis.Checks, func(k analysis.CustomCheck) bool { return k.Job != "" }) {
		more = append(more, kube.JobPermissions...)
	}
	return more
}

func cloudWatch(ctx context.Context, m analysis.Metric) (source, error) {
	c := m.CloudWatch
	account, err := aws.Connect(ctx, aws.ConnectOptions{Region: c.Region})
	if err != nil {
		return nil, err
	}
	percentile := cmp.Or(c.Percentile, "p95")
	var metrics aws.Metrics
	switch {
	case c.Preset == "alb" && m.Limit != nil:
		metrics = aws.TargetGroupLatency(c.LoadBalancer, c.Stable, c.Canary, percentile)
	case c.Preset == "alb":
		metrics = aws.TargetGroups(c.LoadBalancer, c.Stable, c.Canary)
	case c.Preset == "lambda" && m.Limit != nil:
		metrics = aws.LambdaDuration(c.Function, c.Alias, c.Stable, c.Canary, percentile)
	case c.Preset == "lambda":
		metrics = aws.LambdaAlias(c.Function, c.Alias, c.Stable, c.Canary)
	default:
		metric := func(name, stat string) *aws.Metric {
			if name == "" {
				return nil
			}
			return &aws.Metric{Namespace: c.Namespace, Name: name, Dimensions: c.Dimensions, Stat: stat}
		}
		metrics = aws.Metrics{Total: metric(c.Total, "Sum"), Failed: metric(c.Failed, "Sum"), Value: metric(c.Value, cmp.Or(c.Stat, "Average")),
			Sparse: c.Sparse, Names: analysis.Names{Stable: c.Stable, Canary: c.Canary}}
	}
	metrics.Period = time.Duration(c.Period)
	return account.CloudWatch(metrics)
}

// authorization is the header with the secret that an environment variable holds.
func (r *run) authorization(variable, scheme string) (http.Header, error) {
	if variable == "" {
		return nil, nil
	}
	secret := r.action.Getenv(variable)
	if secret == "" {
		return nil, fmt.Errorf("the environment has no %s", variable)
	}
	r.action.Mask(secret)
	return http.Header{"Authorization": {scheme + secret}}, nil
}
