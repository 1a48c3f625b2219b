package sandbox

import (
	"archive/tar"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestWebsite runs the sample's own tests, which ./... does not reach.
func TestWebsite(t *testing.T) {
	t.Parallel()
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "./testdata/website")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSampleIsPlain(t *testing.T) {
	t.Parallel()
	s := Sample{Image: "127.0.0.1:1/website:v1", Env: map[string]string{"B": "2=3", "A": "1"}, GracePeriod: 5 * time.Second}
	s = s.withDefaults(&Sandbox{Gateway: Gateway{"sandbox", "web", "http://127.0.0.1:1"}})
	docs := splitYAML(s.manifest())
	var kinds []string
	objects := map[string]object{}
	for _, doc := range docs {
		var o object
		if err := yaml.Unmarshal(doc, &o); err != nil {
			t.Fatal(err)
		}
		kind := o["kind"].(string)
		kinds = append(kinds, kind)
		if kind != "Namespace" {
			objects[kind] = o["spec"].(object)
		}
	}
	if diff := cmp.Diff([]string{"Namespace", "Deployment", "Service", "HTTPRoute"}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	labels := object{"app": "candlefish-website"}
	want := map[string]object{
		"Deployment": {
			"replicas": 3.0,
			"selector": object{"matchLabels": labels},
			"template": object{"metadata": object{"labels": labels}, "spec": object{
				"terminationGracePeriodSeconds": 5.0,
				"containers": []any{object{
					"name": "website", "image": "127.0.0.1:1/website:v1",
					"ports":          []any{object{"name": "http", "containerPort": 8080.0}},
					"readinessProbe": object{"httpGet": object{"path": "/health", "port": 8080.0}, "periodSeconds": 1.0},
					"env":            []any{object{"name": "A", "value": "1"}, object{"name": "B", "value": "2=3"}},
				}},
			}},
		},
		"Service": {"selector": labels, "ports": []any{object{"name": "http", "port": 80.0, "targetPort": 8080.0}}},
		"HTTPRoute": {
			"parentRefs": []any{object{"name": "web", "namespace": "sandbox"}},
			"hostnames":  []any{"production.example.com"},
			"rules": []any{object{
				"matches":     []any{object{"path": object{"type": "PathPrefix", "value": "/"}}},
				"backendRefs": []any{object{"name": "candlefish-website", "port": 80.0}},
			}},
		},
	}
	if diff := cmp.Diff(want, objects); diff != "" {
		t.Errorf("sample (-want +got):\n%s", diff)
	}
}

func TestSampleResources(t *testing.T) {
	t.Parallel()
	s := Sample{Resources: Resources{Limits: map[string]string{"cpu": "100m", "memory": "64Mi"}}}
	var deployment object
	if err := yaml.Unmarshal(splitYAML(s.withDefaults(&Sandbox{}).manifest())[1], &deployment); err != nil {
		t.Fatal(err)
	}
	pod := deployment["spec"].(object)["template"].(object)["spec"].(object)
	got := pod["containers"].([]any)[0].(object)["resources"]
	if diff := cmp.Diff(object{"limits": object{"cpu": "100m", "memory": "64Mi"}}, got); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

func TestNewImage(t *testing.T) {
	t.Parallel()
	img, err := newImage("website", []byte("program"), map[string]string{"VERSION": "v1", "A": "b"})
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"A=b", "VERSION=v1"}, config.Config.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if got := config.OS + " " + strings.Join(config.Config.Entrypoint, " ") + " " + config.Config.User; got != "linux /website 65532:65532" {
		t.Errorf("image runs as %q", got)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers (%v), want one", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	header, err := tar.NewReader(content).Next()
	if err != nil || header.Name != "website" || header.Mode != 0o755 {
		t.Errorf("the layer holds %+v (%v), want the program", header, err)
	}
	again, err := newImage("website", []byte("program"), map[string]string{"A": "b", "VERSION": "v1"})
	if err != nil {
		t.Fatal(err)
	}
	one, _ := img.Digest()
	two, _ := again.Digest()
	if one != two {
		t.Errorf("equal images have digests %s and %s", one, two)
	}
}
