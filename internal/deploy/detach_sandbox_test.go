package deploy

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/image"
)

// detached returns the flags of a release that runs as a Job, whose image and
// ServiceAccount it makes.
func (w *world) detached() []string {
	w.t.Helper()
	program, err := w.sandbox.Program(w.t.Context(), "./actions/deploy")
	if err != nil {
		w.t.Fatal(err)
	}
	img, err := image.New("deploy", program, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	ref := fmt.Sprintf("%s/deploy:%x", w.sandbox.Registry, sum[:8])
	if err := image.PushOnce(w.t.Context(), ref, img); err != nil {
		w.t.Fatal(err)
	}
	dir := w.t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
		return path
	}
	w.kubectl("apply", "-f", write("rbac.yaml", RBAC(w.ns, "candlefish-deploy")))
	// The sandbox's gateway listens on the node's loopback address.
	return []string{"--run-in", "cluster", "--run-image", ref, "--pod-patch", write("pod.yaml", "hostNetwork: true\n")}
}

func (w *world) jobPod() string {
	w.t.Helper()
	return strings.TrimSpace(w.kubectl("get", "pods", "-l", "batch.kubernetes.io/job-name=candlefish-website-rollout-job", "-o", "name"))
}

func TestADetachedRunOutlivesWhatWatchesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.spec()
	l := w.load(30)
	args := append(w.detached(), "--image", w.image("v2", nil), "--steps", "25,50,100", "--step-duration", "15s", "--bake-time", "5s")
	p := w.deploy(args...)
	p.reaches(atStep(25))
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait()
	status := w.deploy("--command", "status").ends(0)
	if !strings.Contains(status, "Progressing") || !strings.Contains(status, "driven by") {
		t.Errorf("the status does not show the run:\n%s", status)
	}
	pod := w.jobPod()
	w.kubectl("delete", pod, "--wait=false")
	again := w.deploy("--attach")
	again.reaches("going on with this run's rollout")
	out := again.ends(0)
	if got := again.outputs()["status"]; got != "promoted" {
		t.Errorf("status = %q, want promoted:\n%s", got, out)
	}
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers, want v2", got)
	}
	w.kubectl("delete", "job", "candlefish-website-rollout-job")
	w.kubectl("wait", "--for=delete", "pod", "-l", "batch.kubernetes.io/job-name=candlefish-website-rollout-job", "--timeout=1m")
	w.plain(before, w.image("v2", nil))
	l.unhurt(t)
}

func TestASignalToTheWatcherLeavesOrAborts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	args := append(w.detached(), "--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "5m")
	started := w.deploy(append(args, "--no-wait")...)
	started.ends(0)
	if got := started.outputs()["status"]; got != "started" {
		t.Errorf("status = %q, want started", got)
	}
	leaves := w.deploy("--attach")
	leaves.reaches(atStep(25))
	if err := leaves.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if out := leaves.ends(1); !strings.Contains(out, "goes on in the cluster") {
		t.Errorf("it does not say that the release goes on:\n%s", out)
	}
	aborts := w.deploy("--attach", "--when-cancelled", "abort")
	aborts.reaches("answers to show a share of 25 %")
	at := time.Now()
	if err := aborts.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if out := aborts.ends(1); !strings.Contains(out, "took the request to abort") {
		t.Errorf("it does not say that the release aborts:\n%s", out)
	}
	t.Logf("the watcher ended %s after its signal", time.Since(at))
	last := w.deploy("--attach")
	last.ends(4)
	if got := w.live(); got != "v1" {
		t.Errorf("version %s answers, want v1", got)
	}
}
