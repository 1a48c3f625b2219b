package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// manifests are those of the sample, with settings that its container reads from a
// ConfigMap and a Secret, and more in the Deployment's fields.
func (w *world) manifests(settings, more string) string {
	w.t.Helper()
	app := sample.App{Namespace: w.ns, Image: w.image("v1", nil), Replicas: 2, Gateway: w.gateway, GracePeriod: 5 * time.Second}
	text := string(app.Manifest(w.sandbox))
	var objects []string
	for document := range strings.SplitSeq(text, "\n---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			w.t.Fatal(err)
		}
		if o["kind"] == "Deployment" {
			o["metadata"].(map[string]any)["labels"].(map[string]any)["team"] = "shop"
			spec := o["spec"].(map[string]any)
			spec["minReadySeconds"] = 1
			pod := spec["template"].(map[string]any)["spec"].(map[string]any)
			container := pod["containers"].([]any)[0].(map[string]any)
			container["envFrom"] = []any{map[string]any{"configMapRef": map[string]any{"name": "settings"}}, map[string]any{"secretRef": map[string]any{"name": "keys"}}}
		}
		raw, err := json.Marshal(o)
		if err != nil {
			w.t.Fatal(err)
		}
		objects = append(objects, string(raw))
	}
	objects = append(objects,
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {"+settings+"}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {KEY: planted-secret}", more)
	file := filepath.Join(w.t.TempDir(), "app.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(objects, "\n---\n")), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// deployment is the Deployment as it is now.
func (w *world) deployment() appsv1.Deployment {
	w.t.Helper()
	var d appsv1.Deployment
	if err := json.Unmarshal([]byte(w.kubectl("get", "deployment", sample.Name, "-o", "json")), &d); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// identities returns the pods and their restarts.
func (w *world) identities() string {
	var all []string
	for _, p := range w.pods() {
		all = append(all, fmt.Sprint(p.UID, " ", p.Status.ContainerStatuses[0].RestartCount))
	}
	return strings.Join(all, ", ")
}

// reads returns the ConfigMap and the Secret that the Deployment's pods read.
func (w *world) reads() string {
	w.t.Helper()
	from := w.deployment().Spec.Template.Spec.Containers[0].EnvFrom
	if len(from) != 2 {
		return ""
	}
	return from[0].ConfigMapRef.Name + " " + from[1].SecretRef.Name
}

// Configuration goes through the canary as an image does, comes back with a
// rollback, and the second time nothing changes.
func TestManifestsAreReleasedAsAWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	short := []string{"--steps", "50,100", "--step-duration", "3s", "--bake-time", "2s"}
	release := func(code int, args ...string) *process {
		t.Helper()
		p := w.deploy(append(args, short...)...)
		out := p.ends(code)
		if strings.Contains(out, "planted-secret") || strings.Contains(out, "cGxhbnRlZC1zZWNyZXQ") {
			t.Errorf("the output has the Secret's value:\n%s", out)
		}
		return p
	}
	const extra = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {A: x}"
	l := w.load(100)

	// A changed environment, from a ConfigMap and a Secret that are new.
	first := w.manifests(`VERSION: "c1"`, extra)
	p := release(0, "--manifests", first)
	contains(t, p.text(), "create configmap settings-", "before the first new pod", "envFrom", "+ metadata.labels.team")
	if got := p.outputs(); got["status"] != "promoted" || got["failed-requests"] != "0" {
		t.Errorf("status %s, %s failed requests:\n%s", got["status"], got["failed-requests"], p.text())
	}
	reads := w.reads()
	if w.live() != "c1" || !strings.HasPrefix(reads, "settings-") || !strings.Contains(reads, " keys-") {
		t.Errorf("%s answers, and the pods read %q", w.live(), reads)
	}
	d := w.deployment()
	if d.Labels["team"] != "shop" || d.Spec.MinReadySeconds != 1 || *d.Spec.Replicas != 2 {
		t.Errorf("labels %v, minReadySeconds %d, %d replicas", d.Labels, d.Spec.MinReadySeconds, *d.Spec.Replicas)
	}
	pods := w.identities()
	if maps := w.kubectl("get", "configmaps", "-o", "name"); !strings.Contains(maps, "configmap/settings\n") || !strings.Contains(maps, "configmap/extra\n") {
		t.Errorf("the originals are not applied: %s", maps)
	}

	// The same again, and a placeholder, touch nothing.
	before := w.spec()
	if got := release(0, "--manifests", first).outputs()["status"]; got != "unchanged" {
		t.Errorf("status = %q the second time, want unchanged", got)
	}
	contains(t, release(2, "--manifests", w.manifests(`VERSION: "${VERSION}"`, extra)).text(), `configmap settings: data.VERSION has the unexpanded "${VERSION}"`)
	if after := w.spec(); after != before {
		t.Errorf("the objects are not as before:\n%s\nbefore:\n%s", after, before)
	}

	// What is no longer in the manifests goes, and the pods stay.
	p = release(0, "--manifests", w.manifests(`VERSION: "c1"`, ""), "--prune")
	if got := p.outputs()["status"]; got != "applied" || strings.Contains(w.kubectl("get", "configmaps", "-o", "name"), "extra") {
		t.Errorf("status %s, extra is there still:\n%s", got, p.text())
	}
	if after := w.identities(); after != pods {
		t.Errorf("pods %s, before %s", after, pods)
	}
	l.unhurt(t)

	// Configuration that fails is put back, with all that belongs to it.
	release(4, "--manifests", w.manifests(`VERSION: "bad", ERROR_RATE: "0.9"`, ""))
	if got := w.reads(); w.live() != "c1" || got != reads {
		t.Errorf("after the abort %s answers, and the pods read %q, want %q", w.live(), got, reads)
	}
	if maps := strings.Count(w.kubectl("get", "configmaps", "-o", "name"), "settings-"); maps != 1 {
		t.Errorf("%d copies are there after the abort, want that of the live pods alone", maps)
	}
	if got := w.kubectl("get", "configmap", "settings", "-o", "jsonpath={.data.VERSION}"); got != "c1" {
		t.Errorf("the original says %s after the abort", got)
	}

	// Good configuration, and back to the one before by command.
	l = w.load(100)
	release(0, "--manifests", w.manifests(`VERSION: "c2"`, ""))
	if w.live() != "c2" || w.reads() == reads {
		t.Errorf("%s answers, and the pods read %q", w.live(), w.reads())
	}
	w.deploy("--command", "rollback", "--step-duration", "2s", "--bake-time", "2s").ends(0)
	if got := w.reads(); w.live() != "c1" || got != reads {
		t.Errorf("after the rollback %s answers, and the pods read %q, want %q", w.live(), got, reads)
	}
	l.unhurt(t)
}

// Configuration that leaves the version in the answers as it is: the pods are told apart by
// their names, by canary and then by rolling update.
func TestConfigurationAloneIsReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.load(100)
	for _, c := range [][2]string{{"canary", "a"}, {"rolling", "b"}} {
		p := w.deploy("--strategy", c[0], "--manifests", w.manifests(`SETTING: "`+c[1]+`"`, ""), "--steps", "50,100", "--step-duration", "2s", "--bake-time", "2s", "--deployment-name", sample.Name)
		p.ends(0)
		if got := p.outputs(); got["status"] != "promoted" || got["failed-requests"] != "0" || strings.Contains(p.text(), "cannot be distinguished") {
			t.Errorf("%s: status %s, %s failed requests:\n%s", c[0], got["status"], got["failed-requests"], p.text())
		}
		if w.live() != "v1" {
			t.Errorf("%s: %s answers, want the same version", c[0], w.live())
		}
	}
	l.unhurt(t)
}
