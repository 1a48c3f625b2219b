package sample

import (
	"encoding/json"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/manifest"
)

// TestWebsite runs the sample's own tests, which ./... does not reach.
func TestWebsite(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "test", "./testdata/website")
	cmd.Dir = "../../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSampleIsPlain(t *testing.T) {
	t.Parallel()
	s := App{Image: "127.0.0.1:1/website:v1", Env: map[string]string{"B": "2=3", "A": "1"}, GracePeriod: 5 * time.Second}
	s = s.withDefaults(&sandbox.Sandbox{Serving: control.Serving{Gateway: sandbox.Gateway{Namespace: "sandbox", Name: "web", URL: "http://127.0.0.1:1"}}})
	docs := manifest.Split(s.manifest())
	var kinds []string
	objects := map[string]manifest.Object{}
	for _, doc := range docs {
		var o manifest.Object
		if err := yaml.Unmarshal(doc, &o); err != nil {
			t.Fatal(err)
		}
		kind := o["kind"].(string)
		kinds = append(kinds, kind)
		if kind != "Namespace" {
			objects[kind] = o["spec"].(manifest.Object)
		}
	}
	if diff := cmp.Diff([]string{"Namespace", "Deployment", "Service", "HTTPRoute"}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	labels := manifest.Object{"app": "candlefish-website"}
	want := map[string]manifest.Object{
		"Deployment": {
			"replicas": 3.0,
			"selector": manifest.Object{"matchLabels": labels},
			"template": manifest.Object{"metadata": manifest.Object{"labels": labels}, "spec": manifest.Object{
				"terminationGracePeriodSeconds": 5.0,
				"containers": []any{manifest.Object{
					"name": "website", "image": "127.0.0.1:1/website:v1",
					"ports":          []any{manifest.Object{"name": "http", "containerPort": 8080.0}},
					"readinessProbe": manifest.Object{"httpGet": manifest.Object{"path": "/health", "port": 8080.0}, "periodSeconds": 1.0},
					"env":            []any{manifest.Object{"name": "A", "value": "1"}, manifest.Object{"name": "B", "value": "2=3"}},
				}},
			}},
		},
		"Service": {"selector": labels, "ports": []any{manifest.Object{"name": "http", "port": 80.0, "targetPort": 8080.0}}},
		"HTTPRoute": {
			"parentRefs": []any{manifest.Object{"name": "web", "namespace": "sandbox"}},
			"hostnames":  []any{"production.example.com"},
			"rules": []any{manifest.Object{
				"matches":     []any{manifest.Object{"path": manifest.Object{"type": "PathPrefix", "value": "/"}}},
				"backendRefs": []any{manifest.Object{"name": "candlefish-website", "port": 80.0}},
			}},
		},
	}
	if diff := cmp.Diff(want, objects); diff != "" {
		t.Errorf("sample (-want +got):\n%s", diff)
	}
}

func TestSampleResources(t *testing.T) {
	t.Parallel()
	s := App{Resources: Resources{Limits: map[string]string{"cpu": "100m", "memory": "64Mi"}}}
	var deployment manifest.Object
	if err := yaml.Unmarshal(manifest.Split(s.withDefaults(&sandbox.Sandbox{}).manifest())[1], &deployment); err != nil {
		t.Fatal(err)
	}
	pod := deployment["spec"].(manifest.Object)["template"].(manifest.Object)["spec"].(manifest.Object)
	got := pod["containers"].([]any)[0].(manifest.Object)["resources"]
	if diff := cmp.Diff(manifest.Object{"limits": manifest.Object{"cpu": "100m", "memory": "64Mi"}}, got); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

func TestAvailable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		json string
		want bool
	}{
		{"all", `{"metadata":{"generation":2},"spec":{"replicas":3},"status":{"observedGeneration":2,"replicas":3,"updatedReplicas":3,"availableReplicas":3}}`, true},
		{"not seen yet", `{"metadata":{"generation":3},"spec":{"replicas":3},"status":{"observedGeneration":2,"replicas":3,"updatedReplicas":3,"availableReplicas":3}}`, false},
		{"old pods left", `{"metadata":{"generation":2},"spec":{"replicas":3},"status":{"observedGeneration":2,"replicas":4,"updatedReplicas":3,"availableReplicas":3}}`, false},
		{"not ready", `{"metadata":{"generation":2},"spec":{"replicas":3},"status":{"observedGeneration":2,"replicas":3,"updatedReplicas":3,"availableReplicas":2}}`, false},
	} {
		var w manifest.Watched
		if err := json.Unmarshal([]byte(test.json), &w); err != nil {
			t.Fatal(err)
		}
		if got := available(w); got != test.want {
			t.Errorf("%s: available = %t, want %t", test.name, got, test.want)
		}
	}
}
