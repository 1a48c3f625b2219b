package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/aws/awstest"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

const secret = "planted-secret-key"

// connect is CloudWatch at an endpoint.
func connect(endpoint string) *cloudwatch.Client {
	return cloudwatch.NewFromConfig(aws.Config{
		Region: "eu-central-1", BaseEndpoint: &endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDTEST", SecretAccessKey: secret}, nil
		}),
	})
}

// an account is a moto_server, and a clock that the test moves. Minute 0 is half
// an hour ago.
type account struct {
	t     *testing.T
	api   *cloudwatch.Client
	begin time.Time
	now   time.Time
}

func newAccount(t *testing.T) *account {
	t.Helper()
	begin := time.Now().UTC().Add(-30 * time.Minute).Truncate(time.Minute)
	return &account{t: t, api: connect(awstest.Start(t)), begin: begin, now: begin}
}

func (a *account) at(d time.Duration) time.Time { return a.begin.Add(d) }

// source is the one of m under the test's clock, and one second to settle.
func (a *account) source(m Metrics) *Source {
	a.t.Helper()
	m.Now, m.Settle = func() time.Time { return a.now }, time.Second
	s, err := New(a.api, m)
	if err != nil {
		a.t.Fatal(err)
	}
	return s
}

// put reports a datum of each series named: "total_stable" and so on, as id says.
func (a *account) put(s *Source, at time.Duration, values map[string]float64) {
	a.t.Helper()
	for id, v := range values {
		i := slices.IndexFunc(s.series, func(one series) bool { return one.id() == id })
		m := s.series[i].metric
		datum := types.MetricDatum{MetricName: &m.Name, Value: aws.Float64(v), Timestamp: aws.Time(a.at(at))}
		for _, name := range slices.Sorted(maps.Keys(m.Dimensions)) { // moto finds them in the order of the question alone
			datum.Dimensions = append(datum.Dimensions, types.Dimension{Name: aws.String(name), Value: aws.String(m.Dimensions[name])})
		}
		if _, err := a.api.PutMetricData(a.t.Context(), &cloudwatch.PutMetricDataInput{Namespace: &m.Namespace, MetricData: []types.MetricDatum{datum}}); err != nil {
			a.t.Fatal(err)
		}
	}
}

// reads moves the clock to where at has settled and fails the test unless the
// source says want.
func (a *account) reads(s *Source, at time.Duration, want ...analysis.Point) {
	a.t.Helper()
	a.now = a.at(at + time.Second)
	got, err := s.Read(a.t.Context())
	if err != nil {
		a.t.Fatalf("read at %s: %v", at, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		a.t.Fatalf("read at %s (-want +got):\n%s", at, diff)
	}
}

func (a *account) counts(at time.Duration, v rollout.Side, total, failed float64) analysis.Point {
	return analysis.Point{At: a.at(at), Side: v, Total: total, Failed: failed}
}

func (a *account) gauge(at time.Duration, v rollout.Side, value float64) analysis.Point {
	n := analysis.Number(value)
	return analysis.Point{At: a.at(at), Side: v, Value: &n}
}

const (
	loadBalancer = "app/web/50dc6c495c0c9188"
	stableGroup  = "targetgroup/web/73e2d6bc24d8a067"
	canaryGroup  = "targetgroup/web-canary/943f017f100becff"
)

func TestTargetGroups(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	s := a.source(TargetGroups(loadBalancer, stableGroup, canaryGroup))
	a.put(s, 10*time.Second, map[string]float64{"total_stable": 1000, "failed_stable": 1000})
	a.reads(s, time.Minute) // the baseline
	// Two reports in one minute, and no failures of the stable group.
	a.put(s, 70*time.Second, map[string]float64{"total_stable": 90, "total_canary": 8})
	a.put(s, 110*time.Second, map[string]float64{"total_stable": 10, "total_canary": 2, "failed_canary": 3})
	a.reads(s, 119*time.Second) // the minute is not over
	a.put(s, 130*time.Second, map[string]float64{"total_stable": 7})
	a.reads(s, 150*time.Second, a.counts(2*time.Minute, rollout.SideCanary, 10, 3), a.counts(2*time.Minute, rollout.SideStable, 100, 0))
	a.reads(s, 150*time.Second)
	a.reads(s, 5*time.Minute, a.counts(3*time.Minute, rollout.SideStable, 7, 0))
}

func TestLambdaAlias(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	s := a.source(LambdaAlias("checkout", "live", "7", "8"))
	if want := "Sum of AWS/Lambda/Errors{ExecutedVersion=8,FunctionName=checkout,Resource=checkout:live}"; s.series[3].String() != want {
		t.Errorf("asks for %s, want %s", s.series[3], want)
	}
	a.reads(s, time.Minute)
	a.put(s, 61*time.Second, map[string]float64{"total_stable": 95, "failed_stable": 0, "total_canary": 5, "failed_canary": 2})
	a.reads(s, 2*time.Minute, a.counts(2*time.Minute, rollout.SideCanary, 5, 2), a.counts(2*time.Minute, rollout.SideStable, 95, 0))
	// A count whose failures are not known is no success.
	a.put(s, 121*time.Second, map[string]float64{"total_canary": 5})
	a.now = a.at(3*time.Minute + time.Second)
	if points, err := s.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "no datapoint of failed ones") {
		t.Errorf("Read = %+v, %v, want an error", points, err)
	}
	a.put(s, 122*time.Second, map[string]float64{"failed_canary": 1})
	a.reads(s, 3*time.Minute, a.counts(3*time.Minute, rollout.SideCanary, 5, 1)) // what an error kept back
}

func TestOwnMetricOfHighResolution(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	s := a.source(Metrics{
		Value:  &Metric{Namespace: "Shop", Name: "QueueDepth", Stat: "Maximum", Dimensions: map[string]string{"Service": "${service}"}},
		Names:  source.Names{Service: "web"},
		Period: 10 * time.Second,
	})
	a.put(s, 25*time.Second, map[string]float64{"value_stable": 1})
	a.put(s, 35*time.Second, map[string]float64{"value_stable": 2, "value_canary": 5})
	a.reads(s, 42*time.Second, a.gauge(40*time.Second, rollout.SideCanary, 5), a.gauge(40*time.Second, rollout.SideStable, 2)) // at once
	a.put(s, 43*time.Second, map[string]float64{"value_canary": 6})
	a.put(s, 49*time.Second, map[string]float64{"value_canary": 9})
	a.reads(s, 50*time.Second, a.gauge(50*time.Second, rollout.SideCanary, 9))
}

func TestRefusedMetrics(t *testing.T) {
	t.Parallel()
	own := func(stat string, dimensions map[string]string) *Metric {
		return &Metric{Namespace: "Shop", Name: "M", Stat: stat, Dimensions: dimensions}
	}
	apart := map[string]string{"Version": "${version}"}
	for name, test := range map[string]struct {
		metrics Metrics
		want    string
		mixed   bool
	}{
		"no version":        {Metrics{Value: own("Average", map[string]string{"Service": "web"})}, "a dimension has to hold ${version}", true},
		"one target group":  {TargetGroups(loadBalancer, stableGroup, stableGroup), "requests, AWS/ApplicationELB/RequestCount: cannot tell the versions apart", true},
		"failed is mixed":   {Metrics{Total: own("Sum", apart), Failed: own("Sum", nil)}, "failed requests, Shop/M", true},
		"unknown name":      {Metrics{Value: own("Average", map[string]string{"Version": "${color}"})}, "dimension Version: ", false},
		"only total":        {Metrics{Total: own("Sum", apart)}, "both a total and the failed ones", false},
		"nothing":           {Metrics{}, "neither", false},
		"period":            {Metrics{Value: own("Average", apart), Period: 15 * time.Second}, "a period of 15s", false},
		"averaged requests": {Metrics{Total: own("Average", apart), Failed: own("Sum", apart)}, `statistic "Average": want Sum`, false},
		"percentile":        {TargetGroupLatency(loadBalancer, stableGroup, canaryGroup, "95"), `statistic "95"`, false},
		"no name":           {Metrics{Value: &Metric{Namespace: "Shop", Stat: "Sum", Dimensions: apart}}, "no namespace or no name", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New(nil, test.metrics)
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, source.ErrMixed) != test.mixed {
				t.Errorf("error %v, want %q (mixed: %t)", err, test.want, test.mixed)
			}
		})
	}
	for _, m := range []Metrics{TargetGroupLatency(loadBalancer, stableGroup, canaryGroup, "p99.9"), LambdaDuration("f", "live", "1", "2", "p95")} {
		if _, err := New(nil, m); err != nil {
			t.Error(err)
		}
	}
}

// pages answers like CloudWatch where moto never does: in several pages,
// partially, with complaints.
type pages []*cloudwatch.GetMetricDataOutput

func (p *pages) GetMetricData(context.Context, *cloudwatch.GetMetricDataInput, ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error) {
	if len(*p) == 0 {
		return nil, errors.New("asked too often")
	}
	page := (*p)[0]
	*p = (*p)[1:]
	return page, nil
}

func TestAnswersOfSeveralPages(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	result := func(version rollout.Side, status types.StatusCode, values ...float64) types.MetricDataResult {
		r := types.MetricDataResult{Id: aws.String("value_" + string(version)), StatusCode: status, Values: values}
		for i := range values {
			r.Timestamps = append(r.Timestamps, now.Add(time.Duration(i-len(values))*time.Minute))
		}
		return r
	}
	page := func(next string, results ...types.MetricDataResult) *cloudwatch.GetMetricDataOutput {
		o := &cloudwatch.GetMetricDataOutput{MetricDataResults: results}
		if next != "" {
			o.NextToken = &next
		}
		return o
	}
	const complete, partial = types.StatusCodeComplete, types.StatusCodePartialData
	for name, test := range map[string]struct {
		pages pages
		want  string // error; "" for an answer
	}{
		"two pages":      {pages{page("2", result("stable", partial, 1), result("canary", partial)), page("", result("stable", complete), result("canary", complete, 2))}, ""},
		"still partial":  {pages{page("", result("stable", complete, 1), result("canary", partial, 2))}, "the answer is PartialData"},
		"internal error": {pages{page("", result("stable", types.StatusCodeInternalError), result("canary", complete, 2))}, "the answer is InternalError"},
		"forbidden":      {pages{page("", result("stable", types.StatusCodeForbidden), result("canary", complete, 2))}, "the answer is Forbidden"},
		"one is missing": {pages{page("", result("stable", complete, 1))}, "the answer is missing"},
		"complaint": {pages{{Messages: []types.MessageData{{Code: aws.String("MaxMetricsExceeded"), Value: aws.String("too many")}},
			MetricDataResults: []types.MetricDataResult{result("stable", complete, 1), result("canary", complete, 2)}}}, "MaxMetricsExceeded: too many"},
		"of something else": {pages{page("", result("green", complete, 1))}, "fits no question"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := TargetGroupLatency(loadBalancer, stableGroup, canaryGroup, "p95")
			m.Now, m.Settle = func() time.Time { return now.Add(time.Second) }, time.Second
			api := test.pages
			s, err := New(&api, m)
			if err != nil {
				t.Fatal(err)
			}
			points, err := s.Read(t.Context())
			if test.want == "" && (err != nil || len(points) != 2) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Read = %+v, %v, want error %q", points, err, test.want)
			}
		})
	}
}

// forever is an API whose answers have a next page each.
type forever struct{ asked int }

func (f *forever) GetMetricData(context.Context, *cloudwatch.GetMetricDataInput, ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error) {
	f.asked++
	return &cloudwatch.GetMetricDataOutput{NextToken: aws.String(fmt.Sprint(f.asked))}, nil
}

// What no count can be, twice the same period, and pages without an end are errors.
func TestReadRefusesHostileAnswers(t *testing.T) {
	t.Parallel()
	own := func(name string) *Metric {
		return &Metric{Namespace: "Shop", Name: name, Stat: "Sum", Dimensions: map[string]string{"Version": "${version}"}}
	}
	begin := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	now := begin.Add(3 * time.Minute)
	m := Metrics{Total: own("Requests"), Failed: own("Errors"), Names: source.Names{}, Now: func() time.Time { return now }, Settle: time.Second}
	read := func(values map[string][]float64, times ...time.Time) ([]analysis.Point, error) {
		var out cloudwatch.GetMetricDataOutput
		for _, id := range []string{"total_stable", "total_canary", "failed_stable", "failed_canary"} {
			out.MetricDataResults = append(out.MetricDataResults, types.MetricDataResult{Id: aws.String(id), StatusCode: types.StatusCodeComplete, Values: values[id], Timestamps: times[:len(values[id])]})
		}
		s, err := New(&pages{&out}, m)
		if err != nil {
			t.Fatal(err)
		}
		s.begun, s.upto = begin, begin
		return s.Read(t.Context())
	}
	first, second := begin, begin.Add(time.Minute)
	if points, err := read(map[string][]float64{"total_canary": {9}, "failed_canary": {1}}, first); err != nil || len(points) != 1 {
		t.Fatalf("a good answer: %+v, %v", points, err)
	}
	for name, c := range map[string]struct {
		total, failed []float64
		times         []time.Time
		want          string
	}{
		"not a number":     {[]float64{math.NaN()}, []float64{0}, []time.Time{first}, "NaN requests"},
		"infinite":         {[]float64{math.Inf(1)}, []float64{0}, []time.Time{first}, "no count"},
		"negative":         {[]float64{9}, []float64{-1}, []time.Time{first}, "-1 failed requests"},
		"more failed":      {[]float64{1}, []float64{2}, []time.Time{first}, "2 failed requests of 1"},
		"no word on them":  {[]float64{1}, nil, []time.Time{first}, "no datapoint of failed ones"},
		"the same twice":   {[]float64{1, 1}, []float64{0, 0}, []time.Time{first, first}, "two datapoints of requests"},
		"one period twice": {[]float64{1, 1, 1}, []float64{0, 0, 0}, []time.Time{first, second, first}, "two datapoints of requests"},
	} {
		points, err := read(map[string][]float64{"total_canary": c.total, "failed_canary": c.failed}, c.times...)
		if err == nil || !strings.Contains(err.Error(), c.want) || points != nil {
			t.Errorf("%s: Read = %+v, %v; want %q", name, points, err, c.want)
		}
	}
	if points, err := read(map[string][]float64{"total_canary": {9}, "failed_canary": {1}}, begin.Add(-time.Hour)); err != nil || len(points) != 0 {
		t.Errorf("a period of an hour ago: %+v, %v; want none", points, err)
	}
	api := &forever{}
	s, err := New(api, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "more than 20 pages") || api.asked > maxPages {
		t.Errorf("pages without an end: %v after %d", err, api.asked)
	}
}

// TestThrottling: the SDK asks again. What is refused for good is an error that
// names the question and keeps the credentials.
func TestThrottling(t *testing.T) {
	t.Parallel()
	codes := []string{"Throttling", "AccessDenied"}
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		code := codes[min(int(asked.Add(1)), len(codes))-1]
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>as the test wants</Message></Error><RequestId>1</RequestId></ErrorResponse>", code)
	}))
	t.Cleanup(server.Close)
	s, err := New(connect(server.URL), LambdaAlias("checkout", "live", "7", "8"))
	if err != nil {
		t.Fatal(err)
	}
	points, err := s.Read(t.Context())
	if err == nil || asked.Load() != 2 {
		t.Fatalf("Read = %+v, %v after %d requests, want an error after 2", points, err, asked.Load())
	}
	for _, want := range []string{"AWS/Lambda/Invocations", "AccessDenied"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want it to name %s", err, want)
		}
	}
	for _, hidden := range []string{secret, "AKIDTEST"} {
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("error %v shows a credential", err)
		}
	}
}
