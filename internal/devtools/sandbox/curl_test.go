package sandbox

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
)

func TestCurlNamesTheHost(t *testing.T) {
	t.Parallel()
	at := control.Serving{
		Gateway:     Gateway{Namespace: "sandbox", Name: "web", URL: "http://127.0.0.1:1"},
		SlowGateway: Gateway{Namespace: "sandbox", Name: "slow", URL: "http://127.0.0.1:2"},
		EntryPoint:  "http://127.0.0.1:1",
	}
	for text, want := range map[string][]string{
		`{"items": [
			{"metadata": {"namespace": "production"}, "spec": {"hostnames": ["production.example.com"], "parentRefs": [{"namespace": "sandbox", "name": "web"}]}},
			{"metadata": {"namespace": "sandbox"}, "spec": {"hostnames": ["a.example.com", "b.example.com"], "parentRefs": [{"name": "slow"}]}},
			{"metadata": {"namespace": "other"}, "spec": {"hostnames": ["c.example.com"], "parentRefs": [{"name": "web"}]}}
		]}`: {
			"curl -H 'Host: production.example.com' http://127.0.0.1:1",
			"curl -H 'Host: a.example.com' http://127.0.0.1:2",
			"curl -H 'Host: b.example.com' http://127.0.0.1:2",
		},
		`{"items": []}`: {"curl -H 'Host: HOST' http://127.0.0.1:1, with the host of an HTTPRoute; none is deployed yet"},
	} {
		var routes routeList
		if err := json.Unmarshal([]byte(text), &routes); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, curl(routes, at)); diff != "" {
			t.Errorf("curl (-want +got):\n%s", diff)
		}
	}
}
