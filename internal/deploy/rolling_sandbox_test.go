package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// updates returns the settings by which a workload updates its pods, and their images.
func (w *world) updates(workload string) string {
	w.t.Helper()
	return w.kubectl("get", workload, "-o", "jsonpath={.spec.strategy}{.spec.updateStrategy}{.spec.minReadySeconds} {.spec.progressDeadlineSeconds} {.spec.template.spec}{.metadata.managedFields[?(@.manager==\"candlefish-deploy-action\")].manager}")
}

// imageCounts counts the pods of each image, those that stop left out.
func (w *world) imageCounts() map[string]int {
	w.t.Helper()
	counts := map[string]int{}
	for _, pod := range w.pods() {
		image := pod.Spec.Containers[0].Image
		counts[image[strings.LastIndex(image, ":")+1:]]++
	}
	return counts
}

// drains makes the application serve for a while after SIGTERM: longer than the gateway,
// which takes up to 2 s and shares two cores, needs to forget a pod.
var drains = map[string]string{"DRAIN": "6s"}

func (w *world) roll(args ...string) *process {
	w.t.Helper()
	for _, d := range [][2]string{{"--strategy", "rolling"}, {"--steps", "25,50,100"}, {"--step-duration", "2s"}, {"--bake-time", "2s"}} {
		if !slices.Contains(args, d[0]) {
			args = append(args, d[0], d[1])
		}
	}
	return w.deploy(args...)
}

// A rolling update goes on pod by pod when it was judged, is taken back to the recorded
// revision, and works again and again, before and after a canary and a kill.
func TestRollingUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(a *sample.App) { a.Replicas = 4; a.GracePeriod = 10 * time.Second; a.Env = drains })
	settings := w.updates("deployment/" + sample.Name)
	l := w.load(100)
	p := w.roll("--image", w.image("v2", nil))
	p.reaches(atStep(20))
	if got := w.imageCounts(); got["v2"] != 1 || got["v1"] != 4 {
		t.Errorf("at 20 %% there are the pods %v, want 1 new and 4 old ones", got)
	}
	// Another process pauses it, and a third one goes on: what it asked for is judged again.
	w.deploy("--command", "pause", "--deployment-name", sample.Name).ends(0)
	p.ends(0)
	if got := p.outputs()["status"]; got != "paused" {
		t.Errorf("status %q, want paused", got)
	}
	status := w.deploy("--command", "status", "--deployment-name", sample.Name).ends(0)
	for _, want := range []string{"Paused", "live         deployment/" + sample.Name + " has the image", "canary, ready true", "--command resume"} {
		if !strings.Contains(status, want) {
			t.Errorf("the status lacks %q:\n%s", want, status)
		}
	}
	p = w.deploy("--command", "resume", "--deployment-name", sample.Name)
	p.reaches(atStep(40))
	if got := w.imageCounts(); got["v2"] != 2 || got["v1"] != 3 {
		t.Errorf("at 40 %% there are the pods %v, want 2 new and 3 old ones", got)
	}
	w.kubectl("scale", "deployment/"+sample.Name, "--replicas=5")
	out := p.ends(0)
	if o := p.outputs(); o["failed-requests"] != "0" || o["status"] != "promoted" || !strings.HasSuffix(strings.Split(o["image"], "@")[0], "website") {
		t.Errorf("outputs %v:\n%s", o, out)
	}
	if got := w.imageCounts(); got["v2"] != 5 || len(got) != 1 {
		t.Errorf("at the end there are the pods %v, want 5 new ones", got)
	}
	if got := w.updates("deployment/" + sample.Name); got != strings.Replace(settings, ":v1", ":v2", 1) {
		t.Errorf("the settings are\n%s\nbefore\n%s", got, settings)
	}
	w.kubectl("scale", "deployment/"+sample.Name, "--replicas=3")
	w.roll("--image", w.image("v1", nil), "--steps", "100").ends(0) // A, B, A
	if got := w.live(); got != "v1" {
		t.Errorf("version %s answers after the second release", got)
	}
	back := w.deploy("--command", "rollback", "--deployment-name", sample.Name)
	back.ends(0)
	if o := back.outputs(); o["status"] != "rolled-back" || o["failed-requests"] != "0" {
		t.Errorf("outputs of the rollback %v", o)
	}
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers after the rollback", got)
	}
	l.unhurt(t)
}

func TestARollingUpdateIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(a *sample.App) { a.Replicas = 3; a.GracePeriod = 10 * time.Second; a.Env = drains })
	settings := w.updates("deployment/" + sample.Name)
	undone := func(why string) {
		t.Helper()
		if got := w.live(); got != "v1" {
			t.Errorf("%s: version %s answers", why, got)
		}
		if got := w.updates("deployment/" + sample.Name); got != settings {
			t.Errorf("%s: the settings are\n%s\nbefore\n%s", why, got, settings)
		}
		if got := w.imageCounts(); got["v1"] != 3 || len(got) != 1 {
			t.Errorf("%s: there are the pods %v", why, got)
		}
	}
	p := w.roll("--image", w.image("bad-rolling", map[string]string{"ERROR_RATE": "0.3"}), "--step-duration", "20s")
	if out := p.ends(4); strings.Contains(out, "until 2 are new") {
		t.Errorf("a second pod was replaced:\n%s", out)
	}
	undone("30 % errors")

	l := w.load(100)
	w.roll("--image", w.image("sick-rolling", map[string]string{"NEVER_READY": "true"}), "--progress-deadline", "5s").ends(4)
	undone("never ready")

	p = w.roll("--image", w.image("v2", nil), "--step-duration", "60s")
	p.reaches(`dwell at \d+ %`)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	out := p.ends(4)
	if !strings.Contains(out, "goes on with the undo") {
		t.Errorf("after the signal:\n%s", out)
	}
	w.deploy("--command", "abort", "--deployment-name", sample.Name).ends(0)
	undone("a signal, then the command abort")

	p = w.roll("--image", w.image("v2", nil), "--step-duration", "60s")
	p.reaches(`dwell at \d+ %`)
	w.kubectl("set", "image", "deployment/"+sample.Name, "website="+w.image("v3", nil))
	if out := p.ends(3); !strings.Contains(out, `changed the pod template of deployment/`) {
		t.Errorf("after somebody's change:\n%s", out)
	}
	w.deploy("--command", "abort", "--deployment-name", sample.Name).ends(0)
	undone("another writer, then the command abort")

	p = w.roll("--image", w.image("v2", nil), "--step-duration", "60s")
	p.reaches(`dwell at \d+ %`)
	_ = p.cmd.Process.Kill()
	p.wait()
	// The next release finishes it, and is a canary.
	w.deploy("--image", w.image("v2", nil), "--steps", "50,100", "--bake-time", "1s").ends(0)
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers after the canary", got)
	}
	w.roll("--image", w.image("v1", nil), "--steps", "100", "--step-duration", "1s").ends(0)
	undone("a rolling update after a canary")
	l.unhurt(t)
}

// set is a StatefulSet or DaemonSet with a Service and a route, as a user would write it.
const set = `
apiVersion: apps/v1
kind: %[1]s
metadata: {name: data, namespace: %[2]s}
spec:
  %[3]s
  selector: {matchLabels: {app: data}}
  template:
    metadata: {labels: {app: data}}
    spec:
      terminationGracePeriodSeconds: 10
      containers:
      - name: website
        image: %[4]s
        readinessProbe: {httpGet: {path: /health, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: data, namespace: %[2]s}
spec: {selector: {app: data}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: data, namespace: %[2]s}
spec:
  parentRefs: [{name: %[5]s, namespace: %[6]s}]
  hostnames: [data.%[2]s.example.com]
  rules: [{backendRefs: [{name: data, port: 80}]}]
`

func (w *world) applySet(kind, fields, image string) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "set.yaml")
	text := fmt.Sprintf(set, kind, w.ns, fields, image, w.gateway.Name, w.gateway.Namespace)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.kubectl("apply", "-f", file)
	w.kubectl("rollout", "status", strings.ToLower(kind)+"/data", "--timeout=90s")
}

// A StatefulSet is updated from the highest ordinal down, judged between, and a broken
// pod does not keep it from going back.
func TestRollingUpdateOfAStatefulSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(a *sample.App) { a.Replicas = 1 })
	w.applySet("StatefulSet", "replicas: 3\n  serviceName: data", w.image("v1", nil))
	settings := w.updates("statefulset/data")
	if out := w.deploy("--image", w.image("v2", nil), "--deployment-name", "data").ends(1); !strings.Contains(out, "strategy: rolling") {
		t.Errorf("a canary of a StatefulSet:\n%s", out)
	}
	p := w.roll("--image", w.image("v2", nil), "--deployment-name", "data", "--steps", "33,100")
	p.reaches(atStep(33))
	var fresh []string
	for _, pod := range w.pods() {
		if strings.HasSuffix(pod.Spec.Containers[0].Image, ":v2") {
			fresh = append(fresh, pod.Name)
		}
	}
	if !slices.Equal(fresh, []string{"data-2"}) {
		t.Errorf("the new pods are %q, want data-2", fresh)
	}
	out := p.ends(0)
	if n, err := strconv.Atoi(p.outputs()["failed-requests"]); err != nil || n > 0 {
		t.Errorf("failed-requests = %d, %v:\n%s", n, err, out)
	}
	if got := w.updates("statefulset/data"); got != strings.Replace(settings, ":v1", ":v2", 1) {
		t.Errorf("the settings are\n%s\nbefore\n%s", got, settings)
	}
	settings = w.updates("statefulset/data")
	p = w.roll("--image", w.image("sick-rolling", map[string]string{"NEVER_READY": "true"}), "--deployment-name", "data", "--progress-deadline", "6s")
	p.ends(4)
	if got := w.imageCounts(); got["v2"] != 3 {
		t.Errorf("after the undo there are the pods %v", got)
	}
	if got := w.updates("statefulset/data"); got != settings {
		t.Errorf("the settings are\n%s\nbefore\n%s", got, settings)
	}
}
