package deploy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// plain fails the test unless nothing of a release is left but its record: the
// objects are as they were, the image aside.
func (w *world) plain(before, image string) {
	w.t.Helper()
	after := regexp.MustCompile(`"image": "[^"]*"`).ReplaceAllString(w.spec(), `"image": ""`)
	before = regexp.MustCompile(`"image": "[^"]*"`).ReplaceAllString(before, `"image": ""`)
	revision := regexp.MustCompile(`"deployment.kubernetes.io/revision": "\d+"`)
	if after, before := revision.ReplaceAllString(after, ""), revision.ReplaceAllString(before, ""); after != before {
		w.t.Errorf("the objects are not as before:\n%s\nbefore:\n%s", after, before)
	}
	if got := w.kubectl("get", "deployment", sample.Name, "-o", "jsonpath={.spec.template.spec.containers[0].image}"); got != image {
		w.t.Errorf("the deployment's image is %s, want %s", got, image)
	}
	for _, pod := range w.pods() {
		if role := pod.Labels["version"]; role != "" {
			w.t.Errorf("pod %s has the label version=%s", pod.Name, role)
		}
	}
	if managers := w.kubectl("get", "deployments,services,httproutes", "-o", "jsonpath={.items[*].metadata.managedFields[*].manager}", "--show-managed-fields"); strings.Contains(managers, "candlefish-deploy-action") {
		w.t.Errorf("we still own fields: %s", managers)
	}
}

// typed runs the command that the output of another run names.
func (w *world) typed(out, command string) *process {
	w.t.Helper()
	line := regexp.MustCompile(`deploy (--command ` + command + ` --namespace \S+ --deployment-name [a-z0-9-]+)`).FindStringSubmatch(out)
	if line == nil {
		w.t.Fatalf("the output names no command to %s:\n%s", command, out)
	}
	return w.deploy(strings.Fields(line[1])...)
}

// record returns a key of the record's ConfigMap.
func (w *world) record(key string) string {
	w.t.Helper()
	return w.kubectl("get", "configmap", sample.Name+"-rollout", "-o", "jsonpath={.data."+key+"}")
}

// Going back to an earlier image made the Deployment own two equal ReplicaSets,
// and every later release failed (findings A0).
func TestReleasesInAnyOrder(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"0", "1", "10"} {
		t.Run("history limit "+limit, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.kubectl("patch", "deployment", sample.Name, "--type=merge", "-p", `{"spec":{"revisionHistoryLimit":`+limit+`}}`)
			before := w.spec()
			l := w.load(30)
			order := []string{"v2", "v1", "v2", "v3", "v1"}
			if limit != "10" {
				order = order[:3]
			}
			previous := w.image("v1", nil)
			for i, tag := range order {
				image := w.image(tag, nil)
				p := w.deploy("--image", image, "--steps", "50,100", "--step-duration", "2s", "--bake-time", "2s")
				p.ends(0)
				if got := w.live(); got != tag {
					t.Fatalf("version %s answers after the release of %s", got, tag)
				}
				w.plain(before, image)
				if history := w.kubectl("get", "replicasets", "-o", "jsonpath={.items[?(@.spec.replicas==0)].spec.template.spec.containers[0].image}"); limit != "0" && !strings.Contains(history, previous) {
					t.Errorf("%s is not in the history: %s", previous, history)
				}
				previous = image
				if i == 2 {
					w.kubectl("rollout", "restart", "deployment/"+sample.Name)
					w.kubectl("rollout", "status", "deployment/"+sample.Name, "--timeout=2m")
					before = w.spec()
				}
			}
			l.unhurt(t)
		})
	}
}

func TestTheSameImageAgainChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.spec()
	p := w.deploy("--image", w.image("v1", nil))
	out := p.ends(0)
	if got := p.outputs()["status"]; got != "unchanged" {
		t.Errorf("status = %q, want unchanged:\n%s", got, out)
	}
	if p.outputs()["total-requests"] != "0" {
		t.Errorf("it sent requests:\n%s", out)
	}
	if after := w.spec(); after != before {
		t.Errorf("the objects are not as before:\n%s", after)
	}
	if maps := w.kubectl("get", "configmaps,leases", "-o", "name"); strings.Contains(maps, "-rollout") {
		t.Errorf("a run with nothing to do left %s", maps)
	}
}

// A version that breaks only after its promotion was "Promoted" (findings A9).
func TestAVersionThatBreaksWhileItBakesLosesTheTraffic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.spec()
	broken := w.image("breaks-later", map[string]string{"ERROR_RATE": "0.5", "ERRORS_AFTER": "25s"})
	p := w.deploy("--image", broken, "--steps", "100", "--step-duration", "2s", "--bake-time", "60s")
	out := p.ends(4)
	if !strings.Contains(out, "judged on while the old one is warm") || !strings.Contains(out, "routing everything to the previous version") {
		t.Errorf("it did not go back from the bake:\n%s", out)
	}
	if got := p.outputs()["rolled-back"]; got != "true" {
		t.Errorf("rolled-back = %q, want true", got)
	}
	if got := w.live(); got != "v1" {
		t.Errorf("version %s answers, want v1", got)
	}
	w.plain(before, w.image("v1", nil))
}

func TestRollbackWhileItBakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.spec()
	l := w.load(50)
	p := w.deploy("--image", w.image("v2", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "5m")
	p.reaches("judged on while the old one is warm")
	status := w.deploy("--command", "status")
	out := status.ends(0)
	if !strings.Contains(out, "Baking") || status.outputs()["phase"] != "Baking" {
		t.Errorf("the status does not show the phase:\n%s", out)
	}
	back := w.typed(out, "rollback")
	back.ends(0)
	if got := back.outputs()["status"]; got != "rolled-back" {
		t.Errorf("status = %q, want rolled-back", got)
	}
	p.ends(4)
	if got := w.live(); got != "v1" {
		t.Errorf("version %s answers, want v1", got)
	}
	w.plain(before, w.image("v1", nil))
	l.unhurt(t)
}

func TestAWarmVersionAndItsEnds(t *testing.T) {
	t.Parallel()
	warm := func(t *testing.T) (w *world, before, out string) {
		t.Parallel()
		w = newWorld(t)
		before = w.spec()
		out = w.deploy("--image", w.image("v2", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "2s", "--keep-warm", "1h").ends(0)
		return w, before, out
	}
	t.Run("rollback", func(t *testing.T) {
		w, before, out := warm(t)
		l := w.load(50)
		w.typed(out, "rollback").ends(0)
		if got := w.live(); got != "v1" {
			t.Errorf("version %s answers, want v1", got)
		}
		w.plain(before, w.image("v1", nil))
		l.unhurt(t)
	})
	t.Run("promote", func(t *testing.T) {
		w, before, out := warm(t)
		l := w.load(50)
		w.typed(out, "promote").ends(0)
		w.plain(before, w.image("v2", nil))
		l.unhurt(t)
	})
	t.Run("reap", func(t *testing.T) {
		w, before, _ := warm(t)
		l := w.load(50)
		if out := w.deploy("--command", "reap").ends(0); !strings.Contains(out, "0 of 1 recorded releases") {
			t.Errorf("it ended a warm time that is not over:\n%s", out)
		}
		w.expire()
		if out := w.deploy("--command", "reap").ends(0); !strings.Contains(out, "1 of 1 recorded releases") {
			t.Errorf("it did not end the warm time:\n%s", out)
		}
		w.plain(before, w.image("v2", nil))
		l.unhurt(t)
	})
	t.Run("a person routes back", func(t *testing.T) { // findings A2
		w, before, _ := warm(t)
		l := w.load(50)
		w.kubectl("patch", "httproute", sample.Name, "--type=json", "-p",
			`[{"op":"replace","path":"/spec/rules/0/backendRefs/0/weight","value":0},{"op":"replace","path":"/spec/rules/0/backendRefs/1/weight","value":100}]`)
		out := w.deploy("--image", w.image("v1", nil)).ends(0)
		if !strings.Contains(out, "adopting") {
			t.Errorf("the next run does not adopt the route:\n%s", out)
		}
		if got := w.live(); got != "v1" {
			t.Errorf("version %s answers, want v1", got)
		}
		w.plain(before, w.image("v1", nil))
		l.unhurt(t)
	})
	t.Run("a person restarts", func(t *testing.T) { // findings A3
		w, _, _ := warm(t)
		l := w.load(50)
		w.kubectl("rollout", "restart", "deployment/"+sample.Name)
		w.kubectl("rollout", "status", "deployment/"+sample.Name, "--timeout=2m")
		pods := w.kubectl("get", "pods", "-l", "version=stable", "-o", "name")
		w.deploy("--command", "promote").ends(0)
		if after := w.kubectl("get", "pods", "-o", "name", "--field-selector", "status.phase=Running"); !strings.Contains(after, strings.Fields(pods)[0]) {
			t.Errorf("the pods rolled once more: %s, before %s", after, pods)
		}
		w.deploy("--image", w.image("v3", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "0s").ends(0)
		l.unhurt(t)
	})
	t.Run("a person deletes the route", func(t *testing.T) { // findings C2
		w, _, _ := warm(t)
		route := w.kubectl("get", "httproute", sample.Name, "-o", "json")
		w.kubectl("delete", "httproute", sample.Name)
		out := w.deploy("--image", w.image("v3", nil)).ends(1)
		if !strings.Contains(out, "removing the previous version") || !strings.Contains(out, "no HTTPRoute") {
			t.Errorf("it does not clean up and then name the missing route:\n%s", out)
		}
		w.apply(route)
		w.answers(http.StatusOK)
		w.deploy("--image", w.image("v3", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "0s").ends(0)
	})
	t.Run("the next release", func(t *testing.T) {
		w, before, _ := warm(t)
		l := w.load(50)
		w.deploy("--image", w.image("v3", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "0s").ends(0)
		w.plain(before, w.image("v3", nil))
		l.unhurt(t)
	})
	t.Run("release", func(t *testing.T) {
		w, before, _ := warm(t)
		w.deploy("--command", "release").ends(0)
		w.plain(before, w.image("v2", nil))
		if maps := w.kubectl("get", "configmaps,leases", "-o", "name"); strings.Contains(maps, "-rollout") {
			t.Errorf("release left %s", maps)
		}
	})
}

// answers returns once the gateway has answered ten requests in a row with a
// status.
func (w *world) answers(status int) {
	w.t.Helper()
	w.answersAt(w.gateway.URL, w.ns+".example.com", status)
}

// answersAt does the same at another gateway or host.
func (w *world) answersAt(url, host string, status int) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for row := 0; row < 10; {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, url+"/", nil)
		if err != nil {
			w.t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		_ = resp.Body.Close()
		if row++; resp.StatusCode != status {
			row = 0
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the gateway does not answer with status %d alone within a minute", status)
		}
	}
}

// crashed returns once each pod has restarted so many times.
func (w *world) crashed(times int32) {
	w.t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	few := func(p corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].RestartCount < times
	}
	for pods := w.pods(); len(pods) == 0 || slices.ContainsFunc(pods, few); pods = w.pods() {
		if time.Now().After(deadline) {
			w.t.Fatalf("not every pod restarted %d times within 3 minutes", times)
		}
		time.Sleep(time.Second)
	}
}

// expire ends the warm time of the recorded release.
func (w *world) expire() {
	w.t.Helper()
	var record map[string]any
	if err := json.Unmarshal([]byte(w.record(`record\.json`)), &record); err != nil {
		w.t.Fatal(err)
	}
	record["warm_until"] = time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	raw, err := json.Marshal(record)
	if err != nil {
		w.t.Fatal(err)
	}
	patch, err := json.Marshal(map[string]any{"data": map[string]string{"record.json": string(raw)}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.kubectl("patch", "configmap", sample.Name+"-rollout", "--type=merge", "-p", string(patch))
}

// apply creates an object from its JSON, without what the server added.
func (w *world) apply(object string) {
	w.t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(object), &o); err != nil {
		w.t.Fatal(err)
	}
	delete(o, "status")
	meta, _ := o["metadata"].(map[string]any)
	for _, key := range []string{"resourceVersion", "uid", "generation", "creationTimestamp", "managedFields"} {
		delete(meta, key)
	}
	spec, _ := o["spec"].(map[string]any)
	rules, _ := spec["rules"].([]any)
	for _, rule := range rules {
		refs, _ := rule.(map[string]any)["backendRefs"].([]any)
		for i := range refs {
			if ref := refs[i].(map[string]any); ref["name"] == sample.Name+"-canary" {
				rule.(map[string]any)["backendRefs"] = append(refs[:i:i], refs[i+1:]...)
			}
		}
	}
	raw, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	file := w.t.TempDir() + "/object.json"
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.kubectl("apply", "-f", file)
}

func TestAPlannedPauseIsPromotedByTheNamedCommand(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"resume", "promote", "abort"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			before := w.spec()
			l := w.load(50)
			p := w.deploy("--image", w.image("v2", nil), "--steps", "25:pause,100", "--step-duration", "2s", "--bake-time", "2s")
			out := p.ends(0)
			if got := p.outputs()["status"]; got != "paused" {
				t.Errorf("status = %q, want paused", got)
			}
			w.typed(out, command).ends(0)
			want := "v2"
			if command == "abort" {
				want = "v1"
			}
			if got := w.live(); got != want {
				t.Errorf("version %s answers, want %s", got, want)
			}
			w.plain(before, w.image(want, nil))
			l.unhurt(t)
		})
	}
}

func TestSteeringARunningRollout(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (*world, *load, *process) {
		t.Parallel()
		w := newWorld(t)
		l := w.load(50)
		p := w.deploy("--image", w.image("v2", nil), "--steps", "25,50,100", "--step-duration", "5m", "--bake-time", "2s")
		p.reaches(atStep(25))
		return w, l, p
	}
	t.Run("pause", func(t *testing.T) {
		w, l, p := start(t)
		w.deploy("--command", "pause").ends(0)
		p.ends(0)
		if got := p.outputs()["status"]; got != "paused" {
			t.Errorf("status = %q, want paused", got)
		}
		w.typed(p.text(), "abort").ends(0)
		l.unhurt(t)
	})
	t.Run("promote and promote full", func(t *testing.T) {
		w, l, p := start(t)
		w.deploy("--command", "promote").ends(0)
		p.reaches(atStep(50))
		w.deploy("--command", "promote", "--full").ends(0)
		p.ends(0)
		if got := w.live(); got != "v2" {
			t.Errorf("version %s answers, want v2", got)
		}
		l.unhurt(t)
	})
	t.Run("abort", func(t *testing.T) {
		w, l, p := start(t)
		w.deploy("--command", "abort").ends(0)
		p.ends(4)
		if got := w.live(); got != "v1" {
			t.Errorf("version %s answers, want v1", got)
		}
		l.unhurt(t)
	})
	t.Run("nobody drives it", func(t *testing.T) {
		w, l, p := start(t)
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		p.wait()
		if out := w.deploy("--command", "promote", "--full").ends(0); !strings.Contains(out, "Promoted") {
			t.Errorf("it did not go on:\n%s", out)
		}
		if got := w.live(); got != "v2" {
			t.Errorf("version %s answers, want v2", got)
		}
		l.unhurt(t)
	})
}

// A fix must ship when production is broken.
func TestAFixShipsWhenStableIsDown(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]map[string]string{
		"errors":  {"ERROR_RATE": "1"},
		"crashes": {"CRASH_AFTER": "20s"},
		"no-pods": {"CRASH_AFTER": "1ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			down := w.image("down-"+name, env)
			if name == "no-pods" {
				w.kubectl("patch", "deployment", sample.Name, "--type=merge", "-p", `{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}`)
			}
			w.kubectl("set", "image", "deployment/"+sample.Name, fmt.Sprintf("*=%s", down))
			switch name {
			case "no-pods":
				w.crashed(2)
			case "crashes":
				w.settled()
				w.crashed(2)
			default:
				w.settled()
				w.answers(http.StatusInternalServerError) // the gateway follows later than the pods
			}
			fix := w.image("fix", nil)
			if out := w.deploy("--image", fix).ends(1); !strings.Contains(out, "when-stable-is-down: replace") {
				t.Errorf("the refusal does not name the way out:\n%s", out)
			}
			w.deploy("--image", fix, "--when-stable-is-down", "replace", "--step-duration", "3s").ends(0)
			if got := w.live(); got != "fix" {
				t.Errorf("version %s answers, want fix", got)
			}
		})
	}
}

// An abort to a stable version without pods never ended, and no later release
// could start.
func TestOnlyTheCanaryServes(t *testing.T) {
	t.Parallel()
	half := map[string]string{"ERROR_RATE": "0.5", "ERRORS_AFTER": "12s"}
	// dead returns a target whose stable version has no pods that stay ready, and
	// whose canary answers half of all requests.
	dead := func(t *testing.T) *world {
		t.Parallel()
		w := newWorld(t)
		w.kubectl("patch", "deployment", sample.Name, "--type=merge", "-p", `{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}`)
		w.kubectl("set", "image", "deployment/"+sample.Name, "*="+w.image("dead", map[string]string{"CRASH_AFTER": "1ms"}))
		w.crashed(2)
		out := w.deploy("--image", w.image("half-later", half), "--when-stable-is-down", "replace", "--step-duration", "30s").ends(3)
		contains(t, out, "the version to go back to has no ready pods")
		return w
	}
	t.Run("and a fix ships", func(t *testing.T) {
		w := dead(t)
		fix := []string{"--image", w.image("fix", nil), "--step-duration", "3s", "--bake-time", "3s"}
		contains(t, w.deploy(fix...).ends(1), "only the canary", "when-stable-is-down: replace")
		w.deploy(append(fix, "--when-stable-is-down", "replace")...).ends(0)
		if got := w.live(); got != "fix" {
			t.Errorf("version %s answers, want fix", got)
		}
	})
	t.Run("and is kept by the named command", func(t *testing.T) {
		w := dead(t)
		out := w.deploy("--image", w.image("fix", nil)).ends(1)
		w.typed(out, "release").ends(0)
		if got := w.kubectl("get", "deployments", "-o", "jsonpath={.items[*].spec.template.spec.containers[0].image}"); got != w.image("half-later", half) {
			t.Errorf("the deployments have the images %s, want the canary's", got)
		}
	})
}

// A second workload behind the Service would get no traffic (findings A1).
func TestAnotherWorkloadBehindTheServiceIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kubectl("run", "other", "--image="+w.image("v1", nil), "--labels=app="+sample.Name)
	w.kubectl("wait", "--for=condition=Ready", "pod/other", "--timeout=2m")
	before := w.spec()
	out := w.deploy("--image", w.image("v2", nil), "--deployment-name", sample.Name).ends(1)
	if !strings.Contains(out, "also selects 1 pods of pod other") {
		t.Errorf("the output does not name the other workload:\n%s", out)
	}
	if after := w.spec(); after != before {
		t.Errorf("the objects are not as before:\n%s", after)
	}
}

// An autoscaler shrinks the idle version: the one that has the traffic must keep
// its pods (findings A4).
func TestAnAutoscalerDoesNotTakePodsFromWhoHasTheTraffic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kubectl("scale", "deployment", sample.Name, "--replicas=4")
	w.kubectl("rollout", "status", "deployment/"+sample.Name, "--timeout=2m")
	w.kubectl("autoscale", "deployment", sample.Name, "--min=1", "--max=6", "--cpu-percent=80")
	l := w.load(30)
	p := w.deploy("--image", w.image("v2", nil), "--steps", "50,100", "--step-duration", "4s", "--bake-time", "10s")
	p.reaches("judged on while the old one is warm")
	if got := w.kubectl("get", "hpa", sample.Name, "-o", "jsonpath={.spec.minReplicas}"); got != "4" {
		t.Errorf("the autoscaler may shrink to %s pods during the release, want 4", got)
	}
	if got := w.kubectl("get", "deployment", sample.Name, "-o", "jsonpath={.status.readyReplicas}"); got != "4" {
		t.Errorf("%s pods of the promoted version are ready, want 4", got)
	}
	p.ends(0)
	if got := w.kubectl("get", "hpa", sample.Name, "-o", "jsonpath={.spec.minReplicas}/{.metadata.annotations}"); got != "1/" {
		t.Errorf("the autoscaler is left with %s, want its own bound of 1 and no annotation", got)
	}
	l.unhurt(t)
}

// An apply that resets the selector mixes the versions (findings A8).
func TestAResetSelectorIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.deploy("--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "60s")
	p.reaches(atStep(25))
	w.kubectl("patch", "service", sample.Name, "--type=json", "--field-manager=helm", "-p", `[{"op":"remove","path":"/spec/selector/version"}]`)
	out := p.ends(3)
	if !strings.Contains(out, "changed the selector of service") || !strings.Contains(out, "helm") {
		t.Errorf("the output does not name the change:\n%s", out)
	}
	w.typed(out, "abort").ends(0)
	if got := w.live(); got != "v1" {
		t.Errorf("version %s answers, want v1", got)
	}
}
