package build

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

const (
	schemaFile = "schema/analysis.schema.json"
	schemaID   = "https://raw.githubusercontent.com/candlefish/deploy-action/v1/" + schemaFile
)

// durations are what time.ParseDuration takes, without a sign.
const durations = `^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`

// schemaJSON is the JSON Schema of the analysis file: types and names from
// config.Config, words and bounds from properties. It says of each key what may
// stand there; what belongs together, such as one source for each metric, only
// the loader checks (config.Config.Validate).
func schemaJSON() string {
	r := jsonschema.Reflector{
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if t == reflect.TypeFor[config.Duration]() {
				return &jsonschema.Schema{Type: "string", Pattern: durations, Examples: []any{"30s"}}
			}
			return nil
		},
		LookupComment: func(t reflect.Type, field string) string { return properties[t.Name()+"."+field].text },
	}
	s := r.Reflect(&config.Config{})
	s.ID, s.Title = schemaID, "How a rollout is judged (candlefish/deploy-action)"
	refine(s.Definitions, reflect.TypeFor[config.Config](), s.Definitions["Config"])
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("build: encode the schema: " + err.Error())
	}
	return string(text) + "\n"
}

// refine adds to a struct's schema, and to those below it, the bounds that types
// do not have.
func refine(all jsonschema.Definitions, t reflect.Type, s *jsonschema.Schema) {
	for f := range t.Fields() {
		at := f.Type
		for at.Kind() == reflect.Pointer || at.Kind() == reflect.Slice {
			at = at.Elem()
		}
		if f.Anonymous { // its keys are the outer struct's
			refine(all, at, s)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if bound := properties[t.Name()+"."+f.Name].bound; bound != nil {
			property, _ := s.Properties.Get(name)
			bound(property)
		}
		if inner := all[at.Name()]; inner != nil {
			refine(all, at, inner)
		}
	}
}

// A property is what the schema says of a key, beside its type.
type property struct {
	text  string
	bound func(*jsonschema.Schema)
}

func limit(n float64) json.Number { return json.Number(fmt.Sprint(n)) }

func over(n float64) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.ExclusiveMinimum = limit(n) }
}

func atLeast(n float64) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Minimum = limit(n) }
}

func upTo(n float64) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Maximum = limit(n) }
}

func under(n float64) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.ExclusiveMaximum = limit(n) }
}

func both(a, b func(*jsonschema.Schema)) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { a(s); b(s) }
}

func each(bound func(*jsonschema.Schema)) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { bound(s.Items) }
}

func eachValue(bound func(*jsonschema.Schema)) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { bound(s.AdditionalProperties) }
}

func atLeastOne(s *jsonschema.Schema) { one := uint64(1); s.MinItems = &one }

func oneOf[T any](values ...T) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) {
		for _, v := range values {
			s.Enum = append(s.Enum, v)
		}
	}
}

func name(s *jsonschema.Schema) { s.Pattern = `^[A-Za-z0-9._-]{1,63}$` }

var (
	policy   = oneOf(rollout.PolicyFail, rollout.PolicyHold, rollout.PolicyExtend, rollout.PolicyIgnore)
	percents = both(atLeast(0), upTo(100))
)

// properties are the keys of the analysis file by type and field. A field that is
// not here fails a test.
var properties = map[string]property{
	"Config.Version":       {"The version of this format.", oneOf(config.Version)},
	"Config.Alpha":         {"How likely it may be that a rollout is stopped whose canary keeps every limit, over all steps, metrics and looks. Default: 0.01.", both(over(0), upTo(.2))},
	"Config.MaxExtensions": {"How often a dwell is repeated that ended inconclusive. Default: 2.", both(atLeast(0), upTo(20))},
	"Config.Then":          {"What follows when no extension is left: hold for a person (the default), or abort.", oneOf(rollout.PolicyHold, rollout.PolicyAbort)},
	"Config.Stale":         {"The age from which the newest data of a metric is too old to judge by, and how far in the future it may be. Default: 30s.", nil},
	"Config.Metrics":       {"What is measured. The metric probe, the stream of requests that the tool sends itself, is always judged, named here or not.", nil},
	"Config.Groups":        {"The weight of each group of metrics in the score. Default: 1.", eachValue(over(0))},
	"Config.Score":         {"What the score of the metrics has to reach, from 0 to 100.", nil},
	"Config.Checks":        {"Programs of your own that judge a step.", nil},

	"Score.Pass":     {"From this score on a step is successful. 95 where score is not given.", percents},
	"Score.Marginal": {"Under this score a step has failed; from it up to pass, a person decides. 75 where score is not given.", percents},

	"Metric.Name":         {"The name of the metric in reports, unique among metrics and checks.", name},
	"Metric.Errors":       {"The metric counts requests; their failures keep these limits. With an empty object, the inputs' limits.", nil},
	"Metric.Latency":      {"The metric has latencies, which keep these limits. With an empty object, the inputs' limits.", nil},
	"Metric.Limit":        {"The metric is a value, which keeps this limit.", nil},
	"Metric.Critical":     {"Whether failing this metric fails the step at once (the default), or only lowers the score.", nil},
	"Metric.Group":        {"The group in the score.", nil},
	"Metric.Weight":       {"The weight of the metric in its group. Default: 1.", over(0)},
	"Metric.MinSamples":   {"How many requests of the canary a verdict needs. Default: the input min-samples.", atLeast(1)},
	"Metric.OnNoData":     {"What follows when there is no data, or only old data: fail, hold, extend (the default) or ignore.", policy},
	"Metric.OnNaN":        {"What follows when the values are not numbers.", policy},
	"Metric.OnFewSamples": {"What follows when there are fewer than min-samples, or when a difference may be chance.", policy},
	"Metric.Baseline":     {"previous (the default): the last release's latencies at the same time of its step stand in where stable has too few requests; stable: they never do.", oneOf("previous", "stable")},

	"ErrorLimits.Rate":    {"The most requests of the canary that may fail, in percent.", both(atLeast(0), under(100))},
	"ErrorLimits.Success": {"The fewest requests of the canary that must succeed, in percent. The stricter of rate and success counts.", percents},
	"ErrorLimits.Ratio":   {"How many times as often as stable's, at the same time, the canary's requests may fail. Default: 2.", atLeast(1)},
	"ErrorLimits.Floor":   {"The share of failures, in percent, under which ratio does not count. Default: 0.2.", both(atLeast(0), under(100))},

	"LatencyLimits.Ratio": {"How many times as long as stable's, at the same time, the canary's answers may take.", atLeast(1)},
	"LatencyLimits.Floor": {"The least difference in latency that matters. Default: 5ms.", nil},
	"LatencyLimits.P95":   {"The highest 95th percentile of the canary's latencies; 0s for no such limit.", nil},

	"GaugeLimit.Max":   {"The highest value allowed. Either max or min.", nil},
	"GaugeLimit.Min":   {"The lowest value allowed.", nil},
	"GaugeLimit.For":   {"How long a value must be past the limit, without a break, to fail the step. Default: 0s, which is at once.", nil},
	"GaugeLimit.Clear": {"The value that counts as back within the limit; Default: the limit itself.", nil},

	"Source.Prometheus": {"A Prometheus server.", nil},
	"Source.Datadog":    {"Datadog, with keys from the environment: DD_API_KEY and DD_APP_KEY.", nil},
	"Source.CloudWatch": {"AWS CloudWatch, with the usual AWS credentials.", nil},
	"Source.Kubernetes": {"What the pods of both versions use.", nil},
	"Source.HTTP":       {"Any endpoint that answers JSON.", nil},

	"PrometheusSource.URL":      {"The server's URL. Environment variables may stand in it, as ${NAME}.", nil},
	"PrometheusSource.Gateway":  {"Ready-made queries for what counts the requests; app for the application's own http_requests_total. Not together with queries of your own.", oneOf("traefik", "istio", "envoy-gateway", "nginx-gateway-fabric", "haproxy", "app")},
	"PrometheusSource.Plus":     {"NGINX Gateway Fabric runs NGINX Plus.", nil},
	"PrometheusSource.TokenEnv": {"The environment variable with a bearer token.", nil},

	"Queries.Total":   {"The query of all requests. ${version}, ${service} and ${namespace} are filled in for each version.", nil},
	"Queries.Failed":  {"The query of the failed requests.", nil},
	"Queries.Latency": {"The buckets of a histogram of latencies in seconds.", nil},
	"Queries.Value":   {"The query of a value, for a limit.", nil},
	"Queries.By":      {"The label or tag by which the versions are told apart, instead of ${version} or ${service} in the queries.", nil},
	"Queries.Stable":  {"What the stable version is called there. Default: stable.", nil},
	"Queries.Canary":  {"What the canary is called there. Default: canary.", nil},

	"DatadogSource.Site": {"Where the account is; Default: datadoghq.com.", nil},

	"CloudWatchSource.Region":       {"The AWS region. Default: that of the environment.", nil},
	"CloudWatchSource.Preset":       {"Ready-made metrics: alb for target groups, lambda for functions.", oneOf("alb", "lambda")},
	"CloudWatchSource.LoadBalancer": {"The load balancer of preset alb: app/NAME/ID.", nil},
	"CloudWatchSource.Function":     {"The function of preset lambda.", nil},
	"CloudWatchSource.Alias":        {"The alias of preset lambda.", nil},
	"CloudWatchSource.Percentile":   {"The percentile of a preset's latency, with a limit. Default: p95.", nil},
	"CloudWatchSource.Namespace":    {"The CloudWatch namespace, without a preset.", nil},
	"CloudWatchSource.Total":        {"The name of the metric that counts all requests.", nil},
	"CloudWatchSource.Failed":       {"The name of the metric that counts the failed requests.", nil},
	"CloudWatchSource.Value":        {"The name of the metric that is a value.", nil},
	"CloudWatchSource.Stat":         {"The statistic of value. Default: Average.", nil},
	"CloudWatchSource.Dimensions":   {"The dimensions, with ${version} for what the version is called.", nil},
	"CloudWatchSource.Sparse":       {"The metric of failed requests has no data where nothing failed.", nil},
	"CloudWatchSource.Stable":       {"What the stable version is called: its target group, its function version, or what ${version} stands for.", nil},
	"CloudWatchSource.Canary":       {"The same for the canary.", nil},
	"CloudWatchSource.Period":       {"The length of one data point. Default: 1m.", nil},

	"KubernetesSource.Resource": {"What is measured of each pod.", oneOf("cpu", "memory", "restarts", "oom-kills")},
	"KubernetesSource.Of":       {"What cpu and memory are compared with: limits (the default) or requests.", oneOf("limits", "requests")},

	"HTTPSource.URL":        {"The endpoint's URL, asked by GET. ${version}, ${service} and ${namespace} are filled in for each version.", nil},
	"HTTPSource.HeaderEnv":  {"The environment variable with the value of the header Authorization.", nil},
	"HTTPSource.Total":      {"The JSONPath (RFC 9535) of the number of all requests.", nil},
	"HTTPSource.Failed":     {"The JSONPath of the number of failed requests.", nil},
	"HTTPSource.Value":      {"The JSONPath of a value, for a limit.", nil},
	"HTTPSource.Cumulative": {"Whether the numbers count since some start, rather than since the last reading.", nil},

	"CustomCheck.Name":      {"The name of the check in reports, unique among metrics and checks.", name},
	"CustomCheck.Command":   {"A program and its arguments. Exit status 0 passes, 75 cannot tell, any other fails.", atLeastOne},
	"CustomCheck.Job":       {"The path of the manifest of a Kubernetes Job.", nil},
	"CustomCheck.Webhook":   {"The URL of a server that is asked by a signed POST.", nil},
	"CustomCheck.SecretEnv": {"The environment variable with the secret that signs the webhook.", nil},
	"CustomCheck.Timeout":   {"How long the check may take, at most 1h. Default: 60s.", nil},
	"CustomCheck.At":        {"The weights at which the check runs. Default: every step.", each(both(atLeast(1), upTo(100)))},
	"CustomCheck.OnError":   {"What follows when the check cannot tell or does not end: fail, hold, extend (the default) or ignore.", policy},
}
