package deploy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// set gives the Deployment an image as a person does, and waits for its pods.
func (w *world) set(image string) {
	w.t.Helper()
	w.kubectl("set", "image", "deployment/"+sample.Name, "*="+image)
	w.settled()
}

// settled waits for the end of a rolling update.
func (w *world) settled() {
	w.t.Helper()
	w.kubectl("rollout", "status", "deployment/"+sample.Name, "--timeout=2m")
}

// paused releases an image up to a planned pause at 25 %.
func (w *world) paused(image string) {
	w.t.Helper()
	out := w.deploy("--image", image, "--steps", "25:pause,100", "--step-duration", "2s", "--bake-time", "2s", "--propagation-timeout", "20s").ends(0)
	if !strings.Contains(out, "paused at 25 % as planned") {
		w.t.Fatalf("it is not paused:\n%s", out)
	}
}

// command runs a command on the sample.
func (w *world) command(name string, args ...string) *process {
	w.t.Helper()
	return w.deploy(append([]string{"--command", name, "--deployment-name", sample.Name, "--propagation-timeout", "20s"}, args...)...)
}

// contains fails the test unless the text has every part.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}

// kubectl rollout undo starts pods from an earlier revision, which had no version
// label: the Service, which asks for it, lost all its endpoints.
func TestAnUndoWhileTwoVersionsHavePods(t *testing.T) {
	t.Parallel()
	// history returns a Deployment that ran an earlier version before v1.
	history := func(t *testing.T, earlier string) (*world, string) {
		t.Parallel()
		w := newWorld(t)
		w.set(w.image(earlier, nil))
		w.set(w.image("v1", nil))
		return w, w.spec()
	}
	undo := func(w *world) {
		w.kubectl("rollout", "undo", "deployment/"+sample.Name)
		w.settled()
	}
	t.Run("in a pause", func(t *testing.T) {
		w, before := history(t, "v0")
		l := w.load(50)
		w.paused(w.image("v2", nil))
		undo(w)
		out := w.command("resume").ends(3)
		contains(t, out, "changed the pod template of deployment")
		w.typed(out, "abort").ends(0)
		if got := w.live(); got != "v0" {
			t.Errorf("version %s answers, want v0", got)
		}
		l.unhurt(t)
		w.plain(before, w.image("v0", nil))
		if labels := w.kubectl("get", "replicasets", "-o", "jsonpath={.items[*].spec.template.metadata.labels.version}"); labels != "" {
			t.Errorf("the history has the version label: %q", labels)
		}
	})
	t.Run("to the image of the canary", func(t *testing.T) {
		w, before := history(t, "v2")
		l := w.load(50)
		w.paused(w.image("v2", nil))
		undo(w)
		out := w.command("abort").ends(0)
		contains(t, out, "has the image "+w.image("v2", nil)+" since the release began")
		l.unhurt(t)
		w.plain(before, w.image("v2", nil))
	})
	t.Run("while it rises", func(t *testing.T) {
		w, before := history(t, "v0")
		l := w.load(50)
		p := w.deploy("--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "60s", "--propagation-timeout", "20s")
		p.reaches(atStep(25))
		undo(w)
		out := p.ends(3)
		contains(t, out, "changed the pod template of deployment")
		w.typed(out, "abort").ends(0)
		l.unhurt(t)
		w.plain(before, w.image("v0", nil))
	})
	t.Run("while it bakes", func(t *testing.T) {
		w, before := history(t, "v0")
		l := w.load(50)
		p := w.deploy("--image", w.image("v2", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "5m")
		p.reaches("judged on while the old one is warm")
		undo(w)
		out := p.ends(3)
		contains(t, out, "gave deployment "+sample.Name+" the image")
		out = w.typed(out, "promote").ends(0)
		contains(t, out, "serves "+w.image("v0", nil))
		l.unhurt(t)
		w.plain(before, w.image("v0", nil))
	})
	t.Run("while the previous version is warm", func(t *testing.T) {
		w, before := history(t, "v0")
		l := w.load(50)
		w.deploy("--image", w.image("v2", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "2s", "--keep-warm", "1h").ends(0)
		undo(w)
		contains(t, w.command("status").ends(0), w.image("v0", nil))
		w.deploy("--image", w.image("v3", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "2s").ends(0)
		l.unhurt(t)
		w.plain(before, w.image("v3", nil))
	})
	t.Run("and back by rollback", func(t *testing.T) {
		w, before := history(t, "v0")
		l := w.load(50)
		out := w.deploy("--image", w.image("v2", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "2s", "--keep-warm", "1h").ends(0)
		undo(w)
		w.typed(out, "rollback").ends(0)
		if got := w.live(); got != "v1" {
			t.Errorf("version %s answers, want v1", got)
		}
		l.unhurt(t)
		w.plain(before, w.image("v1", nil))
	})
}

// A manifest that is put back whole has no version label: the Service selects
// nothing until somebody ends the release.
func TestAReplacedDeploymentServesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	manifest := w.kubectl("get", "deployment", sample.Name, "-o", "json")
	w.deploy("--image", w.image("v2", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "2s", "--keep-warm", "1h").ends(0)
	w.kubectl("delete", "deployment", sample.Name, "--cascade=foreground")
	w.apply(manifest)
	w.settled()
	contains(t, w.command("status").ends(0), "service", "0 ready endpoints", `"ready_endpoints":{"`+sample.Name+`":0}`)
	w.command("promote").ends(0)
	w.answers(http.StatusOK)
	if got := w.live(); got != "v1" {
		t.Errorf("version %s answers, want v1", got)
	}
}

// resume took whatever it found as its own work, and wrote over it.
func TestResumeOverwritesNothing(t *testing.T) {
	t.Parallel()
	env := func(w *world) string {
		return w.kubectl("get", "deployment", sample.Name, "-o", `jsonpath={.spec.template.spec.containers[0].env[?(@.name=="FOO")].value}`)
	}
	t.Run("a setting", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		l := w.load(50)
		w.paused(w.image("v2", nil))
		w.kubectl("set", "env", "deployment/"+sample.Name, "FOO=bar")
		w.settled()
		for range 2 { // the second time, too
			contains(t, w.command("resume").ends(3), "conflicting change", "kubectl-set", "changed the pod template of deployment")
		}
		out := w.command("promote", "--full").ends(3)
		w.typed(out, "abort").ends(0)
		if got := env(w); got != "bar" {
			t.Errorf("FOO = %q after the abort, want bar", got)
		}
		l.unhurt(t)
	})
	t.Run("a setting that its writer takes back", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		l := w.load(50)
		p := w.deploy("--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "10s", "--bake-time", "2s")
		p.reaches(atStep(25))
		w.kubectl("set", "env", "deployment/"+sample.Name, "FOO=bar")
		out := p.ends(3)
		w.settled()
		w.kubectl("set", "env", "deployment/"+sample.Name, "FOO-")
		w.settled()
		w.typed(out, "resume").ends(0)
		if got := w.live(); got != "v2" {
			t.Errorf("version %s answers, want v2", got)
		}
		l.unhurt(t)
	})
	t.Run("a restart", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.paused(w.image("v2", nil))
		w.kubectl("rollout", "restart", "deployment/"+sample.Name)
		w.settled()
		w.typed(w.command("resume").ends(3), "abort").ends(0)
		if at := w.kubectl("get", "deployment", sample.Name, "-o", "jsonpath={.spec.template.metadata.annotations}"); !strings.Contains(at, "restartedAt") {
			t.Errorf("the restart is gone: %s", at)
		}
	})
	t.Run("weights", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.paused(w.image("v2", nil))
		w.kubectl("patch", "httproute", sample.Name, "--type=json", "--field-manager=helm", "-p",
			`[{"op":"replace","path":"/spec/rules/0/backendRefs/1/weight","value":60}]`)
		out := w.command("resume").ends(3)
		contains(t, out, `"helm"`, "changed the backends", "Paused at weight 25")
		w.typed(out, "abort").ends(0)
		if got := w.live(); got != "v1" {
			t.Errorf("version %s answers, want v1", got)
		}
	})
	t.Run("a scale to nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.paused(w.image("v2", nil))
		w.kubectl("scale", "deployment", sample.Name, "--replicas=0")
		out := w.command("resume").ends(3)
		contains(t, out, "was scaled to 0")
		w.kubectl("scale", "deployment", sample.Name, "--replicas=2")
		w.settled()
		w.answers(http.StatusOK) // the gateway follows later than the pods
		w.typed(out, "resume").ends(0)
	})
	t.Run("a selector that is reset is narrowed again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.spec()
		l := w.load(50)
		w.paused(w.image("v2", nil))
		w.kubectl("patch", "service", sample.Name, "--type=json", "-p", `[{"op":"remove","path":"/spec/selector/version"}]`)
		w.command("resume").ends(0)
		if got := w.live(); got != "v2" {
			t.Errorf("version %s answers, want v2", got)
		}
		l.unhurt(t)
		w.plain(before, w.image("v2", nil))
	})
	t.Run("a selector", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.kubectl("patch", "deployment", sample.Name, "--type=merge", "-p", `{"spec":{"template":{"metadata":{"labels":{"tier":"web"}}}}}`)
		w.settled()
		w.paused(w.image("v2", nil))
		w.kubectl("patch", "service", sample.Name, "--type=merge", "--field-manager=helm", "-p", `{"spec":{"selector":{"tier":"web"}}}`)
		out := w.command("resume").ends(3)
		contains(t, out, `"helm"`, "changed the selector of service")
		w.typed(out, "abort").ends(0)
		if selector := w.kubectl("get", "service", sample.Name, "-o", "jsonpath={.spec.selector}"); !strings.Contains(selector, "tier") || strings.Contains(selector, "version") {
			t.Errorf("the selector is %s, want the person's", selector)
		}
	})
}

// An abort without a route said that stable is serving, while all requests
// failed.
func TestARouteThatIsDeletedInAPause(t *testing.T) {
	t.Parallel()
	t.Run("resume", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		route := w.kubectl("get", "httproute", sample.Name, "-o", "json")
		w.paused(w.image("v2", nil))
		w.kubectl("delete", "httproute", sample.Name)
		out := w.command("resume").ends(3)
		contains(t, out, "httproute "+sample.Name+" was deleted")
		w.apply(route)
		w.answers(http.StatusOK)
		contains(t, w.typed(out, "resume").ends(0), "Promoted")
		if got := w.live(); got != "v2" {
			t.Errorf("version %s answers, want v2", got)
		}
	})
	t.Run("abort", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		route := w.kubectl("get", "httproute", sample.Name, "-o", "json")
		w.paused(w.image("v2", nil))
		w.kubectl("delete", "httproute", sample.Name)
		out := w.command("abort").ends(5)
		contains(t, out, "requests to the entry point failed", "create httproute/"+sample.Name+" again")
		if strings.Contains(out, "stable is serving") {
			t.Errorf("it claims that stable is serving:\n%s", out)
		}
		w.apply(route)
		w.answers(http.StatusOK)
		w.plain(w.spec(), w.image("v1", nil))
		if left := w.kubectl("get", "deployments,services", "-o", "name"); strings.Contains(left, "-canary") {
			t.Errorf("the abort left %s", left)
		}
	})
}

func TestACanaryThatSomebodyDeletes(t *testing.T) {
	t.Parallel()
	canary := sample.Name + "-canary"
	t.Run("in a pause, comes back", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.spec()
		w.paused(w.image("v2", nil))
		w.kubectl("delete", "deployment", canary, "--cascade=foreground") // its ReplicaSet's name comes back
		w.command("promote", "--full").ends(0)
		if got := w.live(); got != "v2" {
			t.Errorf("version %s answers, want v2", got)
		}
		w.plain(before, w.image("v2", nil))
	})
	t.Run("while it is judged, loses its traffic", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.spec()
		p := w.deploy("--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "60s")
		p.reaches(atStep(25))
		w.kubectl("delete", "deployment", canary)
		p.ends(4)
		if got := w.live(); got != "v1" {
			t.Errorf("version %s answers, want v1", got)
		}
		w.plain(before, w.image("v1", nil))
	})
	t.Run("while it is warm, is gone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.spec()
		l := w.load(50)
		w.deploy("--image", w.image("v2", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "2s", "--keep-warm", "1h").ends(0)
		w.kubectl("delete", "deployment", canary, "--cascade=foreground")
		out := w.command("abort").ends(1)
		contains(t, w.typed(out, "rollback").ends(0), "the previous version is no longer warm")
		if got := w.live(); got != "v1" {
			t.Errorf("version %s answers, want v1", got)
		}
		w.command("promote").ends(0) // the rollback keeps the other one warm, like the release
		l.unhurt(t)
		w.plain(before, w.image("v1", nil))
	})
}
