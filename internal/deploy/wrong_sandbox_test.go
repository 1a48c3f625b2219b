package deploy

import (
	"strings"
	"testing"
)

// A canary whose answers are lost, or are no errors and still wrong, is put back at its
// first weight, and stable is not blamed.
func TestAVersionThatAnswersWrongIsPutBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
	}{
		"a tenth is lost":           {map[string]string{"LOST_RATE": "0.1"}, nil},
		"redirects to a login page": {map[string]string{"REDIRECT": "/login"}, nil},
		"answers empty":             {map[string]string{"EMPTY": "true"}, nil},
		"another text":              {nil, []string{"--probe-paths", "/ 2\n/version", "--probe-expect", "/version body /^v1/\n/ body /Candlefish/"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			before := w.spec()
			p := w.deploy(append([]string{"--image", w.image("wrong-"+strings.Fields(name)[1], c.env), "--step-duration", "60s"}, c.args...)...)
			out := p.ends(4)
			r := p.report()
			if r.Weight != 0 || len(r.StepRecords) == 0 || r.StepRecords[0].Weight != 5 || len(r.Weights) != 2 {
				t.Errorf("it was not put back at 5 %%: weights %v:\n%s", r.Weights, out)
			}
			if tests := r.TestRequests; tests == nil || tests.Canary.Total == 0 || tests.Stable.Failed != 0 {
				t.Errorf("test requests %+v, want the canary's alone:\n%s", tests, out)
			}
			if got := w.live(); got != "v1" {
				t.Errorf("version %s answers after the abort", got)
			}
			if after := w.spec(); after != before {
				t.Errorf("the objects are not as before:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// A healthy release that is cold at first is warmed without a failed request, again
// after an abort, and again after itself.
func TestAColdVersionIsWarmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.load(50)
	cold := map[string]string{"COLD": "400ms"}
	for _, c := range []struct {
		tag  string
		env  map[string]string
		ends int
	}{{"cold-2", cold, 0}, {"bad-3", map[string]string{"ERROR_RATE": "0.5", "COLD": "400ms"}, 4}, {"cold-4", cold, 0}} {
		if c.ends != 0 {
			l.unhurt(t) // its users' requests fail by right
		}
		p := w.deploy("--image", w.image(c.tag, c.env))
		out := p.ends(c.ends)
		r := p.report()
		if r.Prewarm == nil || r.Prewarm.Requests < 40 || !strings.Contains(out, "prewarmed for") {
			t.Fatalf("%s: prewarm %+v:\n%s", c.tag, r.Prewarm, out)
		}
		if routes := strings.Fields(w.kubectl("get", "httproutes", "-o", "name")); len(routes) != 1 {
			t.Errorf("%s: %q remain", c.tag, routes)
		}
		if c.ends != 0 {
			l = w.load(50)
			continue
		}
		if r.Prewarm.Failed != 0 {
			t.Errorf("%s: prewarm %+v", c.tag, r.Prewarm)
		}
		if r.FailedRequests != 0 || r.TestRequests == nil || r.TestRequests.Canary.Failed+r.TestRequests.Stable.Failed != 0 {
			t.Errorf("%s: %d failed, test requests %+v:\n%s", c.tag, r.FailedRequests, r.TestRequests, out)
		}
		if r.TestRequests.Canary.Total == 0 || r.TestRequests.Stable.Total == 0 {
			t.Errorf("%s: test requests went to one version only: %+v", c.tag, r.TestRequests)
		}
	}
	l.unhurt(t)
}

// What stable itself misses changes nothing.
func TestAnExpectationThatStableMisses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.spec()
	out := w.deploy("--image", w.image("v2", nil), "--probe-expect", "/ body /No such text/\n/ status 200").ends(1)
	if !strings.Contains(out, `"/ body /No such text/": stable itself misses it`) || strings.Contains(out, `"/ status 200"`) {
		t.Errorf("the output is:\n%s", out)
	}
	if after := w.spec(); after != before {
		t.Errorf("the objects are not as before:\n%s\nbefore:\n%s", after, before)
	}
}
