package engine

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// Versions of one image answer with the same version, so something else has to tell them
// apart, or the release does not start.
func TestVersionsOfOneImage(t *testing.T) {
	t.Parallel()
	const pod = "web-7d9f8c6b5-x2x4z"
	for name, c := range map[string]struct {
		image, pod string
		marker     probe.Marker
		counters   string
		rolling    *release.Rolling
		want, says string
	}{
		"another image":                 {image: "web:2", pod: pod, want: "header:X-Version"},
		"the pod's name":                {image: "web:1", pod: pod, want: "pod:X-Pod"},
		"another pod's name":            {image: "web:1", pod: "web-5c4d3b2a1-x2x4z", says: "the same image"},
		"no pod's name":                 {image: "web:1", says: "no header has the names of their pods"},
		"a header that somebody names":  {image: "web:1", marker: probe.MarkerIn("X-Version", nil), want: "header:X-Version"},
		"the gateway's counters":        {image: "web:1", counters: "http://gateway/metrics"},
		"a rolling update needs no one": {image: "web:1", rolling: &release.Rolling{}},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Version", "1")
			w.Header().Set("X-Pod", c.pod)
		}))
		t.Cleanup(server.Close)
		record := &release.Record{Image: c.image, Rolling: c.rolling, Stable: release.Revision{Image: "web:1", ReplicaSet: "web-7d9f8c6b5"}}
		cfg := traffic.Config{URL: server.URL, Timeout: time.Second, Marker: c.marker, CountersURL: c.counters, ReplicaSet: twin(record)}
		id, err := traffic.Learn(t.Context(), cfg)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := id.Marker.String(); got != c.want || (id.Why == "") != (got != "") {
			t.Errorf("%s: the marker is %q (%s), want %q", name, got, id.Why, c.want)
		}
		switch err := distinct(cfg, record, id); {
		case c.says == "" && err != nil, c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: the release is refused with %v, want %q", name, err, c.says)
		}
	}
}
