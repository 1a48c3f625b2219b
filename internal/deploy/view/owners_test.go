package view

import (
	"bytes"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/ownership"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// The plan names the owners after the first release too, whatever it left.
func TestThePlanNamesTheOwners(t *testing.T) {
	t.Parallel()
	web := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Annotations: map[string]string{"argocd.argoproj.io/tracking-id": "store:apps/Deployment:shop/web"}}}
	for name, previous := range map[string]*release.Record{
		"the first release": nil,
		"a promoted one":    {State: rollout.State{Phase: rollout.PhasePromoted}},
		"an unfinished one": {State: rollout.State{Phase: rollout.PhasePaused}},
	} {
		v, err := inputs.Spec().Parse([]string{"web:2"}, func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		cfg := inputs.ConfigOf(v)
		if cfg.Rules, err = judging.Load("", cfg.Limits()); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		c := console.Start(func(s string) string { return s }, nil, console.NewPlain(&out, nil, nil))
		ShowPlan(c, cfg, &discover.Found{
			Previous: previous, Record: &release.Record{Namespace: "shop", Deployment: "web", Container: "app"}, Owned: ownership.Find(ownership.Deployment(web, "app")),
		})
		c.Close()
		for _, want := range []string{"deployment web is managed by Argo CD (application store)", "and the previous image after the promotion", "    - RespectIgnoreDifferences=true"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the plan does not say %q:\n%s", name, want, out.String())
			}
		}
	}
}
