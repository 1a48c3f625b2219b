// Package cloudwatch reads counts and gauges of both versions from CloudWatch: of an
// Application Load Balancer's target groups, of a Lambda alias, or of any metric
// whose dimensions tell the versions apart.
//
// CloudWatch goes on filling its periods for a while, so a period is handed out once,
// when it is complete. Percentiles of periods cannot be merged to one of a longer
// time; they are gauges here.
package cloudwatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

const (
	// standardPeriod is the resolution of what AWS's own services report.
	standardPeriod = time.Minute
	// settle is how long a service may take to report a period after its end.
	settle = time.Minute
	// reach is how far back the first call looks for a gauge, in periods.
	reach = 5
	// maxPages bounds an answer: a day of datapoints, one a second, fits on one.
	maxPages = 20
)

// A Metric is one of CloudWatch's time series of each version.
type Metric struct {
	// Namespace and Name, such as AWS/Lambda and Errors.
	Namespace, Name string
	// Dimensions by name. All that the series has must be named. Values may
	// hold ${version}, ${service} and ${namespace}.
	Dimensions map[string]string
	// Stat is what is made of a period: Sum or SampleCount for counts; also
	// Average, Minimum, Maximum or a percentile such as p95 for a value.
	Stat string
}

// Metrics are what to read of both versions: requests, a value, or both.
type Metrics struct {
	// Total requests and the Failed ones among them, both or neither.
	Total, Failed *Metric
	// Sparse says that Failed has no datapoint in a period without failures,
	// as with the load balancers. A mistake in its name would then look like
	// success. Without Sparse, requests without a datapoint of Failed are an
	// error.
	Sparse bool
	// Value is a gauge.
	Value *Metric
	// Names are what the dimensions say of the versions.
	Names source.Names
	// Period of the datapoints: 1, 5, 10 or 30 s where the metric has high
	// resolution, or whole minutes; 1 minute if 0.
	Period time.Duration
	// Settle is how long a period is left to be filled after its end; 1 minute
	// if 0. What arrives even later is never read.
	Settle time.Duration
	// Now is the clock, since the API wants both ends of a time; nil for the
	// system's.
	Now func() time.Time
}

// TargetGroups counts the requests and 5xx answers of two target groups behind
// an Application Load Balancer. loadBalancer, stable and canary are the last
// parts of the ARNs: app/NAME/ID, targetgroup/NAME/ID. What the load balancer
// answers itself, such as 503 without a target, belongs to no target group and
// is not counted.
func TargetGroups(loadBalancer, stable, canary string) Metrics {
	return Metrics{
		Total:  targetMetric("RequestCount", loadBalancer, "Sum"),
		Failed: targetMetric("HTTPCode_Target_5XX_Count", loadBalancer, "Sum"),
		Sparse: true,
		Names:  source.Names{Stable: stable, Canary: canary},
	}
}

// TargetGroupLatency is a percentile, such as p50 or p95, of the seconds until
// the targets of each group answered. It is a gauge: percentiles of periods
// cannot be merged to one of a longer time, so that it may be held against a
// limit and not be tested as a sample.
func TargetGroupLatency(loadBalancer, stable, canary, percentile string) Metrics {
	return Metrics{
		Value: targetMetric("TargetResponseTime", loadBalancer, percentile),
		Names: source.Names{Stable: stable, Canary: canary},
	}
}

func targetMetric(name, loadBalancer, stat string) *Metric {
	return &Metric{Namespace: "AWS/ApplicationELB", Name: name, Stat: stat,
		Dimensions: map[string]string{"LoadBalancer": loadBalancer, "TargetGroup": "${version}"}}
}

// LambdaAlias counts the invocations and errors of the two function versions
// that an alias sends to, such as 7 and 8. Throttled calls are no invocations.
func LambdaAlias(function, alias, stable, canary string) Metrics {
	return Metrics{
		Total:  lambdaMetric("Invocations", function, alias, "Sum"),
		Failed: lambdaMetric("Errors", function, alias, "Sum"),
		Names:  source.Names{Stable: stable, Canary: canary},
	}
}

// LambdaDuration is a percentile of the milliseconds that the two function
// versions of an alias ran for. Like TargetGroupLatency it is a gauge.
func LambdaDuration(function, alias, stable, canary, percentile string) Metrics {
	return Metrics{
		Value: lambdaMetric("Duration", function, alias, percentile),
		Names: source.Names{Stable: stable, Canary: canary},
	}
}

func lambdaMetric(name, function, alias, stat string) *Metric {
	return &Metric{Namespace: "AWS/Lambda", Name: name, Stat: stat,
		Dimensions: map[string]string{"FunctionName": function, "Resource": function + ":" + alias, "ExecutedVersion": "${version}"}}
}

type field string

const (
	total  field = "requests"
	failed field = "failed requests"
	value  field = "value"
)

// A series is one metric of one version.
type series struct {
	field   field
	version rollout.Side
	metric  Metric // its dimensions filled
}

func (s series) String() string {
	var dimensions []string
	for _, name := range slices.Sorted(maps.Keys(s.metric.Dimensions)) {
		dimensions = append(dimensions, name+"="+s.metric.Dimensions[name])
	}
	return fmt.Sprintf("%s of %s/%s{%s}", s.metric.Stat, s.metric.Namespace, s.metric.Name, strings.Join(dimensions, ","))
}

// A Source reads Metrics. It remembers what it has handed out, and is for one
// goroutine.
type Source struct {
	api     cloudwatch.GetMetricDataAPIClient
	metrics Metrics
	series  []series
	begun   time.Time // the baseline; zero before it
	upto    time.Time // the end of what has been handed out
}

// New returns a Source of m in the account of api. It refuses metrics whose dimensions
// are the same for both versions (source.ErrMixed), and asks AWS for nothing yet.
func New(api cloudwatch.GetMetricDataAPIClient, m Metrics) (*Source, error) {
	m.Period, m.Settle = cmp.Or(m.Period, standardPeriod), cmp.Or(m.Settle, settle)
	if m.Now == nil {
		m.Now = time.Now
	}
	all, err := m.all()
	if err != nil {
		return nil, fmt.Errorf("cloudwatch metric: %w", err)
	}
	return &Source{api: api, metrics: m, series: all}, nil
}

// all are the series to ask for.
func (m Metrics) all() ([]series, error) {
	if (m.Total == nil) != (m.Failed == nil) {
		return nil, errors.New("requests need both a total and the failed ones")
	}
	if m.Total == nil && m.Value == nil {
		return nil, errors.New("neither requests nor a value are asked for")
	}
	if !validPeriod(m.Period) {
		return nil, fmt.Errorf("a period of %s: want 1s, 5s, 10s, 30s or whole minutes", m.Period)
	}
	var all []series
	for _, part := range []struct {
		field  field
		metric *Metric
	}{{total, m.Total}, {failed, m.Failed}, {value, m.Value}} {
		if part.metric == nil {
			continue
		}
		both, err := m.both(part.field, *part.metric)
		if err != nil {
			return nil, fmt.Errorf("%s, %s/%s: %w", part.field, part.metric.Namespace, part.metric.Name, err)
		}
		all = append(all, both...)
	}
	return all, nil
}

func validPeriod(p time.Duration) bool {
	return p > 0 && p%time.Minute == 0 || slices.Contains([]time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second}, p)
}

// both fills a metric for either version.
func (m Metrics) both(f field, metric Metric) ([]series, error) {
	if metric.Namespace == "" || metric.Name == "" {
		return nil, errors.New("it has no namespace or no name")
	}
	if err := checkStat(f, metric.Stat); err != nil {
		return nil, err
	}
	stable := series{f, rollout.SideStable, metric}
	canary := series{f, rollout.SideCanary, metric}
	for _, s := range []*series{&stable, &canary} {
		s.metric.Dimensions = map[string]string{}
		for name, text := range metric.Dimensions {
			filled, err := m.Names.Fill(text, s.version)
			if err != nil {
				return nil, fmt.Errorf("dimension %s: %w", name, err)
			}
			s.metric.Dimensions[name] = filled
		}
	}
	if err := source.TellsApart(stable.String(), canary.String()); err != nil {
		return nil, fmt.Errorf("%w: a dimension has to hold ${version}", err)
	}
	return []series{stable, canary}, nil
}

var percentile = regexp.MustCompile(`^p[0-9]{1,2}(\.[0-9]+)?$|^p100$`)

// checkStat refuses what is no count for counts: an average of errors looks
// like a number of them.
func checkStat(f field, stat string) error {
	counts := []string{"Sum", "SampleCount"}
	switch {
	case slices.Contains(counts, stat):
		return nil
	case f != value:
		return fmt.Errorf("statistic %q: want Sum or SampleCount for counts", stat)
	case slices.Contains([]string{"Average", "Minimum", "Maximum"}, stat) || percentile.MatchString(stat):
		return nil
	}
	return fmt.Errorf("statistic %q: want Sum, SampleCount, Average, Minimum, Maximum or a percentile such as p95", stat)
}

// Read returns a point for each version and period that has become complete since
// the call before. The first call returns no counts, and of values the last complete
// one. A period without a datapoint gives no point. An error leaves all to the
// next call.
func (c *Source) Read(ctx context.Context) ([]analysis.Point, error) {
	upto := c.metrics.Now().Add(-c.metrics.Settle).Truncate(c.metrics.Period)
	from := c.upto
	if c.begun.IsZero() {
		from = upto.Add(-reach * c.metrics.Period)
	}
	if !from.Before(upto) {
		return nil, nil // no period has ended since
	}
	answers, err := c.ask(ctx, from, upto)
	if err != nil {
		return nil, fmt.Errorf("ask cloudwatch for %s: %w", c.series[0], err)
	}
	joined := points{}
	for i, a := range answers {
		if err := joined.add(c.series[i], c.fresh(c.series[i].field, a, from, upto), c.metrics.Period); err != nil {
			return nil, fmt.Errorf("ask cloudwatch for %s: %w", c.series[i], err)
		}
	}
	sorted, err := joined.sorted(c.metrics.Sparse)
	if err != nil {
		return nil, fmt.Errorf("ask cloudwatch for %s: %w", c.series[0], err)
	}
	c.upto = upto
	if c.begun.IsZero() {
		c.begun = upto
	}
	return sorted, nil
}

// datapoint is what a series has at the beginning of a period.
type datapoint struct {
	at    time.Time
	value float64
}

// ask returns the datapoints of all series, in their order, oldest first.
func (c *Source) ask(ctx context.Context, from, upto time.Time) ([][]datapoint, error) {
	answers := make([][]datapoint, len(c.series))
	status := make([]types.StatusCode, len(c.series))
	pages := cloudwatch.NewGetMetricDataPaginator(c.api, &cloudwatch.GetMetricDataInput{
		StartTime: &from, EndTime: &upto, ScanBy: types.ScanByTimestampAscending, MetricDataQueries: c.queries(),
	})
	for n := 0; pages.HasMorePages(); n++ {
		if n == maxPages {
			return nil, fmt.Errorf("the answer has more than %d pages", maxPages)
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		if err := complaint(page.Messages); err != nil {
			return nil, err
		}
		for _, r := range page.MetricDataResults {
			i := slices.IndexFunc(c.series, func(s series) bool { return s.id() == aws.ToString(r.Id) })
			if i < 0 || len(r.Values) != len(r.Timestamps) {
				return nil, fmt.Errorf("an answer that fits no question: %q with %d times and %d values", aws.ToString(r.Id), len(r.Timestamps), len(r.Values))
			}
			if err := complaint(r.Messages); err != nil {
				return nil, fmt.Errorf("%s: %w", c.series[i], err)
			}
			for j, at := range r.Timestamps {
				answers[i] = append(answers[i], datapoint{at.UTC(), r.Values[j]})
			}
			status[i] = r.StatusCode // a page that is not the last is partial
		}
	}
	for i, s := range status {
		if s != types.StatusCodeComplete {
			return nil, fmt.Errorf("%s: the answer is %s, not complete", c.series[i], cmp.Or(string(s), "missing"))
		}
	}
	return answers, nil
}

func complaint(messages []types.MessageData) error {
	var errs []error
	for _, m := range messages {
		errs = append(errs, fmt.Errorf("%s: %s", aws.ToString(m.Code), aws.ToString(m.Value)))
	}
	return errors.Join(errs...)
}

// id names the series in a request.
func (s series) id() string {
	return map[field]string{total: "total", failed: "failed", value: "value"}[s.field] + "_" + string(s.version)
}

func (c *Source) queries() []types.MetricDataQuery {
	period := int32(c.metrics.Period / time.Second)
	var queries []types.MetricDataQuery
	for _, s := range c.series {
		metric := &types.Metric{Namespace: &s.metric.Namespace, MetricName: &s.metric.Name}
		for _, name := range slices.Sorted(maps.Keys(s.metric.Dimensions)) {
			metric.Dimensions = append(metric.Dimensions, types.Dimension{Name: aws.String(name), Value: aws.String(s.metric.Dimensions[name])})
		}
		queries = append(queries, types.MetricDataQuery{
			Id: aws.String(s.id()), ReturnData: aws.Bool(true),
			MetricStat: &types.MetricStat{Metric: metric, Period: &period, Stat: &s.metric.Stat},
		})
	}
	return queries
}

// fresh are the datapoints to hand out: of whole periods in the time asked for,
// and of the first call only the newest value.
func (c *Source) fresh(f field, all []datapoint, from, upto time.Time) []datapoint {
	var complete []datapoint
	for _, d := range all {
		if !d.at.Before(from) && !d.at.Add(c.metrics.Period).After(upto) {
			complete = append(complete, d)
		}
	}
	if !c.begun.IsZero() {
		return complete
	}
	if f == value && len(complete) > 0 {
		return complete[len(complete)-1:]
	}
	return nil
}

// points are joined by what tells them apart.
type points map[key]*joint

type key struct {
	at      int64 // end of the period, Unix seconds
	version rollout.Side
}

// joint is a point and which counts it has.
type joint struct {
	point         analysis.Point
	total, failed bool
}

func (j *joint) has(f field) bool {
	switch f {
	case total:
		return j.total
	case failed:
		return j.failed
	default:
		return j.point.Value != nil
	}
}

func (p points) add(s series, all []datapoint, period time.Duration) error {
	for _, d := range all {
		end := d.at.Add(period)
		if s.field != value && !source.Countable(d.value) {
			return fmt.Errorf("%v %s until %s are no count", d.value, s.field, end.Format(time.TimeOnly))
		}
		k := key{end.Unix(), s.version}
		if p[k] == nil {
			p[k] = &joint{point: analysis.Point{At: end, Side: s.version}}
		}
		j := p[k]
		if j.has(s.field) {
			return fmt.Errorf("two datapoints of %s until %s", s.field, end.Format(time.TimeOnly))
		}
		switch s.field {
		case total:
			j.point.Total, j.total = d.value, true
		case failed:
			j.point.Failed, j.failed = d.value, true
		case value:
			n := analysis.Number(d.value)
			j.point.Value = &n
		}
	}
	return nil
}

// sorted refuses more failures than requests, and requests without a word on
// failures unless failures are sparse.
func (p points) sorted(sparse bool) ([]analysis.Point, error) {
	keys := slices.SortedFunc(maps.Keys(p), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.version, b.version))
	})
	var sorted []analysis.Point
	for _, k := range keys {
		j := p[k]
		until := j.point.At.Format(time.TimeOnly)
		if j.point.Failed > j.point.Total {
			return nil, fmt.Errorf("%v failed requests of %v of %s until %s", j.point.Failed, j.point.Total, k.version, until)
		}
		if j.total && !j.failed && !sparse {
			return nil, fmt.Errorf("%v requests of %s until %s, and no datapoint of failed ones", j.point.Total, k.version, until)
		}
		sorted = append(sorted, j.point)
	}
	return sorted, nil
}
