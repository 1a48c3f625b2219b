package rolling

import (
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/kubetest"
	"github.com/candlefish/deploy-action/internal/kube/updates"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/gatewayapi"
)

// manifests are a Deployment, its Service and, if it is routed, its route.
func manifests(name string, routed bool) string {
	const app = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: NAME}}
  template: {metadata: {labels: {app: NAME}}, spec: {containers: [{name: NAME, image: "NAME:1"}]}}
---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: shop}
spec: {selector: {app: NAME}, ports: [{port: 80}]}
`
	const route = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: NAME, namespace: shop}
spec: {rules: [{backendRefs: [{name: NAME, port: 80}]}]}
`
	if routed {
		return strings.ReplaceAll(app+route, "NAME", name)
	}
	return strings.ReplaceAll(app, "NAME", name)
}

const database = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: "db:1"}]}}
`

// A rolling update finds its Deployment by the rule of the other strategies.
func TestPickFollowsTheRoute(t *testing.T) {
	t.Parallel()
	web, api, worker := manifests("web", true), manifests("api", true), manifests("worker", false)
	for name, c := range map[string]struct {
		live       []string
		q          discover.Query
		kind       string
		want, says string
	}{
		"the only one behind a route": {[]string{web, worker}, discover.Query{DefaultDeployment: "site"}, "auto", "web", ""},
		"the default":                 {[]string{web, api}, discover.Query{DefaultDeployment: "api"}, "auto", "api", ""},
		"a default without a route":   {[]string{web, worker}, discover.Query{DefaultDeployment: "worker"}, "auto", "worker", ""},
		"by its service":              {[]string{web, api}, discover.Query{Service: "api", DefaultDeployment: "web"}, "deployment", "api", ""},
		"the named one":               {[]string{web, worker}, discover.Query{Deployment: "worker", DefaultDeployment: "web"}, "auto", "worker", ""},
		"a set as the default":        {[]string{web, database}, discover.Query{DefaultDeployment: "db"}, "auto", "db", ""},
		"several":                     {[]string{web, api}, discover.Query{DefaultDeployment: "site"}, "auto", "", "several deployments in namespace shop get traffic from routes: api, web; name one"},
		"a missing one":               {[]string{web}, discover.Query{Deployment: "site"}, "auto", "", "workload shop/site does not exist"},
		"not a set":                   {[]string{web}, discover.Query{DefaultDeployment: "site"}, "statefulset", "", "statefulset shop/site does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := kubetest.New(t, gatewayapi.Router{}.Kind(), router.Kind{Group: "apps", Version: "v1", Resource: "statefulsets", Name: updates.StatefulSet})
			for _, m := range c.live {
				srv.Apply(m)
			}
			c.q.Namespace = "shop"
			_, o, err := pick(t.Context(), srv.Cluster(), c.q, c.kind)
			switch {
			case c.says != "":
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want an error that says %q", err, c.says)
				}
			case err != nil || o.Meta.GetName() != c.want:
				t.Errorf("%v, %v, want %s", o, err, c.want)
			}
		})
	}
}
