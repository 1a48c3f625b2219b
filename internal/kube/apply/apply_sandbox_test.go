package apply

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/manifest"
	"github.com/candlefish/deploy-action/internal/release"
)

type bench struct {
	t       *testing.T
	cluster *kube.Cluster
	ns      string
	said    []string
}

func (b *bench) survey(c *Client, prune bool, text string) *Plan {
	b.t.Helper()
	objects, problems := manifest.Parse("app.yaml", []byte(text))
	if problems = append(problems, manifest.Check(objects, b.ns)...); len(problems) > 0 {
		b.t.Fatal(problems)
	}
	record := &release.Record{Namespace: b.ns, Deployment: sample.Name, Container: "website", VersionLabel: "version", Services: []release.Service{{Name: sample.Name, Selector: map[string]string{"app": sample.Name}}}}
	p, err := c.Survey(b.t.Context(), record, objects, prune)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// done fails the test on an error.
func (b *bench) done(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) say(line string) { b.said = append(b.said, line) }

// value is what the ConfigMap of the tests has.
func (b *bench) value() string {
	b.t.Helper()
	m, err := b.cluster.Typed.CoreV1().ConfigMaps(b.ns).Get(b.t.Context(), "settings", metav1.GetOptions{})
	if err != nil {
		return ""
	}
	return m.Data["A"]
}

const more = `
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {A: VALUE}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: test.candlefish.ai/v1
kind: GROUPThing
metadata: {name: thing}
spec: {size: 3}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.GROUP.candlefish.ai}
spec:
  group: GROUP.candlefish.ai
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// The steps of a release's manifests against an API server: nothing happens in a
// dry run, what is applied is what was planned, and each of it can be undone.
func TestManifestsOnAnAPIServer(t *testing.T) {
	t.Parallel()
	s := sandboxtest.Start(t)
	ns := sandboxtest.Namespace(t, s)
	app := sample.App{Namespace: ns, Image: sandboxtest.Website(t, s, "v1", nil), Replicas: 1}
	sandboxtest.Deploy(t, s, app)
	cluster, err := kube.Connect(kube.ConnectOptions{Kubeconfig: s.Kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, cluster: cluster, ns: ns}
	c := New(cluster, ns, false)
	base := string(app.Manifest(s))

	if p := b.survey(c, false, base); !p.Empty() || p.Template != nil || len(p.Refusals)+len(p.Diff) > 0 {
		t.Errorf("what is live is no change: %+v", p)
	}
	group := "t" + strings.ReplaceAll(ns, "-", "")
	extra := strings.NewReplacer("GROUPThing", "Thing", "test.candlefish.ai", group+".candlefish.ai", "GROUP", group).Replace(more)
	t.Cleanup(func() {
		ref := Ref{"apiextensions.k8s.io/v1", "CustomResourceDefinition", "things." + group + ".candlefish.ai"}
		b.done(c.remove(context.WithoutCancel(t.Context()), ref.object()))
	})
	first := b.survey(c, false, base+strings.ReplaceAll(extra, "VALUE", "one"))
	if len(first.Refusals) > 0 || !strings.Contains(strings.Join(first.Warnings, "\n"), "thing thing is checked only after its definition") {
		t.Fatalf("refusals %q, warnings %q", first.Refusals, first.Warnings)
	}
	if b.value() != "" {
		t.Fatal("a dry run created an object")
	}
	b.done(c.Before(t.Context(), first.Bundle, patience, b.say))
	if diff := cmp.Diff([]string{"customresourcedefinition things." + group + ".candlefish.ai was applied", "serviceaccount web was applied", "configmap settings was applied", "thing thing was applied"}, b.said); diff != "" {
		t.Errorf("applied (-want +got)\n%s", diff)
	}
	b.done(c.After(t.Context(), first.Bundle, patience, b.say))
	first.Run = "1"
	b.done(Save(t.Context(), cluster, ns, sample.Name, first.Bundle))
	stored, err := Load(t.Context(), cluster, ns, sample.Name)
	b.done(err)
	if diff := cmp.Diff(first.Bundle, stored); diff != "" {
		t.Errorf("the stored bundle (-want +got)\n%s", diff)
	}
	b.done(Save(t.Context(), cluster, ns, sample.Name, first.Done(false)))

	if p := b.survey(c, false, base+strings.ReplaceAll(extra, "VALUE", "one")); !p.Empty() {
		t.Errorf("the second time is no change: %+v", p.Diff)
	}
	changes(b, c, base, extra)
	prunes(b, c, base)
}

// changes changes an object, undoes that, and meets another field manager.
func changes(b *bench, c *Client, base, extra string) {
	t := b.t
	second := b.survey(c, false, base+strings.ReplaceAll(extra, "VALUE", "two"))
	if diff := cmp.Diff([]Difference{{Object: "configmap settings", When: whenEnd, Verb: "change", Lines: []string{`~ data.A: "one" -> "two"`}}}, second.Diff); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	second.Items[0].Before = true
	b.done(c.Before(t.Context(), second.Bundle, patience, b.say))
	if got := b.value(); got != "two" {
		t.Errorf("applied %q", got)
	}
	b.done(c.Undo(t.Context(), second.Bundle, b.say))
	if got := b.value(); got != "one" {
		t.Errorf("undone, it is %q", got)
	}

	m, err := b.cluster.Typed.CoreV1().ConfigMaps(b.ns).Get(t.Context(), "settings", metav1.GetOptions{})
	b.done(err)
	m.Data["A"] = "theirs"
	_, err = b.cluster.Typed.CoreV1().ConfigMaps(b.ns).Update(t.Context(), m, metav1.UpdateOptions{FieldManager: "somebody"})
	b.done(err)
	p := b.survey(c, false, base+strings.ReplaceAll(extra, "VALUE", "three"))
	if len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0], `configmap settings: .data.A has another value by "somebody"`) || !strings.Contains(p.Refusals[0], "force-conflicts") {
		t.Errorf("refusals %q, want the conflict with its manager", p.Refusals)
	}
	p = b.survey(New(b.cluster, b.ns, true), false, base+strings.ReplaceAll(extra, "VALUE", "three"))
	if len(p.Refusals) > 0 || len(p.Items) != 1 {
		t.Errorf("forced: refusals %q, %d items", p.Refusals, len(p.Items))
	}
	for says, text := range map[string]string{
		"the cluster has no kind Nothing of nothing.example/v1": "apiVersion: nothing.example/v1\nkind: Nothing\nmetadata: {name: x}\n",
		"field not declared in schema":                          "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{name: x, port: 1, prot: 1}]}}\n",
		"spec.ports[0].port":                                    "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{name: x, port: 70000}]}}\n",
	} {
		p := b.survey(c, false, base+"\n---\n"+text)
		if got := strings.Join(p.Refusals, "\n"); !strings.Contains(got, says) {
			t.Errorf("refusals %q, want %q", got, says)
		}
	}
}

// prunes removes what is no longer in the manifests.
func prunes(b *bench, c *Client, base string) {
	t := b.t
	if p := b.survey(c, false, base); len(p.Prune) > 0 || !strings.Contains(strings.Join(p.Warnings, "\n"), "configmap settings was applied by an earlier release") {
		t.Errorf("without prune: %v, %q", p.Prune, p.Warnings)
	}
	p := b.survey(c, true, base)
	var pruned []string
	for _, r := range p.Prune {
		pruned = append(pruned, r.String())
	}
	if diff := cmp.Diff([]string{"serviceaccount web", "thing thing"}, pruned); diff != "" {
		t.Errorf("pruned (-want +got)\n%s\nwarnings %q", diff, p.Warnings)
	}
	if !strings.Contains(strings.Join(p.Warnings, "\n"), "prune never deletes a CustomResourceDefinition") {
		t.Errorf("warnings %q", p.Warnings)
	}
	b.done(c.After(t.Context(), p.Bundle, patience, b.say))
	if b.value() != "theirs" || !strings.Contains(strings.Join(p.Warnings, "\n"), "configmap settings is no longer in the manifests, and somebody else has applied it since") {
		t.Errorf("what somebody else took is %q, warnings %q", b.value(), p.Warnings)
	}
	if p := b.survey(c, true, base); len(p.Prune) > 0 {
		t.Errorf("pruned once more: %v", p.Prune)
	}
}
