package service

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// service is a Service with a selector of pairs.
func service(pairs ...string) router.Object {
	s := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		s[pairs[i]] = pairs[i+1]
	}
	return router.Object{
		"metadata": map[string]any{"name": "web", "namespace": "shop", "resourceVersion": "7"},
		"spec":     map[string]any{"clusterIP": "10.0.0.1", "selector": s, "ports": []any{map[string]any{"name": "http", "port": int64(80)}}},
	}
}

func at(weight int) router.Split {
	return router.Split{Namespace: "shop", Service: "web", CanaryService: "web-canary", VersionLabel: "version", CanaryHash: "new", Weight: weight}
}

func saveOf(t *testing.T, o router.Object) release.Route {
	t.Helper()
	saved, leads, err := Router{}.Save(o, "web")
	if err != nil || !leads {
		t.Fatalf("Save = %v, %v", leads, err)
	}
	return saved
}

// patched applies a patch of a selector as the API server does.
func patched(t *testing.T, o router.Object, patch jsonpatch.Patch) router.Object {
	t.Helper()
	var ops []struct {
		Op, Path string
		Value    json.RawMessage
	}
	if err := json.Unmarshal(patch.JSON(), &ops); err != nil {
		t.Fatal(err)
	}
	for _, op := range ops {
		switch op.Path {
		case "/metadata/resourceVersion":
		case "/spec/selector":
			var s map[string]any
			if err := json.Unmarshal(op.Value, &s); err != nil {
				t.Fatal(err)
			}
			spec := maps.Clone(object.Child(o, "spec"))
			spec["selector"] = s
			o = router.Object{"metadata": o["metadata"], "spec": spec}
		default:
			t.Fatalf("the patch changes %s", op.Path)
		}
	}
	return o
}

func TestASelectorMovesToAndFro(t *testing.T) {
	t.Parallel()
	plain := service("app", "web")
	saved := saveOf(t, plain)
	for _, r := range []router.Router{Router{}, Replicas{}} {
		shares := r.Name() == "replicas"
		for _, c := range []struct {
			name   string
			have   router.Object
			weight int
			want   string
		}{
			{"up, from the preparation", service("app", "web", "version", "stable"), 100, "app=web pod-template-hash=new"},
			{"back", service("app", "web", "pod-template-hash", "new"), 0, "app=web version=stable"},
			{"back, from both", plain, 0, "app=web version=stable"},
			{"back, past a change of the user", service("app", "web", "tier", "a", "pod-template-hash", "new"), 0, "app=web tier=a version=stable"},
			{"the canary goes", service("app", "web", "pod-template-hash", "new"), router.Original, "app=web version=stable"},
			{"nothing to do before the preparation", plain, router.Original, "app=web"},
			{"after the hand-over", service("app", "web", "version", "stable"), router.Original, "app=web version=stable"},
			{"shared", service("app", "web", "version", "stable"), 20, "app=web"},
			{"shared, again", plain, 50, "app=web"},
		} {
			patch, err := r.Write(c.have, saved, at(c.weight))
			if c.weight > 0 && c.weight < 100 && !shares {
				if err == nil || !strings.Contains(err.Error(), "router: replicas") {
					t.Errorf("%s, %s: %v", r.Name(), c.name, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, %s: %v", r.Name(), c.name, err)
				continue
			}
			got := patched(t, c.have, patch)
			if s := pairs(selector(got)); s != c.want {
				t.Errorf("%s, %s: %s, want %s", r.Name(), c.name, s, c.want)
			}
			if again, err := r.Write(got, saved, at(c.weight)); err != nil || !again.Empty() {
				t.Errorf("%s, %s: written twice: %s, %v", r.Name(), c.name, again.JSON(), err)
			}
			if d := r.Drift(got, saved, at(c.weight)); d != "" && !strings.Contains(c.name, "change of the user") {
				t.Errorf("%s, %s: drift %q after the write", r.Name(), c.name, d)
			}
		}
	}
}

func pairs(s map[string]string) string {
	raw, _ := json.Marshal(s) // its keys are sorted
	return strings.NewReplacer(`{`, "", `}`, "", `"`, "", ":", "=", ",", " ").Replace(string(raw))
}

func TestAPersonsSelectorIsNotOverwrittenOnTheWayUp(t *testing.T) {
	t.Parallel()
	saved := saveOf(t, service("app", "web"))
	for _, have := range []router.Object{service("app", "other"), service("app", "web", "tier", "a", "version", "stable")} {
		for _, r := range []router.Router{Router{}, Replicas{}} {
			var conflict *router.ConflictError
			if _, err := r.Write(have, saved, at(100)); !errors.As(err, &conflict) || conflict.What != "the selector of service web" {
				t.Errorf("%s: %v", r.Name(), err)
			}
			if r.Drift(have, saved, at(0)) == "" || r.Drift(have, saved, at(router.Original)) == "" {
				t.Errorf("%s: no drift", r.Name())
			}
		}
	}
	if (Router{}).Drift(service("app", "web", "version", "stable"), saved, at(100)) == "" {
		t.Error("a selector that somebody put back is no drift")
	}
}

// A release whose record is gone: the selector tells what it was.
func TestUnsplit(t *testing.T) {
	t.Parallel()
	plain := saveOf(t, service("app", "web"))
	for _, have := range []router.Object{service("app", "web", "version", "stable"), service("app", "web", "pod-template-hash", "new"), service("app", "web")} {
		got, err := Router{}.Unsplit(saveOf(t, have), at(0))
		if err != nil || string(got.Rules) != string(plain.Rules) {
			t.Errorf("%s, %v, want %s", got.Rules, err, plain.Rules)
		}
	}
}

func TestWhichServicesCarryWeights(t *testing.T) {
	t.Parallel()
	headless, alias, bare, another := service("app", "web"), service("app", "web"), service(), service("app", "web")
	object.Child(headless, "spec")["clusterIP"] = "None"
	object.Child(alias, "spec")["type"] = "ExternalName"
	object.Child(another, "metadata")["name"] = "web-internal"
	for name, o := range map[string]router.Object{"headless": headless, "an alias": alias, "without a selector": bare, "another": another} {
		if _, leads, err := (Router{}).Save(o, "web"); leads || err != nil {
			t.Errorf("%s: %v, %v", name, leads, err)
		}
	}
}

func TestTheEntryPoint(t *testing.T) {
	t.Parallel()
	balanced := func(at map[string]any) router.Object {
		o := service("app", "web")
		o["status"] = map[string]any{"loadBalancer": map[string]any{"ingress": []any{at}}}
		return o
	}
	external, secure := service("app", "web"), balanced(map[string]any{"ip": "2001:db8::1"})
	object.Child(external, "spec")["externalIPs"] = []any{"192.0.2.7"}
	object.Child(secure, "spec")["ports"] = []any{map[string]any{"name": "https", "port": int64(443)}}
	for want, o := range map[string]router.Object{
		"":                          service("app", "web"),
		"http://192.0.2.1:80":       balanced(map[string]any{"ip": "192.0.2.1"}),
		"http://lb.example:80":      balanced(map[string]any{"hostname": "lb.example"}),
		"http://192.0.2.7:80":       external,
		"https://[2001:db8::1]:443": secure,
	} {
		if got := (Router{}).URL(o, ""); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTheShareOfPods(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stable int32
		weight int
		pods   int32
		share  int
	}{
		{4, 25, 1, 20}, {4, 5, 1, 20}, {4, 50, 4, 50}, {4, 100, 4, 50}, {3, 25, 1, 25}, {1, 5, 1, 50}, {10, 5, 1, 9}, {10, 33, 5, 33}, {100, 1, 1, 1}, {0, 10, 1, 50},
	} {
		pods := Pods(c.stable, c.weight)
		if share := Share(max(1, c.stable), pods); pods != c.pods || share != c.share {
			t.Errorf("%d %% of %d pods: %d pods, %d %%, want %d and %d %%", c.weight, c.stable, pods, share, c.pods, c.share)
		}
	}
	for stable := int32(1); stable <= 60; stable++ { // the plan's weight leads to the same pods
		for weight := 1; weight <= 50; weight++ {
			if pods := Pods(stable, weight); Pods(stable, Share(stable, pods)) != pods {
				t.Errorf("%d pods, %d %%: %d pods, then %d", stable, weight, pods, Pods(stable, Share(stable, pods)))
			}
		}
	}
}

func TestAPlanHasTheWeightsThatPodsGive(t *testing.T) {
	t.Parallel()
	asked := rollout.Plan{Steps: []rollout.Step{{Weight: 5, Pause: time.Minute}, {Weight: 25}, {Weight: 50}, {Weight: 100}}}
	got := Realize(asked, 4)
	want := []rollout.Step{{Weight: 20, Asked: 5, Pods: 1, Pause: time.Minute}, {Weight: 20, Asked: 25, Pods: 1}, {Weight: 50, Asked: 50, Pods: 4}, {Weight: 100}}
	for i, step := range got.Steps {
		if step != want[i] {
			t.Errorf("step %d: %+v, want %+v", i, step, want[i])
		}
	}
	if again := Realize(got, 4); !got.Exact || again.Steps[0] != got.Steps[0] || asked.Steps[0].Weight != 5 {
		t.Errorf("realized twice: %+v, asked %+v", again, asked)
	}
	for weight, refused := range map[int]bool{0: false, 5: false, 50: false, 51: true, 99: true, 100: false} {
		if why := (Replicas{}).Refuses(weight); (why != "") != refused {
			t.Errorf("replicas, %d %%: %q", weight, why)
		}
	}
	if why := (Router{}).Refuses(25); !strings.Contains(why, "25 %") || !strings.Contains(why, "router: replicas") || (Router{}).Refuses(100) != "" {
		t.Errorf("service: %q", why)
	}
}
