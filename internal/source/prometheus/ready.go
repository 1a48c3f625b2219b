package prometheus

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
	"github.com/candlefish/deploy-action/internal/source/gateway"
)

// A Preset is a set of ready-made queries, named after what counts the requests.
type Preset string

// The presets.
const (
	// Traefik counts per Service as of its Kubernetes Gateway provider.
	Traefik Preset = "traefik"
	// Istio's proxies count per destination Service, and per version label
	// where both versions are subsets of one.
	Istio Preset = "istio"
	// EnvoyGateway counts both versions as one, and is refused.
	EnvoyGateway Preset = "envoy-gateway"
	// NGINXGatewayFabric counts per Service with NGINX Plus only.
	NGINXGatewayFabric Preset = "nginx-gateway-fabric"
	// HAProxy counts per backend, which its Kubernetes controllers name after
	// the Service, and has no histogram.
	HAProxy Preset = "haproxy"
	// App is the application's own http_requests_total and
	// http_request_duration_seconds, with a label for the version.
	App Preset = "app"
)

// A Ready is a preset with what it needs to know.
type Ready struct {
	Preset Preset
	Names  source.Names
	// Errors asks for requests and failed ones, Latency for the latencies of
	// those that did not fail. At least one of them.
	Errors, Latency bool
	// Neighbours are other Services of the namespace. Traefik joins Service,
	// port and port's name by hyphens, so that web-api-80 may be the port api
	// of web; with web-api among the neighbours it is not.
	Neighbours []string
	// Reporter is which of the two proxies' counts are taken with Istio,
	// source or destination; empty for source. Each proxy of a request counts
	// it, so both would be twice as many. The source also counts what never
	// reached a pod, and knows the Service that it chose; take destination if
	// the callers, the gateway too, are outside the mesh.
	Reporter string
	// Plus says that NGINX Gateway Fabric runs NGINX Plus.
	Plus bool
	// VersionLabel of App holds Names.Stable or Names.Canary; version if
	// empty. CodeLabel holds the HTTP status; code or status if empty,
	// whichever there is.
	VersionLabel, CodeLabel string
	// Match are the matchers that pick the application of App, such as
	// app="web"; the namespace and the two Services, by the labels namespace
	// and service, if empty. If series are there twice, since a pod is scraped
	// by way of two Services, they count twice: match one of them.
	Match string
}

// Ready returns an API that asks a preset's queries. A preset that cannot tell the
// versions apart, or has not what is asked of it, is refused with the reason and
// what to do about it.
func (s Server) Ready(r Ready) (*API, error) {
	questions, err := r.questions()
	if err != nil {
		return nil, fmt.Errorf("prometheus preset %q: %w", r.Preset, err)
	}
	return s.open(questions)
}

// A recipe is how a preset asks.
type recipe struct {
	requests, latencies string // metrics
	matchers            string
	version             func(model.Metric) (rollout.Side, bool)
	failure             func(model.Metric) (bool, error)
	scale               float64 // seconds in one unit of le
	noLatency           string  // why there are no latencies
}

func (r Ready) questions() ([]*question, error) {
	if !r.Errors && !r.Latency {
		return nil, errors.New("neither errors nor latency is asked for")
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	recipe, err := r.recipe()
	if err != nil {
		return nil, err
	}
	var questions []*question
	if r.Errors {
		questions = append(questions, recipe.question(total, recipe.requests))
	}
	if r.Latency {
		if recipe.noLatency != "" {
			return nil, fmt.Errorf("no latency: %s", recipe.noLatency)
		}
		questions = append(questions, recipe.question(latency, recipe.latencies))
	}
	return questions, nil
}

func (r recipe) question(field field, metric string) *question {
	q := &question{field: field, text: metric + "{" + r.matchers + "}", version: r.version, failure: r.failure, scale: r.scale}
	if field == latency {
		q.failure = func(m model.Metric) (bool, error) { // many an app's histogram has no status
			failed, err := r.failure(m)
			if errors.Is(err, errNoStatus) {
				return false, nil
			}
			return failed, err
		}
	}
	return q
}

var dns = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// check keeps the names that go into a query to what Kubernetes allows.
func (r Ready) check() error {
	for _, name := range []string{r.Names.Namespace, r.stable(), r.canary()} {
		if !dns.MatchString(name) {
			return fmt.Errorf("%q is no name of a namespace or Service", name)
		}
	}
	for _, name := range []string{r.VersionLabel, r.CodeLabel} {
		if name != "" && !label.MatchString(name) {
			return fmt.Errorf("%q is no label", name)
		}
	}
	return source.TellsApart(r.stable(), r.canary())
}

func (r Ready) stable() string { return r.Names.ServiceOf(rollout.SideStable) }
func (r Ready) canary() string { return r.Names.ServiceOf(rollout.SideCanary) }

func (r Ready) recipe() (recipe, error) {
	switch r.Preset {
	case Traefik:
		return r.traefik(), nil
	case Istio:
		return r.istio()
	case NGINXGatewayFabric:
		return r.nginx()
	case HAProxy:
		return r.haproxy(), nil
	case App:
		return r.app()
	case EnvoyGateway:
		return recipe{}, fmt.Errorf("%w: Envoy Gateway makes one cluster of all backendRefs of a rule, so its counters mix them (envoyproxy/gateway#6742); "+
			"a filter on a backendRef gives each a cluster of its own, which queries by: envoy_cluster_name can take, "+
			"such as httproute/%s/ROUTE/rule/0/backend/0; or use the probe or the app's own counters", source.ErrMixed, r.Names.Namespace)
	}
	return recipe{}, errors.New("not known, want traefik, istio, envoy-gateway, nginx-gateway-fabric, haproxy or app")
}

func (r Ready) traefik() recipe {
	all := append([]string{r.stable(), r.canary()}, r.Neighbours...)
	return recipe{
		requests: "traefik_service_requests_total", latencies: "traefik_service_request_duration_seconds_bucket", scale: 1,
		matchers: fmt.Sprintf(`service=~"%s-(%s|%s)(-[a-z0-9-]+)?-[0-9]+@kubernetesgateway"`, r.Names.Namespace, r.stable(), r.canary()),
		failure:  failure("code"),
		version: r.whose(func(m model.Metric, service string) bool {
			return gateway.TraefikService(string(m["service"]), r.Names.Namespace, service, all)
		}),
	}
}

// whose asks of each version whether a series is of its Service.
func (r Ready) whose(is func(m model.Metric, service string) bool) func(model.Metric) (rollout.Side, bool) {
	return func(m model.Metric) (rollout.Side, bool) {
		switch {
		case is(m, r.canary()):
			return rollout.SideCanary, true
		case is(m, r.stable()):
			return rollout.SideStable, true
		}
		return "", false
	}
}

func (r Ready) istio() (recipe, error) {
	reporter := r.Reporter
	switch reporter {
	case "":
		reporter = "source"
	case "source", "destination":
	default:
		return recipe{}, fmt.Errorf("reporter %q: want source or destination", reporter)
	}
	is := r.whose(func(m model.Metric, service string) bool {
		return string(m["destination_service_name"]) == service && string(m["destination_service_namespace"]) == r.Names.Namespace
	})
	return recipe{
		requests: "istio_requests_total", latencies: "istio_request_duration_milliseconds_bucket", scale: 1e-3,
		matchers: fmt.Sprintf(`reporter=%q,destination_service_namespace=%q,destination_service_name=~"%s|%s"`, reporter, r.Names.Namespace, r.stable(), r.canary()),
		failure:  failure("response_code"),
		version: func(m model.Metric) (rollout.Side, bool) {
			v, ok := is(m)
			if ok && string(m["destination_version"]) == r.Names.Of(rollout.SideCanary) {
				v = rollout.SideCanary // a subset of the stable Service
			}
			return v, ok
		},
	}, nil
}

func (r Ready) nginx() (recipe, error) {
	if !r.Plus {
		return recipe{}, fmt.Errorf("%w: NGINX without Plus counts requests of the whole server and none per upstream; "+
			"set plus if NGINX Plus runs there, or use the probe or the app's own counters", source.ErrMixed)
	}
	return recipe{
		requests:  "nginx_http_upstream_peer_responses_total",
		noLatency: "NGINX Plus gives an average per upstream and no histogram; use the probe or the app's own histogram",
		matchers:  fmt.Sprintf(`nginx_upstream_name=~"%s_(%s|%s)_[0-9]+"`, r.Names.Namespace, r.stable(), r.canary()),
		failure:   failure("nginx_status_range"),
		version:   r.whose(func(m model.Metric, service string) bool { return r.backend(string(m["nginx_upstream_name"]), service) }),
	}, nil
}

func (r Ready) haproxy() recipe {
	return recipe{
		requests:  "haproxy_backend_http_responses_total",
		noLatency: "HAProxy gives averages of the last 1024 requests and no histogram; use the probe or the app's own histogram",
		matchers:  fmt.Sprintf(`proxy=~"%s_(svc_)?(%s|%s)_[a-z0-9-]+"`, r.Names.Namespace, r.stable(), r.canary()),
		failure:   failure("code"),
		version:   r.whose(func(m model.Metric, service string) bool { return r.backend(string(m["proxy"]), service) }),
	}
}

// backend takes apart NAMESPACE_SERVICE_PORT, or NAMESPACE_svc_SERVICE_PORT. None
// of the parts can hold an underscore.
func (r Ready) backend(name, service string) bool {
	rest, ok := strings.CutPrefix(name, r.Names.Namespace+"_")
	if !ok {
		return false
	}
	if after, ok := strings.CutPrefix(rest, "svc_"); ok {
		rest = after
	}
	port, ok := strings.CutPrefix(rest, service+"_")
	return ok && port != "" && !strings.Contains(port, "_")
}

func (r Ready) app() (recipe, error) {
	version, code := r.VersionLabel, []string{r.CodeLabel}
	if version == "" {
		version = "version"
	}
	if r.CodeLabel == "" {
		code = []string{"code", "status"}
	}
	stable, canary := r.Names.Of(rollout.SideStable), r.Names.Of(rollout.SideCanary)
	if err := source.TellsApart(stable, canary); err != nil {
		return recipe{}, err
	}
	match := r.Match
	if match == "" {
		match = fmt.Sprintf(`namespace=%q,service=~"%s|%s"`, r.Names.Namespace, r.stable(), r.canary())
	}
	if !selector.MatchString("{" + match + "}") {
		return recipe{}, fmt.Errorf("match: %q are no matchers, such as app=\"web\"", match)
	}
	return recipe{
		requests: "http_requests_total", latencies: "http_request_duration_seconds_bucket", scale: 1,
		matchers: fmt.Sprintf("%s,%s=~%s", match, version, strconv.Quote(regexp.QuoteMeta(stable)+"|"+regexp.QuoteMeta(canary))),
		version:  byLabel(version, r.Names),
		failure:  failure(code...),
	}, nil
}

var errNoStatus = errors.New("no HTTP status")

var status = regexp.MustCompile(`^([0-9]{3}|[1-5]xx|0|other)$`)

// failure reads the status of a series from the first of the labels that it has. A
// status of 500 or more, 5xx, and Istio's 0 for no answer are failures. Requests
// without a status are an error: to take them for successes would be a guess.
func failure(labels ...string) func(model.Metric) (bool, error) {
	return func(m model.Metric) (bool, error) {
		for _, l := range labels {
			code, ok := m[model.LabelName(l)]
			if !ok {
				continue
			}
			if !status.MatchString(string(code)) {
				return false, fmt.Errorf("%s: %s=%q is no HTTP status", m, l, string(code))
			}
			return code[0] == '5' || code == "0", nil
		}
		return false, fmt.Errorf("%s: %w in the label %s", m, errNoStatus, strings.Join(labels, " or "))
	}
}
