package discover

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router/gatewayapi"

	"github.com/google/go-cmp/cmp"
)

// namespace is a survey of Deployments by name, each with the Service and the
// route of the same name.
func namespace(deployments ...string) *survey {
	s, routes := &survey{ns: "shop"}, []unstructured.Unstructured(nil)
	for _, name := range deployments {
		labels := map[string]string{"app": name}
		d := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}}
		d.Spec.Template.Labels = labels
		s.deployments = append(s.deployments, d)
		service := corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}}
		service.Spec.Selector = labels
		s.services = append(s.services, service)
		routes = append(routes, unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": name, "namespace": "shop"},
			"spec":     map[string]any{"rules": []any{map[string]any{"backendRefs": []any{map[string]any{"name": name}}}}},
		}})
	}
	s.routers = []served{{Router: gatewayapi.Router{}, routes: routes}}
	return s
}

func TestPickDeployment(t *testing.T) {
	t.Parallel()
	ours := namespace("web", "web-canary")
	ours.deployments[1].Labels = map[string]string{kube.LabelTarget: "web"}
	ours.services[1].Labels = map[string]string{kube.LabelTarget: "web"}
	unrouted := namespace("web", "api")
	unrouted.routers[0].routes = unrouted.routers[0].routes[:1]
	for name, c := range map[string]struct {
		s          *survey
		q          Query
		want, says string
	}{
		"the named one":       {namespace("web", "api"), Query{Deployment: "api"}, "api", ""},
		"one that is missing": {namespace("web", "api"), Query{Deployment: "db"}, "", "does not exist; the namespace has web, api"},
		"the default":         {namespace("web", "api"), Query{DefaultDeployment: "api"}, "api", ""},
		"the only one":        {namespace("web"), Query{DefaultDeployment: "api"}, "web", ""},
		"by its service":      {namespace("web", "api"), Query{Service: "api", DefaultDeployment: "web"}, "api", ""},
		"a missing service":   {ours, Query{Service: "db", DefaultDeployment: "web"}, "", "service shop/db does not exist; the namespace has web\n"},
		"no service at all":   {namespace(), Query{Service: "db"}, "", "service shop/db does not exist; the namespace has none"},
		"no route to it":      {unrouted, Query{Service: "api"}, "", "no deployment in namespace shop gets traffic from an HTTPRoute through service api; "},
		"several":             {namespace("web", "api"), Query{}, "", "several deployments in namespace shop get traffic from routes: web, api"},
		"none":                {namespace(), Query{}, "", "no deployment in namespace shop gets traffic from an HTTPRoute"},
		"not our own":         {ours, Query{}, "web", ""},
	} {
		d, err := c.s.pickDeployment(c.q)
		switch {
		case c.says != "":
			if err == nil || !strings.Contains(err.Error()+"\n", c.says) {
				t.Errorf("%s: %v, want an error that says %q", name, err, c.says)
			}
		case err != nil || d.Name != c.want:
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestPickServiceOfANamedDeployment(t *testing.T) {
	t.Parallel()
	s := namespace("web", "api")
	for service, want := range map[string]string{
		"db":  "service shop/db does not exist; the namespace has web, api",
		"api": "service shop/api selects app=api, which the pods of deployment web do not have",
	} {
		if _, _, err := s.pickServices(&s.deployments[0], Query{Deployment: "web", Service: service}); err == nil || err.Error() != want {
			t.Errorf("service %s: %v, want %s", service, err, want)
		}
	}
}

func TestPickContainer(t *testing.T) {
	t.Parallel()
	images := func(pairs ...string) *appsv1.Deployment {
		d := &appsv1.Deployment{}
		for i := 0; i < len(pairs); i += 2 {
			d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: pairs[i], Image: pairs[i+1]})
		}
		return d
	}
	preferred := images("app", "proxy:1", "web", "web:1")
	preferred.Spec.Template.Annotations = map[string]string{annotationDefaultContainer: "web"}
	two := images("app", "registry.example/proxy:1", "web", "registry.example/web:1")
	for name, c := range map[string]struct {
		d          *appsv1.Deployment
		q          Query
		want, says string
	}{
		"the named one":            {two, Query{Container: "app", Image: "registry.example/web:2"}, "app", ""},
		"one that is missing":      {two, Query{Container: "db"}, "", "has no container \"db\"; it has app, web"},
		"the only one":             {images("x", "elsewhere.example/x:1"), Query{Image: "registry.example/web:2"}, "x", ""},
		"by the repository":        {two, Query{Image: "registry.example/web:2"}, "web", ""},
		"by the digest's":          {two, Query{Image: "registry.example/web@sha256:aa"}, "web", ""},
		"no name decides":          {two, Query{Image: "registry.example/other:2"}, "", "several containers: app, web; 0 of them run an image of repository registry.example/other"},
		"twice the same":           {images("a", "web:1", "b", "web:1"), Query{Image: "web:2"}, "", "2 of them run"},
		"a namesake in a registry": {two, Query{Image: "web:2"}, "", "0 of them run"},
		"the one with an image":    {two, Query{Images: map[string]string{"web": "x:2"}}, "web", ""},
		"no image at all":          {two, Query{}, "app", ""},
		"kubectl's":                {preferred, Query{}, "web", ""},
	} {
		got, err := pickContainer("shop", c.d, c.q)
		switch {
		case c.says != "":
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %q, %v, want an error that says %q", name, got, err, c.says)
			}
		case err != nil || got != c.want:
			t.Errorf("%s: %q, %v, want %s", name, got, err, c.want)
		}
	}
}

func TestPickRoutes(t *testing.T) {
	t.Parallel()
	s := namespace("web", "api")
	for name, c := range map[string]struct {
		q          Query
		service    string
		want, says string
	}{
		"all that lead there": {Query{}, "web", "web", ""},
		"the named one":       {Query{Route: "api"}, "api", "api", ""},
		"one that does not":   {Query{Route: "api"}, "web", "", "httproute shop/api does not point at service web"},
		"one that is missing": {Query{Route: "x"}, "web", "", "httproute shop/x does not exist"},
		"none":                {Query{}, "db", "", "no HTTPRoute in namespace shop points at service db"},
	} {
		routes, err := s.pickRoutes(c.service, c.q)
		switch {
		case c.says != "":
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want an error that says %q", name, err, c.says)
			}
		case err != nil || len(routes) != 1 || routes[0].Name != c.want:
			t.Errorf("%s: %+v, %v, want %s", name, routes, err, c.want)
		}
	}
}

// What a release left of its routes for test requests to stable leads there too, and
// is not the user's.
func TestPickRoutesLeavesOurOwn(t *testing.T) {
	t.Parallel()
	s := namespace("web")
	of := &s.routers[0]
	ours := *of.routes[0].DeepCopy()
	ours.SetName("web-preflight")
	ours.SetLabels(map[string]string{kube.LabelTarget: "web"})
	of.routes = append(of.routes, ours)
	if routes, err := s.pickRoutes("web", Query{}); err != nil || len(routes) != 1 || routes[0].Name != "web" {
		t.Errorf("%+v, %v, want the user's route alone", routes, err)
	}
}

// A route with many rules has no room for test requests to each version, and the
// release goes on without them.
func TestUnpinnedNamesTheRouteWithoutRoom(t *testing.T) {
	t.Parallel()
	s := namespace("web")
	routes, err := s.pickRoutes("web", Query{})
	if err != nil {
		t.Fatal(err)
	}
	record := release.Record{Namespace: "shop", Service: "web", Routes: routes}
	if untested, got := s.tests(&record); got != "" || untested != "" {
		t.Errorf("one rule: %q, %q", untested, got)
	}
	spec := s.routers[0].routes[0].Object["spec"].(map[string]any)
	for range 8 {
		spec["rules"] = append(spec["rules"].([]any), spec["rules"].([]any)[0])
	}
	if routes, err = s.pickRoutes("web", Query{}); err != nil {
		t.Fatal(err)
	}
	record.Routes = routes
	if untested, got := s.tests(&record); !strings.Contains(got, "httproute web has too many rules") || untested != "" {
		t.Errorf("nine rules: %q, %q", untested, got)
	}
}

func TestPickImagesOfSeveralContainers(t *testing.T) {
	t.Parallel()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	d.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "migrate", Image: "web:1"}}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: "web:1"}, {Name: "proxy", Image: "proxy:1"}}
	main, all, err := pickImages("shop", d, Query{Image: "web:2", Images: map[string]string{"migrate": "web:2"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []release.Container{
		{Name: "migrate", Init: true, Image: "web:2", Previous: "web:1"},
		{Name: "app", Image: "web:2", Previous: "web:1"},
		{Name: "proxy", Image: "proxy:1", Previous: "proxy:1"},
	}
	if diff := cmp.Diff(want, all); diff != "" || main != "app" {
		t.Errorf("main container %s, all (-want +got)\n%s", main, diff)
	}
	for says, q := range map[string]Query{
		`has no container "db" (images); it has app, proxy, migrate`:               {Images: map[string]string{"db": "x:1"}},
		"would get two images for container app: web:2 (image) and web:3 (images)": {Image: "web:2", Images: map[string]string{"app": "web:3"}},
		`has no container "migrate"; it has app, proxy`:                            {Container: "migrate", Image: "web:2"},
	} {
		_, _, err := pickImages("shop", d, q)
		if status, _ := exit.Of(err); err == nil || !strings.Contains(err.Error(), says) || status != exit.BadInput {
			t.Errorf("%v, want bad input that says %q", err, says)
		}
	}
}
