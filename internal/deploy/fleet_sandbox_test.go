package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// api adds a second Deployment to a world's namespace, with its own Service and route.
func (w *world) api() {
	w.t.Helper()
	site := sample.App{Namespace: w.ns, Image: w.image("v1", nil), Replicas: 2, GracePeriod: 5 * time.Second, Host: "api." + w.ns + ".example.com"}
	manifest := strings.ReplaceAll(string(site.Manifest(w.sandbox)), sample.Name, "api")
	if err := w.sandbox.Apply(w.t.Context(), []byte(manifest)); err != nil {
		w.t.Fatal(err)
	}
	w.kubectl("rollout", "status", "deployment/api", "--timeout=60s")
}

// loadOf is traffic to one host.
func (w *world) loadOf(host string, rate int) *load {
	return w.loadAt(w.gateway.URL, host, rate, true)
}

// images fails the test unless the Deployments have these images.
func (w *world) images(want map[string]string) {
	w.t.Helper()
	for name, image := range want {
		if got := w.kubectl("get", "deployment", name, "-o", "jsonpath={.spec.template.spec.containers[0].image}"); got != image {
			w.t.Errorf("deployment %s has the image %s, want %s", name, got, image)
		}
	}
	if left := w.kubectl("get", "deployments,services", "-l", "deploy.candlefish.ai/deployment", "-o", "name"); left != "" {
		w.t.Errorf("left: %s", left)
	}
}

// A memberOutput is an entry of the output members.
type memberOutput struct {
	Name, Status, Phase, Image string
	Failed                     int     `json:"failed_requests"`
	Total                      int     `json:"total_requests"`
	Overhead                   float64 `json:"overhead_seconds"`
	Report                     string
}

// members returns the output members, by name.
func (p *process) members() map[string]memberOutput {
	p.t.Helper()
	var list []memberOutput
	if err := json.Unmarshal([]byte(p.outputs()["members"]), &list); err != nil {
		p.t.Fatalf("output members: %v:\n%s", err, p.text())
	}
	all := map[string]memberOutput{}
	for _, m := range list {
		all[m.Name] = m
	}
	return all
}

// group starts a release of both Deployments of a world.
func (w *world) group(web, api string, args ...string) *process {
	if !slices.Contains(args, "--step-duration") {
		args = append(args, "--step-duration", "2s")
	}
	return w.deploy(append(args, "--deployments", sample.Name+" "+web+" after=api\napi "+api, "--steps", "50,100", "--bake-time", "2s", "--prewarm", "1s")...)
}

// Two Deployments are one release: promoted in their order when both have passed their
// last step; the same again changes nothing; a bad one takes the other back; and one
// whose process was killed is shown by any machine and finished by the next run.
func TestTwoDeploymentsAreOneRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api()
	before := w.spec()
	v1, v2, v3 := w.image("v1", nil), w.image("v2", nil), w.image("v3", nil)
	web, api := w.loadOf(w.ns+".example.com", 150), w.loadOf("api."+w.ns+".example.com", 150)

	out := w.group(v2, v2, "--dry-run").ends(0)
	for _, want := range []string{"[group] 2 members: side by side", "[group] wave 1: api, " + sample.Name, "worst-case duration", "[api] ", v2 + " instead of " + v1} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
	if after := w.spec(); after != before {
		t.Error("the dry run changed something")
	}

	p := w.group(v2, v2)
	out = p.ends(0)
	w.images(map[string]string{sample.Name: v2, "api": v2})
	for name, m := range p.members() {
		if m.Status != "promoted" || m.Failed != 0 || m.Total == 0 || m.Overhead <= 0 || m.Overhead > 60 {
			t.Errorf("member %s: %+v", name, m)
		}
		if _, err := os.Stat(m.Report); err != nil {
			t.Error(err)
		}
	}
	if o := p.outputs(); o["status"] != "promoted" || o["failed-requests"] != "0" || filepath.Base(o["report"]) != "deployment-group-report.json" {
		t.Errorf("outputs %v", o)
	}
	last := max(strings.Index(out, "[api] waiting"), 0)
	order := []string{"[group] start api", "[group] start " + sample.Name, "[group] promote api", "[group] promote " + sample.Name, "[group] release api"}
	for _, line := range order {
		at := strings.Index(out, line)
		if at < 0 || line != order[0] && at < last {
			t.Errorf("%q comes at %d, after %d:\n%s", line, at, last, out)
		}
		last = at
	}

	p = w.group(v2, v2)
	p.ends(0)
	if o := p.outputs(); o["status"] != "unchanged" {
		t.Errorf("the same again: %v", o)
	}

	p = w.group(v3, w.image("fleet-broken", map[string]string{"ERROR_RATE": "0.3"}))
	p.ends(4)
	w.images(map[string]string{sample.Name: v2, "api": v2})
	if m := p.members(); m[sample.Name].Failed != 0 || m["api"].Status != "aborted" || m[sample.Name].Status != "aborted" {
		t.Errorf("members after a bad one: %+v", m)
	}
	api.stop() // the bad version answered a part of it

	w.killedGroup(v3)
	web.unhurt(t)
}

// killedGroup kills a release in order between the promotions, and lets others end it.
func (w *world) killedGroup(image string) {
	w.t.Helper()
	order := []string{"--order", "in-order", "--step-duration", "3s"}
	p := w.group(image, image, order...)
	p.reaches(`\[group\] start ` + sample.Name)
	p.reaches(`\[` + sample.Name + `\] .*dwell at 50 %`)
	_ = p.cmd.Process.Kill()
	<-p.done

	out := w.deploy("--command", "status", "--deployment-name", "api").ends(0)
	for _, want := range []string{"[group] api: Warm, Baking (kept)", "[group] " + sample.Name + ": Left, Progressing ("} {
		if !strings.Contains(out, want) {
			w.t.Errorf("the status lacks %q:\n%s", want, out)
		}
	}
	p = w.group(image, image, order...)
	out = p.ends(0)
	if !strings.Contains(out, "[group] going on with the group that run") {
		w.t.Errorf("the next run does not say that it goes on:\n%s", out)
	}
	w.images(map[string]string{sample.Name: image, "api": image})
	for name, m := range p.members() {
		if m.Status != "promoted" || m.Failed != 0 {
			w.t.Errorf("member %s: %+v", name, m)
		}
	}

	// The same death, and a person who goes back.
	next := w.image("v4", nil)
	p = w.group(next, next, order...)
	p.reaches(`\[group\] start ` + sample.Name)
	_ = p.cmd.Process.Kill()
	<-p.done
	out = w.deploy("--command", "status", "--deployment-name", sample.Name).text()
	p = w.deploy("--command", "rollback", "--deployment-name", "api")
	p.ends(0)
	w.images(map[string]string{sample.Name: image, "api": image})
	if o := p.outputs(); o["status"] != "rolled-back" || o["failed-requests"] != "0" {
		w.t.Errorf("outputs %v\n%s", o, out)
	}
	if slices.ContainsFunc(w.pods(), func(pod corev1.Pod) bool { return pod.Labels["version"] != "" }) {
		w.t.Error("a pod has a version label")
	}
}

// secondCluster starts another control plane beside the shared one, with a website of
// version 1 in a namespace of the same name.
func (w *world) secondCluster() *world {
	w.t.Helper()
	dir, err := os.MkdirTemp("", "sb")
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := sandbox.Up(w.t.Context(), sandbox.Options{Dir: dir, Ephemeral: true, Progress: os.Stderr})
	if err != nil {
		w.t.Fatalf("start a second sandbox: %v", err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Errorf("give up the second sandbox: %v", err)
		}
	})
	other := &world{t: w.t, sandbox: s, gateway: s.Gateway, ns: w.ns}
	if err := sample.Deploy(w.t.Context(), s, sample.App{Namespace: w.ns, Image: other.image("v1", nil), Replicas: 2, GracePeriod: 5 * time.Second}); err != nil {
		w.t.Fatal(err)
	}
	return other
}

// Two clusters are two waves: a bad second wave takes the first one back, a good one
// waits for the bake of the first, and a person goes back from another machine while it
// does.
func TestWavesOfTwoClusters(t *testing.T) {
	t.Parallel()
	eu := newWorld(t)
	us := eu.secondCluster()
	loads := []*load{eu.load(50), us.load(50)}
	clusters := func(euTag, usImage string) []string {
		file := filepath.Join(t.TempDir(), "clusters.yaml")
		text := fmt.Sprintf("- name: eu-1\n  kubeconfig: %s\n  image: %s\n- - name: us-1\n    kubeconfig: %s\n    image: %s\n", eu.sandbox.Kubeconfig, eu.image(euTag, nil), us.sandbox.Kubeconfig, usImage)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return []string{"--clusters", file, "--deployment-name", sample.Name, "--steps", "50,100", "--step-duration", "2s", "--bake-time", "2s", "--prewarm", "1s"}
	}
	live := func(want string) {
		t.Helper()
		if a, b := eu.live(), us.live(); a != want || b != want {
			t.Errorf("eu-1 answers as %s, us-1 as %s, want %s", a, b, want)
		}
	}

	// The second wave is refused by its own pods: nothing of it gets traffic.
	p := eu.deploy(append(clusters("v2", us.sandbox.Registry+"/website:none"), "--progress-deadline", "5s", "--check-image=false")...)
	out := p.ends(4)
	live("v1")
	if m := p.members(); m["eu-1"].Status != "rolled-back" || m["us-1"].Status != "aborted" || m["eu-1"].Failed != 0 {
		t.Errorf("members %+v\n%s", m, out)
	}

	// A person goes back between the waves.
	p = eu.deploy(append(clusters("v2", us.image("v2", nil)), "--wave-bake-time", "1h")...)
	p.reaches(`\[group\] waiting for the bake time before wave 2`)
	status := eu.deploy("--command", "status", "--deployment-name", sample.Name).ends(0)
	if !strings.Contains(status, "Baking (kept)") {
		t.Errorf("the status between the waves:\n%s", status)
	}
	back := eu.deploy(append(clusters("v2", us.image("v2", nil)), "--command", "rollback")...)
	back.ends(0)
	p.ends(4)
	live("v1")
	if o := p.outputs(); o["failed-requests"] != "0" {
		t.Errorf("outputs %v", o)
	}

	p = eu.deploy(append(clusters("v2", us.image("v2", nil)), "--wave-bake-time", "1s")...)
	p.ends(0)
	live("v2")
	if o := p.outputs(); o["status"] != "promoted" || o["failed-requests"] != "0" {
		t.Errorf("outputs %v\n%s", o, p.text())
	}
	for _, l := range loads {
		l.unhurt(t)
	}
}
