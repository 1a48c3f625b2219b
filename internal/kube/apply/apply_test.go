package apply

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/kubetest"
	"github.com/candlefish/deploy-action/internal/manifest"
	"github.com/candlefish/deploy-action/internal/router"
)

func one(t *testing.T, text string) manifest.Object {
	t.Helper()
	objects, problems := manifest.Parse("app.yaml", []byte(text))
	if len(problems) > 0 || len(objects) != 1 {
		t.Fatalf("%d objects, %v", len(objects), problems)
	}
	return objects[0]
}

func TestConflictsNameTheManager(t *testing.T) {
	t.Parallel()
	o := one(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}")
	answer := func(causes ...string) error {
		status := metav1.Status{Reason: metav1.StatusReasonConflict, Code: 409, Details: &metav1.StatusDetails{}}
		for _, c := range causes {
			status.Details.Causes = append(status.Details.Causes, metav1.StatusCause{Type: metav1.CauseTypeFieldManagerConflict, Message: "conflict with " + c, Field: ".data.A"})
		}
		return &apierrors.StatusError{ErrStatus: status}
	}
	c := conflictOf(o, answer(`"kubectl" using v1`))
	if c == nil || c.ours || c.Error() != `configmap a: .data.A has another value by "kubectl" using v1; set force-conflicts to take them` {
		t.Errorf("conflict %v", c)
	}
	if c := conflictOf(o, answer(`"`+kube.FieldManager+`"`)); c == nil || !c.ours {
		t.Errorf("what only our own rollout wrote is taken: %+v", c)
	}
	if c := conflictOf(o, answer(`"`+kube.FieldManager+`"`, `"kubectl"`)); c == nil || c.ours {
		t.Errorf("what somebody else wrote, too, is not: %+v", c)
	}
	if c := conflictOf(o, answer()); c != nil {
		t.Errorf("a plain conflict is tried again: %v", c)
	}
}

func TestReadyByTheRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ object, says string }{
		"a config map":            {"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", ""},
		"a job that runs":         {"{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {startTime: '2026-01-01T00:00:00Z', active: 1}}", "not completed"},
		"a job that is done":      {"{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {startTime: '2026-01-01T00:00:00Z', succeeded: 1, conditions: [{type: Complete, status: 'True'}]}}", ""},
		"a job that failed":       {"{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {startTime: '2026-01-01T00:00:00Z', failed: 1, conditions: [{type: Failed, status: 'True', message: BackoffLimitExceeded}]}}", "job a failed"},
		"a definition":            {"{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}}", "not yet"},
		"a custom resource":       {"{apiVersion: example.com/v1, kind: Thing, metadata: {name: a, generation: 2}, status: {observedGeneration: 1}}", "not yet"},
		"one that is not ready":   {"{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}, status: {conditions: [{type: Ready, status: 'False', message: soon}]}}", "not yet"},
		"one that says it is":     {"{apiVersion: example.com/v1, kind: Thing, metadata: {name: a}, status: {conditions: [{type: Ready, status: 'True'}]}}", ""},
		"a deployment that rolls": {"{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 2}, spec: {replicas: 2}, status: {observedGeneration: 1}}", "not yet"},
	} {
		// The parser leaves out what only a cluster writes, so the live object is read
		// as it is.
		raw, err := yaml.YAMLToJSON([]byte(c.object))
		if err != nil {
			t.Fatal(err)
		}
		var live unstructured.Unstructured
		if err := live.UnmarshalJSON(raw); err != nil {
			t.Fatal(err)
		}
		err = ready(one(t, c.object), live.Object)
		if (c.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		var failed *FailedError
		if errors.As(err, &failed) == errors.Is(err, kube.ErrNotYet) && err != nil {
			t.Errorf("%s: %v is both or neither of failed and not yet", name, err)
		}
	}
}

func TestABundleComesBackAsItWas(t *testing.T) {
	t.Parallel()
	o := one(t, "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {k: dg==}, spec: {i: 3, f: 1.5, l: [1, {b: true}], n: null}}")
	b := Bundle{Items: []Item{{Fields: o.Fields, Undo: map[string]any{"x": int64(9007199254740993)}, Before: true}}, Prune: []Ref{refOf(o)}, Inventory: []Ref{refOf(o)}, Previous: []Ref{refOf(o)}, Run: "7"}
	raw, err := b.encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, back); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !b.HasSecrets() || b.Done(false).HasSecrets() || !b.Done(true).Empty() {
		t.Error("what is kept after a release has the content of a Secret")
	}
	if _, err := decode(raw[:len(raw)/2]); err == nil {
		t.Error("half a bundle is read")
	}
}

func TestCopiesGoWhenNothingReadsThem(t *testing.T) {
	t.Parallel()
	s := kubetest.New(t, router.Kind{Version: "v1", Resource: "secrets", Name: "Secret"})
	copyOf := func(kind, name, deployment string) string {
		return "apiVersion: v1\nkind: " + kind + "\nmetadata: {namespace: shop, name: " + name + ", labels: {deploy.candlefish.ai/copy-for: " + deployment + "}}\n---\n"
	}
	reads := func(name string) string {
		return "{spec: {containers: [{name: app, envFrom: [{configMapRef: {name: " + name + "}}, {secretRef: {name: " + name + "}}]}]}}"
	}
	s.Apply(strings.TrimSuffix(copyOf("ConfigMap", "live", "web")+copyOf("ConfigMap", "past", "web")+copyOf("ConfigMap", "lost", "web")+copyOf("Secret", "live", "web")+copyOf("Secret", "lost", "web")+
		copyOf("ConfigMap", "another", "api")+
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: shop, name: plain}\n---\n"+
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: shop, name: web}\nspec: {template: "+reads("live")+"}\n---\n"+
		"apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {namespace: shop, name: web-1}\nspec: {template: "+reads("past")+"}\n---\n"+
		"apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {namespace: shop, name: web-canary-1, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web-canary, uid: gone, controller: true}]}\nspec: {template: "+reads("lost")+"}", "---\n"))
	if err := Collect(t.Context(), s.Cluster(), "shop", "web"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"DELETE configmaps/lost", "DELETE secrets/lost"}, s.Writes()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := Collect(t.Context(), s.Cluster(), "shop", "web"); err != nil || len(s.Writes()) != 2 {
		t.Errorf("the second time: %v, %q", err, s.Writes())
	}
}

func TestConflictsAreAboutChanges(t *testing.T) {
	t.Parallel()
	causes := []string{`.spec.rules has another value by "a"`, `.data.A has another value by "b"`, `.spec.template.spec.containers[name="web"].image has another value by "c"`, `.spec.ports[port=80,protocol="TCP"].targetPort has another value by "d"`}
	for line, want := range map[string]string{
		"~ spec.rules[0].backendRefs[x].port: 80 -> 81":          `"a"`,
		`~ data.A: "x" -> "y"`:                                   `"b"`,
		`~ spec.template.spec.containers[web].image: "x" -> "y"`: `"c"`,
		"~ spec.ports[http].targetPort: 80 -> 81":                `"d"`,
		"+ data: {}":               `"b"`,
		`~ data.AB: "x" -> "y"`:    "",
		`+ metadata.labels.x: "y"`: "",
	} {
		c := &ConflictError{Causes: append([]string{}, causes...)}
		if has := c.changes([]string{line}); has != (want != "") || !strings.HasSuffix(strings.Join(c.Causes, ";"), want) || len(c.Causes) > 1 {
			t.Errorf("%s: %t, %q, want %s alone", line, has, c.Causes, want)
		}
	}
}
