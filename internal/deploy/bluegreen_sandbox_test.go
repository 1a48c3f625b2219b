package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// blueGreen starts a blue-green release with short times. Later args win.
func (w *world) blueGreen(args ...string) *process {
	return w.deploy(append(args, "--strategy", "blue-green", "--warm-up-time", "1s", "--step-duration", "2s")...)
}

// A colouredReport is what a blue-green release writes for tools that know the seed's
// fields.
type colouredReport struct {
	Status          string  `json:"status"`
	Strategy        string  `json:"deployment_strategy"`
	Image           string  `json:"image"`
	PreviousActive  string  `json:"previous_active"`
	NewActive       *string `json:"new_active"`
	AutoPromotion   *bool   `json:"auto_promotion"`
	ValidationTests *bool   `json:"validation_tests"`
	Duration        *int    `json:"deployment_duration"`
	CompletedAt     string  `json:"completed_at"`
	Active          string  `json:"active"`
	SmokeTests      []struct {
		Place, Test, Failure string
		Status               int
	} `json:"smoke_tests"`
}

func (p *process) coloured() colouredReport {
	p.t.Helper()
	raw, err := os.ReadFile(filepath.Join(p.dir, view.BlueGreenFile))
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.text())
	}
	var r colouredReport
	if err := json.Unmarshal(raw, &r); err != nil {
		p.t.Fatal(err)
	}
	if r.Strategy != "blue-green" || r.AutoPromotion == nil || r.ValidationTests == nil || r.Duration == nil || r.CompletedAt == "" {
		p.t.Errorf("the report lacks a field: %s", raw)
	}
	return r
}

// switched checks the report of a release that went well.
func (r colouredReport) switched(t *testing.T, previous, active string) {
	t.Helper()
	if r.Status != "success" || r.PreviousActive != previous || r.NewActive == nil || *r.NewActive != active || r.Active != active {
		t.Errorf("report %+v, want success from %s to %s", r, previous, active)
	}
}

// A, B and A again, while users send 100 requests a second. B starts slowly.
func TestBlueGreenThreeInARow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, a, b := w.spec(), w.image("v1", nil), w.image("late", map[string]string{"START_DELAY": "10s"})
	l := w.load(100)
	colours := []string{"blue", "green", "blue", "green"}
	for n, image := range []string{b, a, b} {
		p := w.blueGreen("--image", image, "--keep-blue-time", "3s")
		p.reaches("starting the smoke tests")
		if pods := strings.Fields(w.kubectl("get", "pods", "-l", "version=canary", "-o", "name")); len(pods) != 2 {
			t.Errorf("release %d: %q have the label version=canary, want as many as serve", n+1, pods)
		}
		p.ends(0)
		r := p.coloured()
		r.switched(t, colours[n], colours[n+1])
		places := map[string]bool{}
		for _, s := range r.SmokeTests {
			places[s.Place] = true
			if s.Failure != "" || s.Status != 200 {
				t.Errorf("release %d: %+v", n+1, s)
			}
		}
		if len(places) != 3 || !places["the entry point"] {
			t.Errorf("release %d: the smoke tests went to %v, want two pods and the entry point", n+1, places)
		}
		if out := p.outputs(); out["failed-requests"] != "0" || out["status"] != "promoted" {
			t.Errorf("release %d: outputs %v", n+1, out)
		}
	}
	l.unhurt(t)
	if got := w.live(); got != "late" {
		t.Errorf("version %s answers after the third release", got)
	}
	after := strings.ReplaceAll(w.spec(), b, a)
	revision := regexp.MustCompile(`"deployment.kubernetes.io/revision": "\d+"`)
	if revision.ReplaceAllString(after, "") != revision.ReplaceAllString(before, "") {
		t.Errorf("the objects are not as the user wrote them:\n%s\nbefore:\n%s", after, before)
	}
}

// A version that fails its tests never gets a request of a user. A good one waits for
// a person; another process switches, and goes back by one write.
func TestBlueGreenByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.spec()
	l := w.load(100)
	bad := w.blueGreen("--image", w.image("broken-green", map[string]string{"ERROR_RATE": "1"}))
	if out := bad.ends(4); !strings.Contains(out, `smoke test "GET /" at `) || !strings.Contains(out, "its status is 500, want status 200") {
		t.Errorf("the output does not name the test that failed:\n%s", out)
	}
	if r := bad.coloured(); r.Status != "aborted" || r.NewActive != nil || r.Active != "blue" {
		t.Errorf("report %+v", r)
	}
	if after := w.spec(); after != before {
		t.Errorf("the objects are not as before:\n%s\nbefore:\n%s", after, before)
	}

	p := w.blueGreen("--image", w.image("v2", nil), "--manual-promotion", "--bake-time", "3s", "--keep-blue-time", "10m")
	out := p.ends(0)
	if r := p.coloured(); r.Status != "paused" || r.NewActive != nil || r.Active != "blue" || *r.AutoPromotion {
		t.Errorf("report %+v", r)
	}
	if got := p.outputs()["status"]; got != "paused" {
		t.Errorf("status = %q, want paused", got)
	}
	if weights := w.kubectl("get", "httproute", sample.Name, "-o", "jsonpath={.spec.rules[0].backendRefs[*].name}"); weights != sample.Name {
		t.Errorf("the route names %q before the switch", weights)
	}
	status := w.deploy("--command", "status").ends(0)
	if !strings.Contains(status, "blue serves, the new version is green") {
		t.Errorf("the status lacks the colours:\n%s", status)
	}
	typed := regexp.MustCompile(`to switch, type: deploy (.*?);`).FindStringSubmatch(out)
	if typed == nil {
		t.Fatalf("the output does not say what to type:\n%s", out)
	}
	w.kubectl("scale", "deployment", sample.Name, "--replicas=3") // as an autoscaler does, while it waits
	promote := w.deploy(strings.Fields(typed[1])...)
	promote.ends(0)
	r := promote.coloured()
	r.switched(t, "blue", "green")
	places := map[string]bool{}
	for _, s := range r.SmokeTests {
		places[s.Place] = true
	}
	if len(places) != 4 {
		t.Errorf("the smoke tests went to %v, want three pods and the entry point", places)
	}
	if ready := w.kubectl("get", "deployment", sample.Name, "-o", "jsonpath={.status.readyReplicas}"); ready != "3" {
		t.Errorf("%s pods serve after the switch, want as many as before", ready)
	}
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers after the switch", got)
	}
	for _, version := range []string{"broken-green", "v2"} {
		if l.seen(version) != (version == "v2") {
			t.Errorf("users saw %s: %t", version, l.seen(version))
		}
	}
	back := w.deploy("--command", "rollback")
	back.ends(0)
	if r := back.coloured(); r.Status != "rolled-back" || r.NewActive != nil || r.Active != "blue" {
		t.Errorf("report %+v", r)
	}
	if got := w.live(); got != "v1" {
		t.Errorf("version %s answers after the rollback", got)
	}
	l.unhurt(t)
	if after := w.spec(); !strings.Contains(after, w.image("v1", nil)) || strings.Contains(after, "-canary") {
		t.Errorf("the rollback left\n%s", after)
	}
}
