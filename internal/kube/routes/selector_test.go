package routes

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/candlefish/deploy-action/internal/kube/kubetest"
	"github.com/candlefish/deploy-action/internal/kube/services"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/routers"
	"github.com/candlefish/deploy-action/internal/router/service"
)

const twoServices = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.0.0.1, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-internal, namespace: shop}
spec: {clusterIP: 10.0.0.2, selector: {app: web}, ports: [{port: 80}]}
`

// selecting is a world whose routes are the user's Service itself.
func selecting(t *testing.T, name string) *world {
	t.Helper()
	w := &world{T: t, server: kubetest.New(t)}
	w.server.Apply(twoServices)
	saved, ok, err := routers.Save(routers.Of(name), w.server.Get(service.Kind, "shop", "web").Object, "shop", "web")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	saved.Router = name
	plain := map[string]string{"app": "web"}
	w.record = &release.Record{
		Namespace: "shop", Deployment: "web", Service: "web", Router: name, VersionLabel: "version", Run: release.Run{ID: "7"},
		Canary: release.Revision{Hash: "new"}, Routes: []release.Route{saved},
		Services: []release.Service{{Name: "web", Selector: plain}, {Name: "web-internal", Selector: plain}},
	}
	return w
}

// both returns the routes and the Services of a new process.
func (w *world) both() (*Set, services.Set) {
	w.Helper()
	s := w.process()
	return s, services.New(s.cluster.Typed.CoreV1().Services("shop"), s.watch, w.record)
}

func (w *world) selector(of string) string {
	w.Helper()
	m, _, err := unstructured.NestedStringMap(w.server.Get(service.Kind, "shop", of).Object, "spec", "selector")
	if err != nil {
		w.Fatal(err)
	}
	switch {
	case m["pod-template-hash"] != "" && m["version"] == "":
		return "hash " + m["pod-template-hash"]
	case len(m) == 1:
		return "both"
	}
	return m["version"]
}

// The whole way of a Service's selector: prepared, up, handed over, given back; twice.
func TestTheSelectorAndTheHandOverDoNotFight(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"service", "replicas"} {
		w := selecting(t, name)
		for range 2 {
			r, s := w.both()
			see := func(what, want string) {
				t.Helper()
				for _, of := range []string{"web", "web-internal"} {
					w.settled(r, service.Kind, "shop", of)
				}
				if got := w.selector("web"); got != want {
					t.Errorf("%s, %s: web selects %s, want %s", name, what, got, want)
				}
				if d := r.Drift() + s.Drift(); d != "" && !strings.Contains(what, "hand-over") {
					t.Errorf("%s, %s: drift %q of our own writes", name, what, d)
				}
			}
			w.do("narrow", s.Narrow(t.Context(), "version", "stable"))
			see("prepared", "stable")
			if name == "replicas" {
				w.do("write", r.Write(t.Context(), 20))
				see("shared", "both")
			}
			w.do("write", r.Write(t.Context(), 100))
			see("at 100", "hash new")
			if got := w.selector("web-internal"); got != "stable" {
				t.Errorf("the other Service selects %s", got)
			}
			if live, err := w.process().LiveWeight(t.Context()); err != nil || live != 100 {
				t.Errorf("%s: live weight %d, %v", name, live, err)
			}
			w.do("narrow", s.Narrow(t.Context(), "pod-template-hash", "new"))
			see("in the hand-over", "hash new")
			w.do("narrow", s.Narrow(t.Context(), "version", "stable"))
			w.do("return", r.Write(t.Context(), 0))
			see("returned", "stable")
			w.do("unroute", r.Write(t.Context(), router.Original))
			see("unrouted", "stable")
			w.do("remove", r.Remove(t.Context()))
			w.do("widen", s.Widen(t.Context()))
			see("given back", "both")
			if live, err := w.process().LiveWeight(t.Context()); err != nil || live != router.Original {
				t.Errorf("%s: live weight %d, %v at the end", name, live, err)
			}
		}
	}
}

func TestAPersonEditsTheSelectorMidRun(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"service", "replicas"} {
		w := selecting(t, name)
		r, s := w.both()
		w.do("narrow", s.Narrow(t.Context(), "version", "stable"))
		w.do("write", r.Write(t.Context(), 100))
		w.settled(r, service.Kind, "shop", "web")
		w.server.Edit(service.Kind, "shop", "web", "argocd-controller", func(o *unstructured.Unstructured) {
			_ = unstructured.SetNestedStringMap(o.Object, map[string]string{"app": "web", "tier": "a"}, "spec", "selector")
		})
		w.settled(r, service.Kind, "shop", "web")
		if d := r.Drift(); !strings.Contains(d, "argocd-controller") || !strings.HasSuffix(d, "changed the selector of service web") {
			t.Errorf("%s: drift %q", name, d)
		}
		next, _ := w.both() // of another process
		next.Expect(100, router.Original)
		if d := next.Drift(); !strings.Contains(d, "argocd-controller") {
			t.Errorf("%s: drift %q in another process", name, d)
		}
		var drift *rollout.DriftError
		if err := next.Write(t.Context(), 100); !errors.As(err, &drift) {
			t.Errorf("%s: on the way up: %v", name, err)
		}
		w.do("back", next.Write(t.Context(), 0))
		if got := w.selector("web"); got != "stable" {
			t.Errorf("%s: on the way back web selects %s, and with it the canary", name, got)
		}
		w.server.Delete(service.Kind, "shop", "web")
		w.settled(next, service.Kind, "shop", "web")
		if d := next.Drift(); d != "service web was deleted" {
			t.Errorf("%s: drift %q", name, d)
		}
		w.do("back", next.Write(t.Context(), 0)) // a Service that is gone sends nothing to the canary
	}
}
