package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// byIngress gives the sample an Ingress with the class of ingress-nginx instead of its
// HTTPRoute, and starts a controller that reads its annotations.
func (w *world) byIngress() {
	w.t.Helper()
	program, err := w.sandbox.IngressController(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		w.t.Fatal(err)
	}
	log, err := os.Create(w.t.TempDir() + "/controller.log")
	if err != nil {
		w.t.Fatal(err)
	}
	controller := exec.CommandContext(w.t.Context(), program, "--entrypoints.web.address="+address,
		"--providers.kubernetesingressnginx.watchnamespace="+w.ns, "--providers.kubernetesingressnginx.throttleduration=1s",
		"--providers.providersthrottleduration=1s", "--global.checknewversion=false", "--global.sendanonymoususage=false")
	controller.Env = append(os.Environ(), "KUBECONFIG="+w.sandbox.Kubeconfig)
	controller.Stdout, controller.Stderr = log, log
	if err := controller.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = controller.Process.Kill()
		_ = controller.Wait()
		if raw, err := os.ReadFile(log.Name()); err == nil && w.t.Failed() {
			w.t.Logf("the controller said:\n%s", raw)
		}
	})
	w.apply(fmt.Sprintf(`{"apiVersion":"networking.k8s.io/v1","kind":"IngressClass","metadata":{"name":%q},"spec":{"controller":"k8s.io/ingress-nginx"}}`, w.ns))
	w.t.Cleanup(func() {
		_ = exec.CommandContext(context.WithoutCancel(w.t.Context()), "kubectl", "--kubeconfig", w.sandbox.Kubeconfig, "delete", "ingressclass", w.ns).Run()
	})
	w.apply(fmt.Sprintf(`{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"site","namespace":%q,"annotations":{"nginx.ingress.kubernetes.io/proxy-body-size":"8m"}},
		"spec":{"ingressClassName":%q,"rules":[{"host":%q,"http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":%q,"port":{"number":80}}}}]}}]}}`,
		w.ns, w.ns, w.ns+".example.com", sample.Name))
	w.kubectl("delete", "httproutes.gateway.networking.k8s.io", sample.Name)
	w.gateway.URL = "http://" + address
	for until := time.Now().Add(time.Minute); w.ask("") != "v1"; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(until) {
			w.t.Fatal("the controller does not serve the Ingress within a minute")
		}
	}
}

// ask returns the version that answers a request with a value of the header of test
// requests, "" for one without it.
func (w *world) ask(test string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.gateway.URL+"/", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if req.Host = w.ns + ".example.com"; test != "" {
		req.Header.Set("X-Candlefish-Preflight", test)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	_ = resp.Body.Close()
	return resp.Header.Get("X-Version")
}

// ingresses returns the namespace's Ingresses as "name annotations spec".
func (w *world) ingresses() string {
	w.t.Helper()
	var list struct {
		Items []struct {
			Metadata struct {
				Name        string            `json:"name"`
				Annotations map[string]string `json:"annotations"`
			} `json:"metadata"`
			Spec any `json:"spec"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(w.kubectl("get", "ingresses", "-o", "json")), &list); err != nil {
		w.t.Fatal(err)
	}
	var lines []string
	for _, i := range list.Items {
		raw, err := json.Marshal(i)
		if err != nil {
			w.t.Fatal(err)
		}
		lines = append(lines, string(raw))
	}
	return strings.Join(lines, "\n")
}

// An Ingress of ingress-nginx: the canary Ingress carries the weight and leads test
// requests to each version; a promotion and an abort leave nothing of it, and no
// request fails.
func TestAnIngressOfNGINX(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.byIngress()
	before := w.ingresses()
	l := w.load(100)
	release := func(image string, args ...string) *process {
		return w.deploy(append([]string{"--image", image, "--probe-url", w.gateway.URL, "--deployment-name", sample.Name}, args...)...)
	}

	first := release(w.image("v2", nil), "--steps", "50,100", "--step-duration", "3s")
	first.reaches(atStep(50))
	annotation := w.kubectl("get", "ingress", "site-canary", "-o", `jsonpath={.metadata.annotations.nginx\.ingress\.kubernetes\.io/canary-weight}`)
	if annotation != "50" {
		t.Errorf("canary-weight %q at the step of 50 %%", annotation)
	}
	for range 20 { // by the weight alone one in a million
		if got := w.ask("always") + " " + w.ask("never"); got != "v2 v1" {
			t.Fatalf("test requests to the canary and to stable get %q", got)
		}
	}
	first.ends(0)
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers after the promotion", got)
	}
	if after := w.ingresses(); after != before {
		t.Errorf("Ingresses after the promotion:\n%s\nbefore:\n%s", after, before)
	}

	second := release(w.image("v3", nil), "--steps", "50,100", "--step-duration", "30s")
	second.reaches(atStep(50))
	if err := second.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	second.ends(4)
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers after the abort", got)
	}
	contains(t, release(w.image("v2", nil)).ends(0))
	if after := w.ingresses(); after != before {
		t.Errorf("Ingresses after the abort:\n%s\nbefore:\n%s", after, before)
	}
	l.unhurt(t)
}
