package gateway

import (
	"errors"
	"io"
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

// Nothing that a hostile page says is taken for a number of requests.
func TestReadRefusesHostilePages(t *testing.T) {
	t.Parallel()
	const one = `traefik_service_requests_total{code="200",service="production-web-80@kubernetesgateway"} `
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"not a number", 200, one + "NaN\n", "NaN is no count"},
		{"infinite", 200, one + "+Inf\n", "+Inf is no count"},
		{"negative", 200, one + "-1\n", "-1 is no count"},
		{"beyond counting", 200, one + "1e308\n", "1e+308 is no count"},
		{"no value", 200, one + "many\n", "read gateway metrics"},
		{"a redirect", 302, "", "302 Found"},
		{"a redirect with a body", 307, one + "5\n", "307 Temporary Redirect"},
		{"created", 201, one + "5\n", "201 Created"},
		{"an error page", 200, "<h1>502 Bad Gateway</h1>", "read gateway metrics"},
		{"nothing", 200, "", ErrNoCounters.Error()},
		{"JSON", 200, `{"error":"no metrics"}`, "read gateway metrics"},
		{"cut off", -1, one + "5\n", "unexpected EOF"},
		{"huge", 200, strings.Repeat(one+"5\n", maxSize/len(one)), "more than 16 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", elsewhere.URL)
				if c.status < 0 {
					w.Header().Set("Content-Length", "9999")
				} else {
					w.WriteHeader(c.status)
				}
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			got, err := Source{URL: strings.Replace(server.URL, "://", "://ann:s3cr3t@", 1) + "?key=s3cr3t", Namespace: "production"}.Read(t.Context(), "web")
			if err == nil || !strings.Contains(err.Error(), c.want) || got != nil || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("Read = %v, %v; want %q", got, err, c.want)
			}
		})
	}
	if _, err := (Source{URL: "http://ann:s3cr3t@127.0.0.1:1/?key=s3cr3t"}).Read(t.Context(), "web"); err == nil || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "ann:") {
		t.Errorf("nobody there: %v", err)
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
