package deploy

import (
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// bare fails the test unless no record and no lease is left.
func (w *world) bare() {
	w.t.Helper()
	if maps := w.kubectl("get", "configmaps,leases", "-o", "name"); strings.Contains(maps, "-rollout") {
		w.t.Errorf("left: %s", maps)
	}
}

// killed starts a release, kills it as soon as its output matches and returns.
func (w *world) killed(pattern string, args ...string) {
	w.t.Helper()
	p := w.deploy(args...)
	p.reaches(pattern)
	if err := p.cmd.Process.Kill(); err != nil {
		w.t.Fatal(err)
	}
	p.wait()
}

func TestForgetEndsARecord(t *testing.T) {
	t.Parallel()
	t.Run("in a pause", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.spec()
		l := w.load(50)
		w.paused(w.image("v2", nil))
		out := w.command("forget").ends(0)
		contains(t, out, "left in the cluster: deployment/"+sample.Name+"-canary")
		w.bare()
		contains(t, w.typed(out, "release").ends(0), "the release has no record any more")
		l.unhurt(t)
		w.plain(before, w.image("v1", nil))
		w.bare()
	})
	// Every command decoded the record, forget too.
	t.Run("that is unreadable", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.spec()
		w.paused(w.image("v2", nil))
		w.kubectl("patch", "configmap", sample.Name+"-rollout", "--type=merge", "-p", `{"data":{"record.json":"{garbage"}}`)
		for _, command := range []string{"status", "history", "resume", "promote", "abort", "rollback", "release", "reap", "pause"} {
			contains(t, w.deploy("--command", command).ends(1), "decode record.json")
		}
		out := w.deploy("--image", w.image("v3", nil)).ends(1)
		out = w.typed(out, "forget").ends(0)
		w.typed(out, "release").ends(0)
		w.plain(before, w.image("v1", nil))
		w.bare()
	})
}

// A deleted record left a canary, and the next release advised another version
// label.
func TestALostRecordIsMadeFromWhatIsLive(t *testing.T) {
	t.Parallel()
	lose := func(w *world) { w.kubectl("delete", "configmap,lease", sample.Name+"-rollout") }
	t.Run("while the canary has traffic", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.spec()
		l := w.load(50)
		w.paused(w.image("v2", nil))
		lose(w)
		contains(t, w.command("status").ends(0), "no release is recorded", "deployment/"+sample.Name+"-canary")
		out := w.deploy("--image", w.image("v3", nil)).ends(1)
		contains(t, out, "has no record any more")
		if strings.Contains(out, "version-label") {
			t.Errorf("it advises another label:\n%s", out)
		}
		w.typed(out, "release").ends(0)
		w.plain(before, w.image("v1", nil))
		w.deploy("--image", w.image("v3", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "2s").ends(0)
		l.unhurt(t)
		w.plain(before, w.image("v3", nil))
	})
	t.Run("while the previous version is warm", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.spec()
		l := w.load(50)
		w.deploy("--image", w.image("v2", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "2s", "--keep-warm", "1h").ends(0)
		lose(w)
		contains(t, w.command("abort").ends(0), "the release has no record any more")
		l.unhurt(t)
		w.plain(before, w.image("v2", nil))
	})
	t.Run("of nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		contains(t, w.command("release").ends(1), "no release of deployment")
		w.bare()
		contains(t, w.deploy("--command", "status", "--deployment-name", "nope").ends(1), "does not exist")
	})
}

// Nobody told the runs apart when the lease was deleted under one of them: both
// ended with "another run took over".
func TestALeaseThatIsDeletedUnderARun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.load(50)
	first := w.deploy("--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "15s", "--bake-time", "2s")
	first.reaches(atStep(25))
	w.kubectl("delete", "lease", sample.Name+"-rollout")
	second := w.deploy("--image", w.image("v3", nil), "--steps", "100", "--step-duration", "2s", "--bake-time", "2s")
	codes := map[int]int{}
	codes[first.wait()]++
	codes[second.wait()]++
	// Either the first one has its lease again before the second comes, or the second
	// one takes over.
	if codes[0] != 1 {
		t.Errorf("exit statuses %v, want one 0:\n%s\n%s", codes, first.text(), second.text())
	}
	want := map[bool]string{true: "v2", false: "v3"}[first.code == 0]
	if got := w.live(); got != want {
		t.Errorf("version %s answers, want %s", got, want)
	}
	l.unhurt(t)
}

// A command took a dead driver for a live one while the rollout was going back or
// cleaning up.
func TestAKillWhereNoRequestIsTaken(t *testing.T) {
	t.Parallel()
	// dead returns what status shows once the killed run counts as dead.
	dead := func(t *testing.T, w *world) string {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for {
			out := w.command("status").ends(0)
			if strings.Contains(out, "has not renewed its lease") && strings.Contains(out, `"left_by"`) {
				return out
			}
			if time.Now().After(deadline) {
				t.Fatalf("status does not say that the driver is dead:\n%s", out)
			}
		}
	}
	cleaning := []string{"--steps", "100", "--step-duration", "2s", "--bake-time", "2s"}
	t.Run("cleaning, then release", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.spec()
		l := w.load(50)
		w.killed("writing the route as the user wrote it", append([]string{"--image", w.image("v2", nil)}, cleaning...)...)
		w.command("release").ends(0)
		l.unhurt(t)
		w.plain(before, w.image("v2", nil))
		w.bare()
	})
	t.Run("cleaning, then the named command", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.spec()
		l := w.load(50)
		w.killed("writing the route as the user wrote it", append([]string{"--image", w.image("v2", nil)}, cleaning...)...)
		w.typed(dead(t, w), "reap").ends(0)
		l.unhurt(t)
		w.plain(before, w.image("v2", nil))
	})
	t.Run("aborting, then abort", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		before := w.spec()
		l := w.load(50)
		w.paused(w.image("v2", nil))
		w.killed("drain window of the canary's pods", "--command", "abort")
		w.command("abort").ends(0)
		l.unhurt(t)
		w.plain(before, w.image("v1", nil))
	})
	t.Run("aborting, and a live driver", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.paused(w.image("v2", nil))
		first := w.command("abort")
		first.reaches("drain window of the canary's pods")
		contains(t, w.command("release").ends(1), "wait until it ends")
		first.ends(0)
	})
}
