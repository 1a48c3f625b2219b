package prometheus

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

var shop = source.Names{Namespace: "shop", Service: "web"}

func TestReadyAsks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		ready Ready
		want  []string
	}{
		{Ready{Preset: Traefik, Errors: true, Latency: true}, []string{
			`traefik_service_requests_total{service=~"shop-(web|web-canary)(-[a-z0-9-]+)?-[0-9]+@kubernetesgateway"}`,
			`traefik_service_request_duration_seconds_bucket{service=~"shop-(web|web-canary)(-[a-z0-9-]+)?-[0-9]+@kubernetesgateway"}`,
		}},
		{Ready{Preset: Istio, Errors: true}, []string{`istio_requests_total{reporter="source",destination_service_namespace="shop",destination_service_name=~"web|web-canary"}`}},
		{Ready{Preset: Istio, Latency: true, Reporter: "destination"}, []string{`istio_request_duration_milliseconds_bucket{reporter="destination",destination_service_namespace="shop",destination_service_name=~"web|web-canary"}`}},
		{Ready{Preset: NGINXGatewayFabric, Plus: true, Errors: true}, []string{`nginx_http_upstream_peer_responses_total{nginx_upstream_name=~"shop_(web|web-canary)_[0-9]+"}`}},
		{Ready{Preset: HAProxy, Errors: true}, []string{`haproxy_backend_http_responses_total{proxy=~"shop_(svc_)?(web|web-canary)_[a-z0-9-]+"}`}},
		{Ready{Preset: App, Errors: true, Latency: true}, []string{
			`http_requests_total{namespace="shop",service=~"web|web-canary",version=~"stable|canary"}`,
			`http_request_duration_seconds_bucket{namespace="shop",service=~"web|web-canary",version=~"stable|canary"}`,
		}},
		{
			Ready{Preset: App, Errors: true, VersionLabel: "release", Match: `job="web"`, Names: source.Names{Namespace: "shop", Service: "web", Stable: "1.0", Canary: "1.1"}},
			[]string{`http_requests_total{job="web",release=~"1\\.0|1\\.1"}`},
		},
	}
	for _, test := range tests {
		t.Run(string(test.ready.Preset), func(t *testing.T) {
			t.Parallel()
			if test.ready.Names == (source.Names{}) {
				test.ready.Names = shop
			}
			questions, err := test.ready.questions()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, q := range questions {
				got = append(got, q.text)
				if !selector.MatchString(q.text) {
					t.Errorf("%s is no metric with matchers", q.text)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadyTellsSeriesApart(t *testing.T) {
	t.Parallel()
	service := func(name, code string) model.Metric {
		return model.Metric{"service": model.LabelValue(name), "code": model.LabelValue(code)}
	}
	istio := func(service, version, code string) model.Metric {
		return model.Metric{
			"destination_service_name": model.LabelValue(service), "destination_service_namespace": "shop",
			"destination_version": model.LabelValue(version), "response_code": model.LabelValue(code),
		}
	}
	tests := []struct {
		name   string
		ready  Ready
		metric model.Metric
		want   rollout.Side // empty for neither
		failed bool
	}{
		{"traefik stable", Ready{Preset: Traefik}, service("shop-web-80@kubernetesgateway", "200"), rollout.SideStable, false},
		{"traefik port name", Ready{Preset: Traefik}, service("shop-web-http-80@kubernetesgateway", "404"), rollout.SideStable, false},
		{"traefik canary", Ready{Preset: Traefik}, service("shop-web-canary-80@kubernetesgateway", "502"), rollout.SideCanary, true},
		{"traefik canary port name", Ready{Preset: Traefik}, service("shop-web-canary-http-80@kubernetesgateway", "200"), rollout.SideCanary, false},
		{"traefik ingress", Ready{Preset: Traefik}, service("shop-web-80@kubernetes", "200"), "", false},
		{"traefik other namespace", Ready{Preset: Traefik}, service("shop2-web-80@kubernetesgateway", "200"), "", false},
		{"traefik port or neighbour", Ready{Preset: Traefik}, service("shop-web-api-80@kubernetesgateway", "200"), rollout.SideStable, false},
		{"traefik neighbour", Ready{Preset: Traefik, Neighbours: []string{"web-api"}}, service("shop-web-api-80@kubernetesgateway", "200"), "", false},

		{"istio stable", Ready{Preset: Istio}, istio("web", "stable", "200"), rollout.SideStable, false},
		{"istio canary", Ready{Preset: Istio}, istio("web-canary", "canary", "503"), rollout.SideCanary, true},
		{"istio no answer", Ready{Preset: Istio}, istio("web-canary", "unknown", "0"), rollout.SideCanary, true},
		{"istio subset", Ready{Preset: Istio}, istio("web", "canary", "200"), rollout.SideCanary, false},
		{"istio other", Ready{Preset: Istio}, istio("website", "canary", "200"), "", false},

		{"nginx stable", Ready{Preset: NGINXGatewayFabric, Plus: true}, model.Metric{"nginx_upstream_name": "shop_web_80", "nginx_status_range": "2xx"}, rollout.SideStable, false},
		{"nginx canary", Ready{Preset: NGINXGatewayFabric, Plus: true}, model.Metric{"nginx_upstream_name": "shop_web-canary_80", "nginx_status_range": "5xx"}, rollout.SideCanary, true},

		{"haproxy stable", Ready{Preset: HAProxy}, model.Metric{"proxy": "shop_web_http", "code": "other"}, rollout.SideStable, false},
		{"haproxy canary", Ready{Preset: HAProxy}, model.Metric{"proxy": "shop_svc_web-canary_http", "code": "5xx"}, rollout.SideCanary, true},
		{"haproxy other", Ready{Preset: HAProxy}, model.Metric{"proxy": "shop_web", "code": "5xx"}, "", false},

		{"app stable", Ready{Preset: App}, model.Metric{"version": "stable", "code": "200"}, rollout.SideStable, false},
		{"app canary", Ready{Preset: App}, model.Metric{"version": "canary", "status": "5xx"}, rollout.SideCanary, true},
		{"app label", Ready{Preset: App, VersionLabel: "role", CodeLabel: "http"}, model.Metric{"role": "canary", "http": "500"}, rollout.SideCanary, true},
		{"app other", Ready{Preset: App}, model.Metric{"version": "v1", "code": "200"}, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.ready.Names, test.ready.Errors = shop, true
			questions, err := test.ready.questions()
			if err != nil {
				t.Fatal(err)
			}
			got, ours := questions[0].version(test.metric)
			if got != test.want || ours != (test.want != "") {
				t.Fatalf("version of %s = %q, %v, want %q", test.metric, got, ours, test.want)
			}
			if !ours {
				return
			}
			if failed, err := questions[0].failure(test.metric); failed != test.failed || err != nil {
				t.Errorf("%s failed = %v, %v, want %v", test.metric, failed, err, test.failed)
			}
		})
	}
}

func TestReadyRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		ready Ready
		want  string
		mixed bool
	}{
		{"envoy gateway", Ready{Preset: EnvoyGateway, Errors: true}, "one cluster of all backendRefs", true},
		{"nginx", Ready{Preset: NGINXGatewayFabric, Errors: true}, "NGINX without Plus", true},
		{"nginx plus latency", Ready{Preset: NGINXGatewayFabric, Plus: true, Latency: true}, "no latency: NGINX Plus gives an average", false},
		{"haproxy latency", Ready{Preset: HAProxy, Errors: true, Latency: true}, "no latency: HAProxy gives averages", false},
		{"one Service", Ready{Preset: Traefik, Errors: true, Names: source.Names{Namespace: "shop", Service: "web", CanaryService: "web"}}, `"web" is asked for both`, true},
		{"one version", Ready{Preset: App, Errors: true, Names: source.Names{Namespace: "shop", Service: "web", Stable: "v1", Canary: "v1"}}, `"v1" is asked for both`, true},
		{"no name", Ready{Preset: Traefik, Errors: true, Names: source.Names{Namespace: "shop", Service: `web"}`}}, "no name of a namespace or Service", false},
		{"no label", Ready{Preset: App, Errors: true, VersionLabel: "a-b"}, `"a-b" is no label`, false},
		{"no matchers", Ready{Preset: App, Errors: true, Match: `app="web"} or up{`}, "are no matchers", false},
		{"reporter", Ready{Preset: Istio, Errors: true, Reporter: "both"}, "want source or destination", false},
		{"unknown", Ready{Preset: "nginx", Errors: true}, "not known, want traefik", false},
		{"nothing", Ready{Preset: Traefik}, "neither errors nor latency", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.ready.Names == (source.Names{}) {
				test.ready.Names = shop
			}
			_, err := Server{URL: "http://prometheus"}.Ready(test.ready)
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, source.ErrMixed) != test.mixed {
				t.Errorf("error = %v, want %q, ErrMixed %v", err, test.want, test.mixed)
			}
		})
	}
}

func TestFailureNeedsAStatus(t *testing.T) {
	t.Parallel()
	for _, m := range []model.Metric{{}, {"code": "OK"}, {"code": ""}, {"code": "5"}} {
		if _, err := failure("code")(m); err == nil {
			t.Errorf("%s: no error", m)
		}
	}
}

func TestQueriesRefuse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		queries source.Queries
		want    string
		mixed   bool
	}{
		{"none", source.Queries{}, "there is none", false},
		{"no version", source.Queries{Value: "up"}, "cannot tell the versions apart", true},
		{"one of two mixed", source.Queries{Total: `a{v="${version}"}`, Failed: `b`}, "failed requests: cannot tell the versions apart", true},
		{"total alone", source.Queries{Total: `a{v="${version}"}`}, "come together", false},
		{"failed alone", source.Queries{Failed: `a{v="${version}"}`}, "come together", false},
		{"expression", source.Queries{Latency: `rate(a{v="${version}"}[1m])`}, "not a metric with its matchers", false},
		{"range", source.Queries{Latency: `a{v="${version}"}[1m]`}, "not a metric with its matchers", false},
		{"two selectors", source.Queries{Latency: `a{v="${version}"} or b{v="}"}`}, "not a metric with its matchers", false},
		{"unknown name", source.Queries{Value: `a{v="${pod}"}`}, "${pod} is not known", false},
		{"by and version", source.Queries{Value: `a{v="${version}"}`, By: "v"}, "${version} is not known, want one of ${namespace}", false},
		{"by no label", source.Queries{Value: "a", By: "v-1"}, "is no label", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Server{URL: "http://prometheus"}.Ask(test.queries, shop)
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, source.ErrMixed) != test.mixed {
				t.Errorf("error = %v, want %q, ErrMixed %v", err, test.want, test.mixed)
			}
		})
	}
	if _, err := (Server{URL: "http://prometheus"}).Ask(source.Queries{Value: "a", By: "v"}, source.Names{Stable: "x", Canary: "x"}); !errors.Is(err, source.ErrMixed) {
		t.Errorf("one label value for both: error %v, want ErrMixed", err)
	}
}

func TestSelectors(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"up", `up{}`, `{__name__=~"a|b"}`, `a:b{x="}",y='{',z=~"\""}`, " up { a = \"b\" } "} {
		if !selector.MatchString(s) {
			t.Errorf("%s is refused", s)
		}
	}
}
