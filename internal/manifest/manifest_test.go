package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parse reads text that must be right.
func parse(t *testing.T, text string) []Object {
	t.Helper()
	objects, problems := Parse("app.yaml", []byte(text))
	if len(problems) > 0 {
		t.Fatalf("%v", problems)
	}
	return objects
}

func kinds(objects []Object) string {
	var all []string
	for _, o := range objects {
		all = append(all, o.String())
	}
	return strings.Join(all, ", ")
}

func TestParse(t *testing.T) {
	t.Parallel()
	objects := parse(t, `# a comment
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a, uid: x, resourceVersion: "7", creationTimestamp: null, annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}}
data: {A: "yes", B: 2020-01-01}
status: {}
---
---
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: b, namespace: shop}
  spec: {replicas: 3, template: {spec: {volumes: [{configMap: {defaultMode: 0644}}]}}}
- {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c"}, "spec": {"x": 1.5, "y": true}}
`)
	if got := kinds(objects); got != "configmap a, deployment b, service c" {
		t.Fatalf("objects %s", got)
	}
	want := map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a", "annotations": map[string]any{}},
		"data": map[string]any{"A": "yes", "B": "2020-01-01"},
	}
	if diff := cmp.Diff(want, objects[0].Fields); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if mode := objects[1].Value("spec", "template", "spec", "volumes").([]any)[0].(map[string]any)["configMap"].(map[string]any)["defaultMode"]; mode != int64(0o644) {
		t.Errorf("a mode in octal = %v", mode)
	}
	if objects[0].At.String() != "app.yaml:3" || objects[1].At.Line != 13 {
		t.Errorf("positions %s and %s", objects[0].At, objects[1].At)
	}
}

func TestParseMergesAliases(t *testing.T) {
	t.Parallel()
	objects := parse(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: &m {name: a}\nx: &x {A: 1, B: 2}\ny: {<<: *x, A: 3}\nz: *m\n")
	if diff := cmp.Diff(map[string]any{"A": int64(3), "B": int64(2)}, objects[0].Fields["y"]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseIsStrict(t *testing.T) {
	t.Parallel()
	head := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "*" + string(c-1) + "]\n"
	}
	for name, c := range map[string]struct{ text, says string }{
		"a key twice":          {head + "data:\n  A: x\n  A: y\n", `app.yaml:6: the key "A" is there twice`},
		"no YAML":              {head + "data: [\n", "app.yaml"},
		"a tab":                {"apiVersion: v1\n\tkind: x\n", "app.yaml:"},
		"an old boolean":       {head + "data: {A: on}\n", "app.yaml:4: on is a boolean to some readers"},
		"no kind":              {"apiVersion: v1\nmetadata: {name: a}\n", "kind is missing"},
		"no name":              {"apiVersion: v1\nkind: Pod\nmetadata: {}\n", "app.yaml:3: pod has no name"},
		"no metadata":          {"apiVersion: v1\nkind: Pod\n", "pod has no metadata"},
		"a generated name":     {"apiVersion: v1\nkind: Pod\nmetadata:\n  generateName: a-\n", "app.yaml:4: pod has generateName"},
		"a list":               {"- a\n", "must be a Kubernetes object"},
		"a broken item":        {"kind: List\nitems:\n- kind: Pod\n  metadata: {name: x}\n", "app.yaml:3: apiVersion is missing"},
		"a binary tag":         {head + "data: {A: !!binary aGk=}\n", "the tag !!binary cannot be read"},
		"not a number":         {head + "data: {A: .nan}\n", "that JSON can have"},
		"too many aliases":     {head + bomb, "too large or too deep"},
		"a name that is a map": {"apiVersion: v1\nkind: Pod\nmetadata: {name: {a: b}}\n", "pod has no name"},
	} {
		_, problems := Parse("app.yaml", []byte(c.text))
		if len(problems) == 0 || !strings.Contains(problems.Error(), c.says) {
			t.Errorf("%s: %v, want a problem that says %q", name, problems, c.says)
		}
	}
}

// Nothing that is read makes the reader panic, and what it reads it checks,
// copies and compares.
func FuzzParse(f *testing.F) {
	f.Add("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {A: '${B}'}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\nspec: {template: {spec: {containers: [{name: c, envFrom: [{configMapRef: {name: a}}]}]}}}\n")
	f.Add("kind: List\nitems: [&a {apiVersion: v1, kind: Secret, metadata: {name: x}, <<: {data: {a: !!binary x}}}, *a]\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		objects, problems := Parse("f", []byte(text))
		for _, p := range problems {
			_ = p.Error()
		}
		_ = Check(objects, "shop")
		for _, o := range Order(objects) {
			_ = o.Before(false, nil)
			rewritten, copies := Copies(o.Template(), objects, "web")
			if again, more := Copies(rewritten, objects, "web"); len(copies) > 0 && len(more) > 0 && !cmp.Equal(again, rewritten) {
				t.Skip("a copy's name is an original's, too")
			}
			if lines := Changes(o.Fields, o.Clone().Fields); len(lines) > 0 {
				t.Errorf("an object differs from itself: %q", lines)
			}
			_ = Changes(nil, o.Fields)
			_ = Undo(o.Fields, o.Fields)
		}
	})
}

func TestOrder(t *testing.T) {
	t.Parallel()
	object := func(apiVersion, kind string) string {
		return "apiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata: {name: x}\n---\n"
	}
	got := kinds(Order(parse(t, object("example.com/v1", "Deployment")+object("autoscaling/v2", "HorizontalPodAutoscaler")+object("apps/v1", "Deployment")+object("v1", "Service")+
		object("v1", "Secret")+object("v1", "ServiceAccount")+object("apiextensions.k8s.io/v1", "CustomResourceDefinition")+object("v1", "Namespace"))))
	want := "namespace x, customresourcedefinition x, serviceaccount x, secret x, service x, deployment x, horizontalpodautoscaler x, deployment x"
	if got != want {
		t.Errorf("order %s\n want %s", got, want)
	}
}

func TestBefore(t *testing.T) {
	t.Parallel()
	pods := map[string]any{"app": "web", "tier": "front"}
	for name, c := range map[string]struct {
		object             string
		whenNew, whenThere bool
	}{
		"a definition":           {"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition", true, true},
		"a role":                 {"apiVersion: rbac.authorization.k8s.io/v1\nkind: Role", true, true},
		"a config map":           {"apiVersion: v1\nkind: ConfigMap", true, false},
		"a service of others":    {"apiVersion: v1\nkind: Service\nspec: {selector: {app: db}}", true, false},
		"a service of the pods":  {"apiVersion: v1\nkind: Service\nspec: {selector: {app: web}}", false, false},
		"a database":             {"apiVersion: apps/v1\nkind: StatefulSet\nspec: {selector: {matchLabels: {app: db}}}", true, false},
		"a namesake":             {"apiVersion: apps/v1\nkind: Deployment\nspec: {selector: {matchLabels: {app: web}}}", false, false},
		"a route":                {"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute", false, false},
		"an ingress":             {"apiVersion: networking.k8s.io/v1\nkind: Ingress", false, false},
		"an autoscaler":          {"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler", false, false},
		"a custom resource":      {"apiVersion: cert-manager.io/v1\nkind: Certificate", true, false},
		"a job":                  {"apiVersion: batch/v1\nkind: Job", true, false},
		"one that is to be last": {"apiVersion: v1\nkind: ConfigMap\nannotations", false, false},
	} {
		text := c.object
		if strings.HasSuffix(text, "annotations") {
			text = strings.TrimSuffix(text, "\nannotations") + "\nmetadata: {name: x, annotations: {deploy.candlefish.ai/phase: after}}\n"
		} else {
			text += "\nmetadata: {name: x}\n"
		}
		o := parse(t, text)[0]
		if o.Before(false, pods) != c.whenNew || o.Before(true, pods) != c.whenThere {
			t.Errorf("%s: before when new %t, when it exists %t; want %t, %t", name, o.Before(false, pods), o.Before(true, pods), c.whenNew, c.whenThere)
		}
	}
}
