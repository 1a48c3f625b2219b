package deploy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// byService removes the sample's route and opens its Service by a node port. It returns
// the URL.
func (w *world) byService() string {
	w.t.Helper()
	w.kubectl("delete", "httproute", sample.Name)
	w.kubectl("patch", "service", sample.Name, "-p", `{"spec":{"type":"NodePort"}}`)
	var service corev1.Service
	if err := json.Unmarshal([]byte(w.kubectl("get", "service", sample.Name, "-o", "json")), &service); err != nil {
		w.t.Fatal(err)
	}
	node := strings.TrimSpace(w.kubectl("get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`))
	return fmt.Sprintf("http://%s:%d", node, service.Spec.Ports[0].NodePort)
}

// loadAt is a load on any URL; with keep, on persistent connections.
func (w *world) loadAt(url, host string, rate int, keep bool) *load {
	l := &load{done: make(chan struct{}), answers: map[string]int{}}
	attacker := vegeta.NewAttacker(vegeta.Timeout(10*time.Second), vegeta.KeepAlive(keep), vegeta.MaxWorkers(200), vegeta.Connections(50))
	header := http.Header{}
	if host != "" {
		header.Set("Host", host)
	}
	results := attacker.Attack(vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: url + "/", Header: header}), vegeta.ConstantPacer{Freq: rate, Per: time.Second}, 10*time.Minute, "load")
	l.stop = sync.OnceFunc(func() { attacker.Stop(); <-l.done })
	w.t.Cleanup(l.stop)
	go func() {
		defer close(l.done)
		for r := range results {
			l.total++
			l.answers[r.Headers.Get("X-Version")]++
			if r.Code != http.StatusOK {
				l.failed = append(l.failed, fmt.Sprintf("%s %d %s", r.Timestamp.Format(time.StampMilli), r.Code, r.Error))
			}
		}
	}()
	return l
}

// Three releases in a row by the selector of the Service, the last one rolled back.
func TestTheSelectorOfTheServiceMovesTheRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	url := w.byService()
	before := w.spec()
	fresh, kept := w.loadAt(url, "", 200, false), w.loadAt(url, "", 100, true)
	args := func(tag, bake string) []string {
		return []string{"--steps", "100", "--step-duration", "1s", "--probe-url", url, "--image", w.image(tag, nil), "--bake-time", bake}
	}
	for _, tag := range []string{"v2", "v3"} {
		out := w.deploy(args(tag, "1s")...).ends(0)
		if !strings.Contains(out, "service/"+sample.Name) || !strings.Contains(out, "carries the weights") || strings.Contains(out, "cannot be attributed") {
			t.Errorf("%s: the plan does not say what moves the requests:\n%s", tag, out)
		}
		w.plain(before, w.image(tag, nil))
	}
	third := w.deploy(args("v4", "60s")...)
	third.reaches("judged on while the old one is warm")
	w.deploy("--command", "rollback", "--deployment-name", sample.Name).ends(0)
	third.ends(4)
	w.plain(before, w.image("v3", nil))
	fresh.unhurt(t)
	kept.unhurt(t)
	if fresh.answers["v4"] == 0 {
		t.Errorf("nobody saw the third version: %v", fresh.answers)
	}
}

// The pods are the share: one of five is 20 %, whatever was asked for.
func TestAShareByTheNumberOfPods(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(a *sample.App) { a.Replicas = 4 })
	url := w.byService()
	before := w.spec()
	fresh, kept := w.loadAt(url, "", 200, false), w.loadAt(url, "", 100, true)
	args := []string{"--steps", "25,50,100", "--step-duration", "1s", "--bake-time", "1s", "--probe-url", url}
	out := w.deploy(append(args, "--image", w.image("v2", nil))...).ends(0)
	if want := "steps 20 % by 1 pod of the canary beside all of stable, the nearest to 25 %, 50 % by 4 pods"; !strings.Contains(out, want) {
		t.Errorf("the plan lacks %q:\n%s", want, out)
	}
	w.plain(before, w.image("v2", nil))

	again := w.deploy("--steps", "25,50,100", "--step-duration", "120s", "--probe-url", url, "--image", w.image("v3", nil))
	again.reaches(atStep(20))
	w.deploy("--command", "abort", "--deployment-name", sample.Name).ends(0)
	again.ends(4)
	w.plain(before, w.image("v2", nil))
	fresh.unhurt(t)
	kept.unhurt(t)
	if fresh.answers["v3"] == 0 || fresh.answers["v3"] > fresh.answers["v2"] {
		t.Errorf("answers by version: %v", fresh.answers)
	}
}

// Two gateways and two routes of one workload get each weight, and each shows it.
func TestTwoGatewaysAndTwoRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow := w.sandbox.SlowGateway
	w.kubectl("patch", "httproute", sample.Name, "--type", "json", "-p",
		fmt.Sprintf(`[{"op":"add","path":"/spec/parentRefs/-","value":{"name":%q,"namespace":%q}}]`, slow.Name, slow.Namespace))
	w.apply(fmt.Sprintf(`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"second","namespace":%q},
		"spec":{"parentRefs":[{"name":%q,"namespace":%q}],"hostnames":["second.%[1]s.example.com"],"rules":[{"backendRefs":[{"name":%[4]q,"port":80}]}]}}`,
		w.ns, w.gateway.Name, w.gateway.Namespace, sample.Name))
	w.answersAt(w.gateway.URL, "second."+w.ns+".example.com", http.StatusOK)
	w.answersAt(slow.URL, w.ns+".example.com", http.StatusOK)
	before := w.spec()
	loads := []*load{
		w.loadAt(w.gateway.URL, "second."+w.ns+".example.com", 100, true),
		w.loadAt(slow.URL, w.ns+".example.com", 100, true),
		w.load(100),
	}
	out := w.deploy("--image", w.image("v2", nil), "--steps", "50,100", "--step-duration", "1s", "--bake-time", "1s").ends(0)
	if !strings.Contains(out, "3 entry points are watched") {
		t.Errorf("the plan does not name all entry points:\n%s", out)
	}
	w.plain(before, w.image("v2", nil))
	for _, l := range loads {
		l.unhurt(t)
		if l.answers["v2"] == 0 {
			t.Errorf("an entry point has not followed: %v", l.answers)
		}
	}
}
