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
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/source/datadog"
	"github.com/candlefish/deploy-action/internal/source/httpjson"
	"github.com/candlefish/deploy-action/internal/source/prometheus"
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
func (r *run) measure(ctx context.Context, t *traffic, target *kube.Target, entry string) error {
	for _, k := range r.cfg.Analysis.Checks {
		if k.SecretEnv != "" {
			r.tell.secret(r.getenv(k.SecretEnv))
		}
	}
	checks := checker{
		target: target, getenv: r.getenv, redact: r.tell.redact,
		release: check.Release{Namespace: t.record.Namespace, Deployment: t.record.Deployment, Image: t.record.Image,
			RunID: r.id.ID, RunURL: r.id.URL, EntryPoint: entry},
	}
	t.ask = func(k config.CustomCheck, weight int) analysis.Finding { return checks.run(ctx, k, weight) }
	var refused []string
	sources := map[string]source{}
	for _, m := range r.cfg.Analysis.Metrics {
		if m.Name == config.ProbeMetric {
			continue
		}
		s, err := r.source(ctx, m, t.record, target)
		if err != nil {
			refused = append(refused, fmt.Sprintf("metric %s: %v", m.Name, err))
			continue
		}
		sources[m.Name] = s
	}
	if len(refused) > 0 {
		slices.Sort(refused)
		return exit.Refuse("docs/analysis.md says what each source needs", refused...)
	}
	// The first reading is the baseline; all sources take theirs at once.
	for name, s := range sources {
		go t.read(ctx, name, s)
	}
	return nil
}

// read reads one source until ctx ends, and tells the judge.
func (t *traffic) read(ctx context.Context, metric string, s source) {
	for {
		next := time.After(readEvery)
		attempt, cancel := context.WithTimeout(ctx, readLimit)
		points, err := s.Read(attempt)
		cancel()
		if ctx.Err() != nil {
			return
		}
		t.mu.Lock()
		if t.judge != nil {
			t.judge.Add(metric, points...)
			if err != nil {
				t.judge.Problem(metric, err.Error(), time.Now())
			}
		}
		t.mu.Unlock()
		t.notify()
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
func (r *run) source(ctx context.Context, m config.Metric, record *kube.Record, target *kube.Target) (source, error) {
	names := func(q config.Queries) analysis.Names {
		return analysis.Names{Namespace: record.Namespace, Service: record.Service, CanaryService: record.SecondName(), Stable: q.Stable, Canary: q.Canary}
	}
	switch {
	case m.Prometheus != nil:
		return r.prometheus(m, names(m.Prometheus.Queries))
	case m.Datadog != nil:
		d := *m.Datadog
		return datadog.New(datadog.Query{
			Site: d.Site, APIKey: r.getenv("DD_API_KEY"), AppKey: r.getenv("DD_APP_KEY"),
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
			Paths: httpjson.Paths{Total: h.Total, Failed: h.Failed, Value: h.Value}, Names: names(config.Queries{})})
	}
	return nil, errors.New("it has no source")
}

func (r *run) prometheus(m config.Metric, names analysis.Names) (source, error) {
	p := m.Prometheus
	header, err := r.authorization(p.TokenEnv, "Bearer ")
	if err != nil {
		return nil, err
	}
	server := prometheus.Server{URL: os.Expand(p.URL, r.getenv), Header: header}
	if p.Gateway == "" {
		return server.Ask(prometheus.Queries{Total: p.Total, Failed: p.Failed, Latency: p.Latency, Value: p.Value, By: p.By}, names)
	}
	return server.Ready(prometheus.Ready{Preset: prometheus.Preset(p.Gateway), Names: names, Errors: m.Errors != nil, Latency: m.Latency != nil, VersionLabel: p.By, Plus: p.Plus})
}

// kubernetes reads the pods. Values are shares of what of says, or counts.
func kubernetes(target *kube.Target, k config.KubernetesSource) source {
	of := kube.OfLimit
	if k.Of == "requests" {
		of = kube.OfRequest
	}
	switch k.Resource {
	case "restarts":
		return target.Restarts(kube.AnyRestart)
	case "oom-kills":
		return target.Restarts(kube.OOMKill)
	case "memory":
		return target.Usage(kube.UsageMemory, of)
	}
	return target.Usage(kube.UsageCPU, of)
}

// more are the permissions that the analysis file asks for.
func (c Config) more() []kube.Permission {
	var more []kube.Permission
	if slices.ContainsFunc(c.Analysis.Metrics, func(m config.Metric) bool {
		return m.Kubernetes != nil && (m.Kubernetes.Resource == "cpu" || m.Kubernetes.Resource == "memory")
	}) {
		more = append(more, kube.UsagePermissions...)
	}
	if slices.ContainsFunc(c.Analysis.Checks, func(k config.CustomCheck) bool { return k.Job != "" }) {
		more = append(more, kube.JobPermissions...)
	}
	return more
}

func cloudWatch(ctx context.Context, m config.Metric) (source, error) {
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
	secret := r.getenv(variable)
	if secret == "" {
		return nil, fmt.Errorf("the environment has no %s", variable)
	}
	r.tell.secret(secret)
	return http.Header{"Authorization": {scheme + secret}}, nil
}
