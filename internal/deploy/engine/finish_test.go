package engine

import (
	"testing"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
)

// Without a name the only recorded release is meant, and with none the message does not
// ask to choose one.
func TestOnlyRecordedRelease(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		records          []kube.Recorded
		want, says, hint string
	}{
		"none":    {nil, "", "no release is recorded in namespace shop", "a deployment that has none yet is named with deployment-name"},
		"one":     {[]kube.Recorded{{Deployment: "web"}}, "web", "", ""},
		"several": {[]kube.Recorded{{Deployment: "web"}, {Deployment: "api"}}, "", "namespace shop has 2 recorded releases: web, api", "name one with deployment-name"},
	} {
		got, err := only("shop", c.records)
		says := ""
		if err != nil {
			says = err.Error()
		}
		if _, hint := exit.Of(err); got != c.want || says != c.says || hint != c.hint {
			t.Errorf("%s: %q, %q, hint %q; want %q, %q, hint %q", name, got, says, hint, c.want, c.says, c.hint)
		}
	}
}
