package deploy

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
)

// A bumpy API server answers, once it is on, every few requests with an error, and
// ends each watch after two seconds.
type bumpy struct {
	on       atomic.Bool
	next     http.Handler
	requests atomic.Int64
	faults   atomic.Int64
	cuts     atomic.Int64
}

// newBumpy starts it before the sandbox's, and returns a kubeconfig that leads there.
func newBumpy(t *testing.T, w *world) (b *bumpy, kubeconfig string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", w.sandbox.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	api, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(api)
	proxy.Transport, proxy.FlushInterval = transport, -1
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) } // as a lost connection
	b = &bumpy{next: proxy}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{name: a, cluster: {server: %q}}]\ncontexts: [{name: a, context: {cluster: a}}]\n", server.URL)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return b, kubeconfig
}

// ServeHTTP implements http.Handler.
func (b *bumpy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") != "" {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		b.cuts.Add(1)
		b.next.ServeHTTP(w, r.WithContext(ctx))
		return
	}
	n := b.requests.Add(1)
	if n%4 != 0 || !b.on.Load() {
		b.next.ServeHTTP(w, r)
		return
	}
	b.faults.Add(1)
	status, reason := http.StatusInternalServerError, "InternalError"
	switch {
	case n%8 == 0:
		status, reason = http.StatusTooManyRequests, "TooManyRequests"
		w.Header().Set("Retry-After", "1")
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		status, reason = http.StatusConflict, "Conflict"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"injected","reason":%q,"code":%d}`, reason, status)
}

// Errors of the API server and lost watches cost time and nothing else.
func TestABumpyAPIServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.spec()
	l := w.load(50)
	b, kubeconfig := newBumpy(t, w)
	p := w.deployWith(kubeconfig, "--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "4s")
	p.reaches(atStep(25)) // before its first change a run ends with the error
	b.on.Store(true)
	p.ends(0)
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers, want v2", got)
	}
	if b.faults.Load() < 20 || b.cuts.Load() < 20 {
		t.Errorf("only %d faults and %d lost watches", b.faults.Load(), b.cuts.Load())
	}
	l.unhurt(t)
	w.plain(before, w.image("v2", nil))
}

// What somebody writes during a step ends the run with their name, and the command
// that it prints goes on from there.
func TestWritersDuringAStep(t *testing.T) {
	t.Parallel()
	rising := func(t *testing.T) (*world, *load, *process) {
		t.Parallel()
		w := newWorld(t)
		l := w.load(50)
		p := w.deploy("--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "60s", "--propagation-timeout", "20s")
		p.reaches(atStep(25))
		return w, l, p
	}
	t.Run("a third image", func(t *testing.T) {
		w, l, p := rising(t)
		w.kubectl("set", "image", "deployment/"+sample.Name, "*="+w.image("v3", nil))
		out := p.ends(3)
		contains(t, out, `field manager "kubectl-set" (Update at `, "changed the pod template of deployment "+sample.Name)
		w.settled()
		w.typed(out, "abort").ends(0)
		if got := w.live(); got != "v3" {
			t.Errorf("version %s answers, want the other's v3", got)
		}
		l.unhurt(t)
	})
	t.Run("the canary scaled to 0", func(t *testing.T) {
		w, _, p := rising(t)
		w.kubectl("scale", "deployment", sample.Name+"-canary", "--replicas=0")
		out := p.ends(4)
		contains(t, out, "deployment "+sample.Name+"-canary was scaled to 0 by ")
		if got := w.live(); got != "v1" {
			t.Errorf("version %s answers, want v1", got)
		}
		w.deploy("--image", w.image("v2", nil), "--steps", "100", "--step-duration", "1s", "--bake-time", "1s").ends(0) // the second time
	})
	t.Run("a rule of the route", func(t *testing.T) {
		w, l, p := rising(t)
		// What docs/gitops.md makes Argo CD ignore is what the release owns.
		for object, field := range map[string]string{"service": `"f:selector"`, "httproute": `"f:rules"`, "deployment": `"f:template"`} {
			if owned := w.kubectl("get", object, sample.Name, "--show-managed-fields", "-o", `jsonpath={.metadata.managedFields[?(@.manager=="candlefish-deploy-action")].fieldsV1}`); !strings.Contains(owned, field) {
				t.Errorf("of %s the release owns %s, want %s", object, owned, field)
			}
		}
		w.kubectl("patch", "httproute", sample.Name, "--type=json", "--field-manager=argocd-controller", "-p", `[{"op":"replace","path":"/spec/rules/0/backendRefs/1/weight","value":26}]`)
		out := p.ends(3)
		contains(t, out, `field manager "argocd-controller" (Update at `, "changed the backends of httproute")
		w.typed(out, "abort").ends(0)
		if got := w.live(); got != "v1" {
			t.Errorf("version %s answers, want v1", got)
		}
		l.unhurt(t)
	})
	t.Run("the namespace is deleted", func(t *testing.T) {
		w, _, p := rising(t)
		w.kubectl("delete", "namespace", w.ns, "--wait=false")
		if code := p.wait(); code == 0 {
			t.Errorf("a release into a namespace that is gone succeeds:\n%s", p.text())
		}
		if out := p.text(); strings.Contains(out, "stable is serving") {
			t.Errorf("it claims that stable is serving:\n%s", out)
		}
	})
}

// A gateway that restarts ends all connections and takes none for a while: nobody is
// blamed for it.
func TestTheGatewayRestartsInAStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.spec()
	gateway, err := url.Parse(w.gateway.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := newCable(t, gateway.Host)
	p := w.deploy("--image", w.image("v2", nil), "--steps", "50,100", "--step-duration", "8s", "--probe-url", "http://"+c.listener.Addr().String(), "--propagation-timeout", "20s")
	p.reaches(atStep(50))
	c.pull()
	time.Sleep(time.Second)
	c.plug()
	p.ends(0)
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers, want v2", got)
	}
	w.plain(before, w.image("v2", nil))
}

// component returns the process of a component of the sandbox.
func (w *world) component(name string) *os.Process {
	w.t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		args := bytes.Split(raw, []byte{0})
		if err != nil || len(args) < 2 || string(args[1]) != name || !bytes.Contains(raw, []byte(w.sandbox.Dir)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			w.t.Fatal(err)
		}
		process, err := os.FindProcess(pid)
		if err != nil {
			w.t.Fatal(err)
		}
		return process
	}
	w.t.Fatalf("the sandbox in %s has no %s", w.sandbox.Dir, name)
	return nil
}

// The node's kubelet does nothing for 30 s while the canary's pods should start.
//
// It runs before the parallel tests: they need the kubelet.
func TestTheKubeletStopsFor30Seconds(t *testing.T) { //nolint:paralleltest // see above
	w := newWorld(t)
	before := w.spec()
	l := w.load(50)
	kubelet := w.component("kubelet")
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := kubelet.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = kubelet.Signal(syscall.SIGCONT) })
	p := w.deploy("--image", w.image("v2", nil), "--steps", "50,100", "--step-duration", "2s", "--bake-time", "2s", "--progress-deadline", "2m")
	p.reaches(atStep(50))
	signal(syscall.SIGSTOP)
	select {
	case <-time.After(30 * time.Second):
	case <-p.done:
		t.Fatalf("the run ended while no pod could start:\n%s", p.text())
	}
	signal(syscall.SIGCONT)
	p.ends(0)
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers, want v2", got)
	}
	l.unhurt(t)
	w.plain(before, w.image("v2", nil))
}
