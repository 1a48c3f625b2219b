package manifest

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func object(kind, rest string) string {
	versions := map[string]string{"Deployment": "apps/v1", "Ingress": "networking.k8s.io/v1", "PrometheusRule": "monitoring.coreos.com/v1"}
	version := versions[kind]
	if version == "" {
		version = "v1"
	}
	return "apiVersion: " + version + "\nkind: " + kind + "\n" + rest + "\n---\n"
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, says string }{
		"a duplicate":             {object("ConfigMap", "metadata: {name: a}") + object("ConfigMap", "metadata: {name: a, namespace: shop}"), "app.yaml:5: configmap a: it is there twice: app.yaml:1 has it too"},
		"another namespace":       {object("ConfigMap", "metadata:\n  name: a\n  namespace: other"), "app.yaml:5: configmap a: it is in namespace other, and the release is in shop"},
		"another Namespace":       {object("Namespace", "metadata: {name: other}"), "the release is in namespace shop alone"},
		"a variable in an image":  {object("Deployment", "metadata: {name: a}\nspec:\n  template:\n    spec:\n      containers:\n      - image: ${ECR_REGISTRY}/web:1"), `app.yaml:8: deployment a: spec.template.spec.containers[0].image has the unexpanded "${ECR_REGISTRY}"`},
		"a marker in an image":    {object("Deployment", "metadata: {name: a}\nspec: {template: {spec: {containers: [{image: 'web:IMAGE_TAG_PLACEHOLDER'}]}}}"), `"IMAGE_TAG_PLACEHOLDER"`},
		"a marker in a name":      {object("Deployment", "metadata: {name: web-VERSION_PLACEHOLDER}"), "-VERSION_PLACEHOLDER"},
		"a short marker":          {object("Deployment", "metadata: {name: a}\nspec: {template: {spec: {containers: [{image: 'web:IMAGE_TAG'}]}}}"), `"IMAGE_TAG"`},
		"a template's action":     {object("Deployment", "metadata: {name: a}\nspec: {template: {spec: {serviceAccountName: '{{ .Values.sa }}'}}}"), "{{ .Values.sa }}"},
		"a value helm lacked":     {object("Ingress", "metadata: {name: a}\nspec: {rules: [{host: <no value>}]}"), "<no value>"},
		"a variable in an env":    {object("Deployment", "metadata: {name: a}\nspec: {template: {spec: {containers: [{image: x, env: [{name: A, value: '${B}'}]}]}}}"), `"${B}"`},
		"a value that is one":     {object("ConfigMap", "metadata: {name: a}\ndata: {A: CHANGEME}"), "CHANGEME"},
		"a Secret's value":        {object("Secret", "metadata: {name: a}\ndata: {A: '"+base64.StdEncoding.EncodeToString([]byte("${DATABASE_URL}"))+"'}"), "${DATABASE_URL}"},
		"an annotation":           {object("ConfigMap", "metadata: {name: a, annotations: {x: '${CONFIG_CHECKSUM}'}}"), "${CONFIG_CHECKSUM}"},
		"a reference in a field":  {object("Deployment", "metadata: {name: a}\nspec: {template: {spec: {nodeName: $(NODE)}}}"), "$(NODE)"},
		"envsubst's other form":   {object("Deployment", "metadata: {name: a, labels: {v: $VERSION}}"), "$VERSION"},
		"an image without a tag":  {object("Deployment", "metadata: {name: a}\nspec: {template: {spec: {containers: [{image: 'web:'}]}}}"), `"web:" is no image`},
		"an image without a name": {object("Deployment", "metadata: {name: a}\nspec: {template: {spec: {initContainers: [{image: '/web:1'}]}}}"), `"/web:1" is no image`},
		"an empty certificate":    {object("Secret", "metadata: {name: a}\ntype: kubernetes.io/tls\ndata: {tls.crt: '', tls.key: ''}"), "has an empty tls.crt"},
		"a hook of Helm":          {object("ConfigMap", "metadata: {name: a, annotations: {helm.sh/hook: pre-upgrade}}"), "--no-hooks"},
		"a name in another group": {object("PrometheusRule", "metadata: {name: a-PLACEHOLDER}"), "PLACEHOLDER"},
	} {
		problems := Check(parse(t, c.text), "shop")
		if len(problems) == 0 || !strings.Contains(problems.Error(), c.says) {
			t.Errorf("%s: %v, want a problem that says %q", name, problems, c.says)
		}
	}
}

func TestCheckTakesWhatIsLegal(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a shell's variable":     object("Deployment", "metadata: {name: a}\nspec: {template: {spec: {containers: [{image: 'registry.example:5000/web@sha256:aa', command: [sh, -c, 'echo ${HOME} $(date)'], args: ['$(POD_IP)']}]}}}"),
		"Kubernetes' own form":   object("Deployment", "metadata: {name: a}\nspec: {template: {spec: {containers: [{image: web, env: [{name: A, value: '$(B):80'}]}]}}}"),
		"a template in a config": object("ConfigMap", "metadata: {name: a}\ndata: {nginx.conf: 'server { set $x ${host}; }', t: '{{ .A }} and {{ .B }}'}"),
		"an alert's template":    object("PrometheusRule", "metadata: {name: a}\nspec: {groups: [{rules: [{annotations: {summary: '{{ $labels.pod }} is down'}, expr: 'up == 0 and $x'}]}]}"),
		"one that is allowed":    object("ConfigMap", "metadata: {name: a, annotations: {deploy.candlefish.ai/allow-placeholders: 'true'}}\ndata: {A: CHANGEME}"),
		"the release's own":      object("Namespace", "metadata: {name: shop}"),
		"a path with a dollar":   object("Ingress", "metadata: {name: a, annotations: {nginx.ingress.kubernetes.io/rewrite-target: /$2}}\nspec: {rules: [{host: a.example, http: {paths: [{path: '/x(/|$)(.*)'}]}}]}"),
	} {
		if problems := Check(parse(t, text), "shop"); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestSetImages(t *testing.T) {
	t.Parallel()
	o := parse(t, object("Deployment", "metadata: {name: a}\nspec: {template: {spec: {initContainers: [{name: i, image: x}], containers: [{name: c, image: 'x:TAG_PLACEHOLDER'}]}}}"))[0]
	if err := SetImages(o.Template(), map[string]string{"c": "x:2", "i": "y:2"}); err != nil {
		t.Fatal(err)
	}
	if problems := Check([]Object{o}, "shop"); len(problems) > 0 {
		t.Errorf("the placeholder is replaced: %v", problems)
	}
	if err := SetImages(o.Template(), map[string]string{"d": "x:2"}); err == nil || err.Error() != "no container is named d; there are c, i" {
		t.Errorf("an unknown container: %v", err)
	}
}

const everywhere = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      imagePullSecrets: [{name: s}]
      initContainers: [{name: i, env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]
      containers:
      - name: c
        env: [{name: A, valueFrom: {configMapKeyRef: {name: m, key: k}}}, {name: B, value: m}]
        envFrom: [{configMapRef: {name: m}}, {secretRef: {name: s}}, {configMapRef: {name: others}}]
      volumes:
      - {name: m, configMap: {name: m}}
      - {name: s, secret: {secretName: s}}
      - {name: p, projected: {sources: [{configMap: {name: m}}, {secret: {name: s}}]}}
`

func TestConfigurationTravelsWithTheVersion(t *testing.T) {
	t.Parallel()
	config := func(value string) []Object {
		return parse(t, object("ConfigMap", "metadata: {name: m, namespace: shop, labels: {app: web}}\ndata: {k: "+value+"}")+object("Secret", "metadata: {name: s}\nstringData: {k: v}")+object("ConfigMap", "metadata: {name: unused}"))
	}
	template := parse(t, everywhere)[0].Template()
	before := Object{Fields: template}.Clone().Fields
	rewritten, copies := Copies(template, config("one"), "web")
	if len(copies) != 2 || copies[0].Fields["immutable"] != true || copies[0].Annotation(AnnotationCopyOf) != "s" && copies[0].Annotation(AnnotationCopyOf) != "m" {
		t.Fatalf("copies %s", kinds(copies))
	}
	names := map[string]string{}
	for _, c := range copies {
		names[c.Annotation(AnnotationCopyOf)] = c.Name()
		if c.text("metadata", "labels", LabelCopy) != "web" {
			t.Errorf("%s has the labels %v", c, c.Value("metadata", "labels"))
		}
	}
	want := []Reference{{"ConfigMap", names["m"]}, {"ConfigMap", "others"}, {"Secret", names["s"]}}
	got := References(rewritten)
	for _, r := range want {
		if !strings.Contains(strings.Join(refs(got), ","), r.String()) {
			t.Errorf("the rewritten template reads %q, want %s among them", refs(got), r)
		}
	}
	if len(got) != len(want) {
		t.Errorf("it reads %q", refs(got))
	}
	if diff := cmp.Diff(before, template); diff != "" {
		t.Errorf("the template given was changed\n%s", diff)
	}
	if pull := listOf(rewritten["spec"].(map[string]any)["imagePullSecrets"])[0]["name"]; pull != "s" {
		t.Errorf("the pull secret is %v: nothing copies it", pull)
	}
	if _, again := Copies(template, config("one"), "web"); again[0].Name() != copies[0].Name() || again[1].Name() != copies[1].Name() {
		t.Error("the same content has another name the second time")
	}
	if _, other := Copies(template, config("two"), "web"); kinds(other) == kinds(copies) {
		t.Error("other content has the same name")
	}
}

func refs(all []Reference) []string {
	var names []string
	for _, r := range all {
		names = append(names, r.String())
	}
	return names
}

func TestChanges(t *testing.T) {
	t.Parallel()
	before := parse(t, object("Deployment", "metadata: {name: a, uid: x}\nspec: {replicas: 1, list: [1, 2], template: {spec: {containers: [{name: c, env: [{name: A, value: x}, {name: B, value: y}]}]}}}"))[0].Fields
	after := parse(t, object("Deployment", "metadata: {name: a}\nspec: {paused: true, replicas: 2, list: [1], template: {spec: {containers: [{name: c, env: [{name: B, value: z}, {name: C, value: w}]}]}}}"))[0].Fields
	want := []string{
		"- spec.list[1]: 2", "+ spec.paused: true", "~ spec.replicas: 1 -> 2",
		`- spec.template.spec.containers[c].env[A].name: "A"`, `- spec.template.spec.containers[c].env[A].value: "x"`,
		`~ spec.template.spec.containers[c].env[B].value: "y" -> "z"`,
		`+ spec.template.spec.containers[c].env[C].name: "C"`, `+ spec.template.spec.containers[c].env[C].value: "w"`,
	}
	if diff := cmp.Diff(want, Changes(before, after)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestChangesTellNoSecret(t *testing.T) {
	t.Parallel()
	secret := func(value string) map[string]any {
		return parse(t, object("Secret", "metadata: {name: a}\ndata: {k: "+value+"}\nstringData: {s: "+value+"}"))[0].Fields
	}
	for _, lines := range [][]string{Changes(secret("planted1"), secret("planted2")), Changes(nil, secret("planted1")), Changes(secret("planted1"), nil)} {
		text := strings.Join(lines, "\n")
		if strings.Contains(text, "planted") || !strings.Contains(text, "data.k: "+Redacted) {
			t.Errorf("the diff is\n%s", text)
		}
	}
}

func TestUndoGivesTheLiveValuesBack(t *testing.T) {
	t.Parallel()
	applied := map[string]any{"a": "new", "b": map[string]any{"c": int64(2), "d": "added"}, "e": []any{"x"}}
	live := map[string]any{"a": "old", "b": map[string]any{"c": int64(1), "other": true}, "e": []any{"y", "z"}, "f": "theirs"}
	want := map[string]any{"a": "old", "b": map[string]any{"c": int64(1)}, "e": []any{"y", "z"}}
	if diff := cmp.Diff(want, Undo(applied, live)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
