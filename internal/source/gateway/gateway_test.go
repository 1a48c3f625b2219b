package gateway

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// traefikText was read off Traefik 3.6 on the sandbox, shortened.
const traefikText = `# HELP traefik_service_requests_total How many HTTP requests processed on a service, partitioned by status code, protocol, and method.
# TYPE traefik_service_requests_total counter
traefik_service_requests_total{code="200",method="GET",protocol="http",service="production-web-canary-http-80@kubernetesgateway"} 4179
traefik_service_requests_total{code="500",method="GET",protocol="http",service="production-web-canary-http-80@kubernetesgateway"} 21
traefik_service_requests_total{code="200",method="GET",protocol="http",service="production-web-http-80@kubernetesgateway"} 3216
traefik_service_requests_total{code="200",method="POST",protocol="http",service="production-web-80@kubernetesgateway"} 4
traefik_service_requests_total{code="200",method="GET",protocol="http",service="other-web-http-80@kubernetesgateway"} 9
`

const istioText = `# TYPE istio_requests_total counter
istio_requests_total{destination_service_name="web",destination_service_namespace="production",response_code="200"} 10
istio_requests_total{destination_service_name="web-canary",destination_service_namespace="production",response_code="503"} 2
istio_requests_total{destination_service_name="web-canary",destination_service_namespace="staging",response_code="200"} 7
`

func TestReadTellsTheBackendsApart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []Counts
	}{
		{"traefik", traefikText, []Counts{{Total: 3220}, {Total: 4200, Failed: 21}}},
		{"istio", istioText, []Counts{{Total: 10}, {Total: 2, Failed: 2}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(test.text)) }))
			defer server.Close()
			got, err := Source{URL: server.URL, Namespace: "production"}.Read(t.Context(), "web", "web-canary")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadRefusesWhatSaysNothing(t *testing.T) {
	t.Parallel()
	if _, err := parse(strings.NewReader("# TYPE up gauge\nup 1\n"), "production", []string{"web"}); !errors.Is(err, ErrNoCounters) {
		t.Errorf("error = %v, want ErrNoCounters", err)
	}
	for name, status := range map[string]int{"refused": http.StatusForbidden, "down": http.StatusBadGateway} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		defer server.Close()
		if _, err := (Source{URL: server.URL}).Read(t.Context(), "web"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := parse(strings.NewReader("<html>"), "production", []string{"web"}); err == nil {
		t.Error("a page of HTML was read as metrics")
	}
}

func TestSinceSurvivesARestartOfTheGateway(t *testing.T) {
	t.Parallel()
	if got, want := (Counts{Total: 5}).Since(Counts{Total: 100, Failed: 2}), (Counts{Total: 5}); got != want {
		t.Errorf("Since after a restart = %v, want %v", got, want)
	}
	if got, want := (Counts{Total: 150, Failed: 3}).Since(Counts{Total: 100, Failed: 2}), (Counts{Total: 50, Failed: 1}); got != want {
		t.Errorf("Since = %v, want %v", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(traefikText)
	f.Add(istioText)
	f.Add("# TYPE requests counter\n{}") // at which the library panics
	f.Fuzz(func(t *testing.T, text string) {
		counts, err := parse(strings.NewReader(text), "production", []string{"web", "web-canary"})
		if err == nil && len(counts) != 2 {
			t.Errorf("%d counts for two services", len(counts))
		}
	})
}
