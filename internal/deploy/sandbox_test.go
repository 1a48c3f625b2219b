package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	corev1 "k8s.io/api/core/v1"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy/view"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
)

// TestMain lets the test binary act as the tool, so a test can send signals to
// a real process.
func TestMain(m *testing.M) {
	if os.Getenv("DEPLOY_TEST_MAIN") == "1" {
		os.Exit(Main(action.OS(), os.Args[1:]))
	}
	os.Exit(m.Run())
}

// A world is a namespace of the sandbox with version 1 of the sample in it.
type world struct {
	t       *testing.T
	sandbox *sandbox.Sandbox
	gateway sandbox.Gateway
	ns      string
	env     []string // of the tool, beside the test's own
}

type option func(*sample.App)

func newWorld(t *testing.T, options ...option) *world {
	t.Helper()
	s := sandboxtest.Start(t)
	w := &world{t: t, sandbox: s, gateway: s.Gateway, ns: sandboxtest.Namespace(t, s)}
	site := sample.App{Namespace: w.ns, Image: w.image("v1", nil), Replicas: 2, GracePeriod: 5 * time.Second}
	for _, o := range options {
		o(&site)
	}
	if site.Gateway != (sandbox.Gateway{}) {
		w.gateway = site.Gateway
	}
	if err := sample.Deploy(t.Context(), s, site); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) image(tag string, env map[string]string) string {
	w.t.Helper()
	ref, err := sample.Image(w.t.Context(), w.sandbox, tag, env)
	if err != nil {
		w.t.Fatal(err)
	}
	return ref
}

// kubectl runs kubectl against the sandbox and returns its output.
func (w *world) kubectl(args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "kubectl", append([]string{"--kubeconfig", w.sandbox.Kubeconfig, "-n", w.ns}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// spec returns every object that a rollout may change, as the user wrote it.
func (w *world) spec() string {
	w.t.Helper()
	raw := w.kubectl("get", "deployments,services,httproutes.gateway.networking.k8s.io", "-o", "json")
	var list struct{ Items []map[string]any }
	if err := json.Unmarshal([]byte(raw), &list); err != nil {
		w.t.Fatal(err)
	}
	for _, item := range list.Items {
		delete(item, "status")
		meta := item["metadata"].(map[string]any)
		for _, kept := range []string{"generation", "resourceVersion", "managedFields"} {
			delete(meta, kept)
		}
	}
	out, err := json.MarshalIndent(list.Items, "", " ")
	if err != nil {
		w.t.Fatal(err)
	}
	return string(out)
}

// pods lists the pods, those that stop left out.
func (w *world) pods() []corev1.Pod {
	w.t.Helper()
	var pods corev1.PodList
	if err := json.Unmarshal([]byte(w.kubectl("get", "pods", "-o", "json")), &pods); err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

// imageIDs returns the images that the pods run.
func (w *world) imageIDs() []string {
	w.t.Helper()
	var ids []string
	for _, pod := range w.pods() {
		for _, c := range pod.Status.ContainerStatuses {
			ids = append(ids, c.ImageID)
		}
	}
	return ids
}

// A process is a running tool.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	dir     string
	mu      sync.Mutex
	out     bytes.Buffer
	grew    chan struct{}
	done    chan struct{}
	code    int
	started time.Time
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.out.Write(b)
	select {
	case p.grew <- struct{}{}:
	default:
	}
	return n, err
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// deploy starts the tool. Later args win over the short steps that tests use.
func (w *world) deploy(args ...string) *process {
	return w.deployWith(w.sandbox.Kubeconfig, args...)
}

func (w *world) deployWith(kubeconfig string, args ...string) *process {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{t: w.t, dir: w.t.TempDir(), grew: make(chan struct{}, 1), done: make(chan struct{}), started: time.Now()}
	for _, d := range [][2]string{{"--namespace", w.ns}, {"--steps", "5,25,50,100"}, {"--step-duration", "4s"}, {"--probe-rate", "100"}, {"--bake-time", "4s"}, {"--report-dir", p.dir},
		// Many tests share two cores, so latencies mean nothing here.
		{"--response-time-threshold", "20s"}, {"--response-time-ratio", "100"}} {
		if !slices.Contains(args, d[0]) {
			args = append(args, d[0], d[1])
		}
	}
	p.cmd = exec.CommandContext(w.t.Context(), self, args...)
	p.cmd.Args[0] = "deploy" // as a person would type it, so the hints name it
	p.cmd.Env = append(os.Environ(), "DEPLOY_TEST_MAIN=1", "CANDLEFISH_MAGE=", "KUBECONFIG="+kubeconfig, "GITHUB_OUTPUT="+p.file("outputs"), "GITHUB_STEP_SUMMARY="+p.file("summary"))
	p.cmd.Env = append(p.cmd.Env, w.env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
		p.code = p.cmd.ProcessState.ExitCode()
	}()
	return p
}

func (p *process) file(name string) string { return filepath.Join(p.dir, name) }

// wait returns the exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.code
	case <-time.After(4 * time.Minute):
		_ = p.cmd.Process.Kill()
		p.t.Fatalf("the tool did not end:\n%s", p.text())
		return -1
	}
}

// ends fails the test unless the tool exits with code, and returns its output.
func (p *process) ends(code int) string {
	p.t.Helper()
	if got := p.wait(); got != code {
		p.t.Fatalf("exit status %d, want %d:\n%s", got, code, p.text())
	}
	return p.text()
}

// reaches returns as soon as the output matches.
func (p *process) reaches(pattern string) {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(2 * time.Minute)
	for !re.MatchString(p.text()) {
		select {
		case <-p.grew:
		case <-p.done:
			if !re.MatchString(p.text()) {
				p.t.Fatalf("the tool ended (%d) without %q:\n%s", p.code, pattern, p.text())
			}
		case <-deadline:
			p.t.Fatalf("no %q within 2m:\n%s", pattern, p.text())
		}
	}
}

// atStep matches the line at the start of a weight's dwell.
func atStep(weight int) string { return fmt.Sprintf(`(?m)dwell at %d %%`, weight) }

// outputs returns the action's outputs.
func (p *process) outputs() map[string]string {
	p.t.Helper()
	raw, err := os.ReadFile(p.file("outputs"))
	if err != nil {
		p.t.Fatal(err)
	}
	outputs := map[string]string{}
	lines := strings.Split(string(raw), "\n")
	for i := 0; i < len(lines); i++ {
		name, delimiter, ok := strings.Cut(lines[i], "<<")
		if !ok {
			continue
		}
		var value []string
		for i++; i < len(lines) && lines[i] != delimiter; i++ {
			value = append(value, lines[i])
		}
		outputs[name] = strings.Join(value, "\n")
	}
	return outputs
}

// A load is traffic from outside the tool, on persistent connections.
type load struct {
	stop    func()
	done    chan struct{}
	mu      sync.Mutex
	total   int
	failed  []string
	answers map[string]int // by X-Version
}

// seen reports whether a version has answered so far.
func (l *load) seen(version string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers[version] > 0
}

func (w *world) load(rate int) *load { return w.loadWith(rate, nil) }

// loadWith is a load whose requests have more headers.
func (w *world) loadWith(rate int, more http.Header) *load {
	header := http.Header{"Host": {w.ns + ".example.com"}}
	maps.Copy(header, more)
	l := &load{done: make(chan struct{}), answers: map[string]int{}}
	attacker := vegeta.NewAttacker(vegeta.Timeout(10*time.Second), vegeta.KeepAlive(true), vegeta.MaxWorkers(200), vegeta.Connections(50))
	target := vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: w.gateway.URL + "/", Header: header})
	results := attacker.Attack(target, vegeta.ConstantPacer{Freq: rate, Per: time.Second}, 10*time.Minute, "load")
	l.stop = sync.OnceFunc(func() { attacker.Stop(); <-l.done })
	w.t.Cleanup(l.stop)
	go func() {
		defer close(l.done)
		for r := range results {
			l.mu.Lock()
			l.total++
			l.answers[r.Headers.Get("X-Version")]++
			l.mu.Unlock()
			if r.Code != http.StatusOK {
				l.failed = append(l.failed, fmt.Sprintf("%s %d %s", r.Timestamp.Format(time.StampMilli), r.Code, r.Error))
			}
		}
	}()
	return l
}

// unhurt ends the load and fails the test when one of its requests failed.
func (l *load) unhurt(t *testing.T) {
	t.Helper()
	l.stop()
	if len(l.failed) > 0 {
		t.Errorf("%d of %d requests failed, first %q", len(l.failed), l.total, l.failed[0])
	}
	t.Logf("%d requests, %d failed", l.total, len(l.failed))
	if l.total == 0 {
		t.Error("no request was sent")
	}
}

// live returns the version that answers ten consecutive requests; two versions
// fail the test.
func (w *world) live() string {
	w.t.Helper()
	client := &http.Client{Timeout: 5 * time.Second}
	seen := ""
	for range 10 {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.gateway.URL+"/", nil)
		if err != nil {
			w.t.Fatal(err)
		}
		req.Host = w.ns + ".example.com"
		resp, err := client.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		_ = resp.Body.Close()
		v := resp.Header.Get("X-Version")
		if seen != "" && v != seen {
			w.t.Fatalf("answers by %s and %s", seen, v)
		}
		seen = v
	}
	return seen
}

func TestThreeReleasesInARow(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]option{
		"well-behaved":     nil,
		"slow gateway":     {func(s *sample.App) { s.Gateway = sandboxtest.Start(t).SlowGateway }},
		"exits at SIGTERM": {func(s *sample.App) { s.Env = map[string]string{"EXIT_ON_SIGTERM": "now"} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options...)
			l := w.load(50)
			restarted := w.kubectl("get", "pods", "-o", "jsonpath={.items[*].metadata.uid}")
			for _, tag := range []string{"v2", "v3"} {
				p := w.deploy("--image", w.image(tag, nil))
				p.reaches(atStep(5))
				if pods := w.kubectl("get", "pods", "-l", "version=canary", "-o", "name"); !strings.Contains(pods, "pod/") {
					t.Error("no pod has the label version=canary while a canary runs")
				}
				if routes := strings.Fields(w.kubectl("get", "httproutes", "-o", "name")); len(routes) != 2 {
					t.Errorf("%s: the routes are %q while the canary is judged, want the user's and that of test requests", tag, routes)
				}
				out := p.ends(0)
				if routes := strings.Fields(w.kubectl("get", "httproutes", "-o", "name")); len(routes) != 1 {
					t.Errorf("%s: %q remain at the end, want the user's alone", tag, routes)
				}
				if got := p.outputs()["failed-requests"]; got != "0" {
					t.Errorf("%s: failed-requests = %q, want 0:\n%s", tag, got, out)
				}
				// The digest in the pods, read independently of the tool.
				ids := w.imageIDs()
				if got := p.outputs()["image"]; !strings.Contains(got, "@sha256:") || len(ids) == 0 || slices.ContainsFunc(ids, func(id string) bool { return !strings.HasSuffix(id, got[strings.Index(got, "@"):]) }) {
					t.Errorf("%s: image = %q, the pods run %q", tag, got, ids)
				}
				if got := w.live(); got != tag {
					t.Errorf("version %s answers after the release of %s", got, tag)
				}
			}
			l.unhurt(t)
			if strings.Contains(restarted, w.kubectl("get", "pods", "-o", "jsonpath={.items[0].metadata.uid}")) {
				t.Error("a pod of version 1 is still there two releases later")
			}
		})
	}
}

func TestABadVersionIsPutBack(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  map[string]string
		args []string
		want []string // in what it prints
	}{
		{"30 % errors", map[string]string{"ERROR_RATE": "0.3"}, nil, []string{"back to stable: the canary failed", "limit"}},
		{"twice as slow and more", map[string]string{"LATENCY": "300ms"}, []string{"--step-duration", "20s", "--response-time-ratio", "1.5"}, []string{"back to stable: the canary ", "stable"}},
		{"never ready", map[string]string{"NEVER_READY": "true"}, []string{"--progress-deadline", "10s"}, []string{"progress deadline", "0 of 1"}},
		{"crashes", map[string]string{"CRASH_AFTER": "1s"}, nil, []string{"crashing, as CRASH_AFTER says"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			before := w.spec()
			l := w.load(20)
			p := w.deploy(append([]string{"--image", w.image("bad-"+strings.Fields(test.name)[0], test.env)}, test.args...)...)
			out := p.ends(4)
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("the output lacks %q:\n%s", want, out)
				}
			}
			if got := p.outputs()["status"]; got != "aborted" {
				t.Errorf("status = %q, want aborted", got)
			}
			if got := w.live(); got != "v1" {
				t.Errorf("version %s answers after the abort", got)
			}
			if after := w.spec(); after != before {
				t.Errorf("the objects are not as before:\n%s\nbefore:\n%s", after, before)
			}
			l.stop()
		})
	}
}

func TestAMissingImageIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.spec()
	missing := w.sandbox.Registry + "/website:no-such-tag"
	contains(t, w.deploy("--image", missing).ends(1), "image "+missing+" does not exist in its registry", "set check-image: false")
	out := w.deploy("--image", missing, "--check-image", "false").ends(4)
	if !strings.Contains(out, "ImagePullBackOff") || !strings.Contains(out, "no-such-tag") {
		t.Errorf("the reason does not name the pull and the image:\n%s", out)
	}
	if after := w.spec(); after != before {
		t.Errorf("the objects are not as before:\n%s\nbefore:\n%s", after, before)
	}
}

func TestNoRollbackHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deploy("--image", w.image("held", map[string]string{"ERROR_RATE": "0.5"}), "--no-rollback").ends(3)
	if weights := w.kubectl("get", "httproute", sample.Name, "-o", "jsonpath={.spec.rules[0].backendRefs[*].weight}"); weights != "95 5" {
		t.Errorf("weights = %q, want the split held at 95 5", weights)
	}
}

func TestASignalPutsTrafficBack(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			l := w.load(50)
			p := w.deploy("--image", w.image("v2", nil), "--step-duration", "30s", "--steps", "25,100")
			p.reaches(atStep(25))
			if err := p.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			out := p.ends(4)
			if got := w.live(); got != "v1" {
				t.Errorf("version %s answers after the signal:\n%s", got, out)
			}
			l.unhurt(t)
			// The next run finds and removes what the run left.
			next := w.deploy("--image", w.image("v3", nil), "--steps", "100").ends(0)
			if !strings.Contains(next, "unfinished rollout") {
				t.Errorf("the next run does not speak of the unfinished one:\n%s", next)
			}
			if got := w.live(); got != "v3" {
				t.Errorf("version %s answers after the next run", got)
			}
		})
	}
}

func TestAKilledRunIsFoundByTheNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.load(50)
	p := w.deploy("--image", w.image("v2", nil), "--step-duration", "60s", "--steps", "25,100")
	p.reaches(atStep(25))
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	next := w.deploy("--image", w.image("v3", nil), "--steps", "100")
	out := next.ends(0)
	if !strings.Contains(out, "unfinished rollout") || !strings.Contains(out, "weight 25") {
		t.Errorf("the next run does not name the orphan and its weight:\n%s", out)
	}
	if got := w.live(); got != "v3" {
		t.Errorf("version %s answers after the next run", got)
	}
	l.unhurt(t)
}

func TestAPromotionThatWasKilledIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.load(50)
	p := w.deploy("--image", w.image("v2", nil), "--steps", "100")
	p.reaches("routing through the deployment's own service")
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	out := w.deploy("--image", w.image("v3", nil), "--steps", "100").ends(0)
	if !strings.Contains(out, "unfinished promotion") {
		t.Errorf("the next run does not name what it found:\n%s", out)
	}
	if got := w.live(); got != "v3" {
		t.Errorf("version %s answers after the next run", got)
	}
	l.unhurt(t)
	if history := w.kubectl("rollout", "history", "deployment/"+sample.Name); strings.Count(history, "\n") < 4 {
		t.Errorf("the deployment's history does not reach back over the releases:\n%s", history)
	}
}

func TestASecondWriterIsNamedAndNotFought(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.deploy("--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "60s")
	p.reaches(atStep(25))
	w.kubectl("patch", "httproute", sample.Name, "--type=json", "--field-manager=helm", "-p",
		`[{"op":"replace","path":"/spec/rules/0/backendRefs/0/weight","value":60}]`)
	if out := p.ends(3); !strings.Contains(out, "conflicting change") || !strings.Contains(out, `"helm"`) {
		t.Errorf("the output does not name the other writer:\n%s", out)
	}
	if weights := w.kubectl("get", "httproute", sample.Name, "-o", "jsonpath={.spec.rules[0].backendRefs[*].weight}"); weights != "60 25" {
		t.Errorf("weights = %q, want the other's 60 25", weights)
	}
}

func TestTwoRunsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.load(50)
	first := w.deploy("--image", w.image("v2", nil), "--step-duration", "10s", "--steps", "50,100")
	first.reaches(atStep(50))
	out := w.deploy("--image", w.image("v3", nil)).ends(1)
	if !strings.Contains(out, "holds the rollout") {
		t.Errorf("the second run does not say who holds the rollout:\n%s", out)
	}
	first.ends(0)
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers, want the first run's", got)
	}
	l.unhurt(t)
}

// A cable is the connection to the API server, which tests can cut.
type cable struct {
	listener net.Listener
	server   string
	mu       sync.Mutex
	pulled   bool
	conns    map[net.Conn]bool
}

func newCable(t *testing.T, server string) *cable {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: l, server: server, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(context.WithoutCancel(t.Context()), conn)
		}
	}()
	return c
}

func (c *cable) carry(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	c.mu.Lock()
	if c.pulled {
		c.mu.Unlock()
		return
	}
	server, err := new(net.Dialer).DialContext(ctx, "tcp", c.server)
	if err != nil {
		c.mu.Unlock()
		return
	}
	c.conns[client], c.conns[server] = true, true
	c.mu.Unlock()
	defer func() { _ = server.Close() }()
	go func() {
		defer func() { _ = client.Close() }()
		_, _ = io.Copy(client, server)
	}()
	_, _ = io.Copy(server, client)
}

func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = true
	for conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = map[net.Conn]bool{}
}

func (c *cable) plug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = false
}

// kubeconfig returns the sandbox's kubeconfig with the cable's address.
func (c *cable) kubeconfig(t *testing.T, original string) string {
	t.Helper()
	raw, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(raw), c.server, c.listener.Addr().String())
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheAPIServerIsAwayForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raw, err := os.ReadFile(w.sandbox.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`"?server"?: "?https://([^"\s]+)`).FindSubmatch(raw)
	if m == nil {
		t.Fatalf("no server in %s", w.sandbox.Kubeconfig)
	}
	c := newCable(t, string(m[1]))
	l := w.load(50)
	// Two cuts: one within a dwell, one over the write at its end.
	p := w.deployWith(c.kubeconfig(t, w.sandbox.Kubeconfig), "--image", w.image("v2", nil), "--steps", "25,100", "--step-duration", "8s")
	p.reaches(atStep(25))
	c.pull()
	select {
	case <-time.After(20 * time.Second):
	case <-p.done:
		t.Fatalf("the run ended while the API server was away:\n%s", p.text())
	}
	c.plug()
	p.ends(0)
	if got := w.live(); got != "v2" {
		t.Errorf("version %s answers after the release", got)
	}
	l.unhurt(t)
}

// anonymous takes the version marker out of every answer, as an
// application without a version header is.
func (w *world) anonymous() {
	w.t.Helper()
	w.kubectl("patch", "httproute", sample.Name, "--type=json", "-p", `[{"op":"add","path":"/spec/rules/0/filters","value":[
		{"type":"ResponseHeaderModifier","responseHeaderModifier":{"remove":["X-Version","X-Pod"]}}]}]`)
	client := &http.Client{Timeout: 5 * time.Second}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.gateway.URL+"/", nil)
		if err != nil {
			w.t.Fatal(err)
		}
		req.Host = w.ns + ".example.com"
		resp, err := client.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK && resp.Header.Get("X-Version") == "" {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal("the gateway did not apply the filter within a minute")
		}
	}
}

// metrics returns the URL of the gateway's own metrics.
func (w *world) metrics() string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.sandbox.Prometheus+"/api/v1/targets", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var targets struct {
		Data struct {
			ActiveTargets []struct {
				ScrapeURL string
				Labels    map[string]string
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&targets); err != nil {
		w.t.Fatal(err)
	}
	for _, target := range targets.Data.ActiveTargets {
		if target.Labels["job"] == "gateway" {
			return target.ScrapeURL
		}
	}
	w.t.Fatalf("prometheus scrapes no gateway: %+v", targets)
	return ""
}

func TestWithoutAVersionMarker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.anonymous()
	before := w.spec()
	t.Log("the versions cannot be distinguished: inconclusive, so put back")
	p := w.deploy("--image", w.image("v2", nil), "--steps", "50,100", "--inconclusive-policy", "abort")
	if out := p.ends(4); !strings.Contains(out, "inconclusive: weight 50 cannot be observed") {
		t.Errorf("the output does not say why:\n%s", out)
	}
	if after := w.spec(); after != before {
		t.Errorf("the objects are not as before:\n%s\nbefore:\n%s", after, before)
	}
	t.Log("the gateway's counters distinguish them")
	p = w.deploy("--image", w.image("v2", nil), "--steps", "50,100", "--gateway-metrics-url", w.metrics())
	p.ends(0)
	if got := p.outputs()["failed-requests"]; got != "0" {
		t.Errorf("failed-requests = %q, want 0", got)
	}
	raw, err := os.ReadFile(p.file(view.ReportFile))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), "by the gateway's request counters") {
		t.Errorf("the report does not say what confirmed the weights:\n%s", raw)
	}
}

func TestWhatTheClusterRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	image := w.image("v2", nil)
	if err := w.sandbox.Apply(t.Context(), fmt.Appendf(nil, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: elsewhere, namespace: %s}
spec:
  parentRefs: [{name: %s, namespace: %s}]
  hostnames: [elsewhere.example.com]
  rules: [{backendRefs: [{name: other, port: 80}]}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: nobody, namespace: %[1]s}
`, w.ns, w.gateway.Name, w.gateway.Namespace)); err != nil {
		t.Fatal(err)
	}
	before := w.spec()
	token := strings.TrimSpace(w.kubectl("create", "token", "nobody"))
	tests := []struct {
		name       string
		kubeconfig string
		args       []string
		want       []string
	}{
		{"namespace", "", []string{"--namespace", "no-such-place"}, []string{`namespace "no-such-place" does not exist`}},
		{"deployment", "", []string{"--deployment-name", "nothing"}, []string{"nothing does not exist", sample.Name}},
		{"route", "", []string{"--route", "elsewhere"}, []string{"elsewhere does not point at service"}},
		{"container", "", []string{"--container-name", "sidecar"}, []string{`no container "sidecar"`, "website"}},
		{"permission", w.as(token), nil, []string{"permissions are missing", "patch httproutes", "README"}},
		{"entry point", "", []string{"--probe-url", "http://127.0.0.1:1"}, []string{"does not answer at the entry point"}},
		{"broken page", "", []string{"--probe-url", w.sandbox.EntryPoint, "--probe-path", "/no/such/page"}, []string{"404", "probe-path"}},
	}
	for _, test := range tests {
		kubeconfig := test.kubeconfig
		if kubeconfig == "" {
			kubeconfig = w.sandbox.Kubeconfig
		}
		status := 1
		if test.name == "container" {
			status = 2 // the live Deployment says which names the input may have
		}
		out := w.deployWith(kubeconfig, append([]string{"--image", image}, test.args...)...).ends(status)
		for _, want := range test.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: the output lacks %q:\n%s", test.name, want, out)
			}
		}
	}
	w.kubectl("annotate", "deployment", sample.Name, "argocd.argoproj.io/tracking-id=shop:apps/Deployment:"+w.ns+"/"+sample.Name)
	out := w.deploy("--image", image).ends(1)
	if !strings.Contains(out, "is managed by Argo CD (application shop)") || !strings.Contains(out, "allow-gitops") || !strings.Contains(out, "RespectIgnoreDifferences=true") {
		t.Errorf("the output does not name the GitOps tool and allow-gitops:\n%s", out)
	}
	w.kubectl("annotate", "deployment", sample.Name, "argocd.argoproj.io/tracking-id-")
	if after := w.spec(); after != before {
		t.Errorf("something changed:\n%s\nbefore:\n%s", after, before)
	}
}

// as returns the sandbox's kubeconfig with another identity.
func (w *world) as(token string) string {
	w.t.Helper()
	raw, err := os.ReadFile(w.sandbox.Kubeconfig)
	if err != nil {
		w.t.Fatal(err)
	}
	path := filepath.Join(w.t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "kubectl", "--kubeconfig", path, "config", "set-credentials", "nobody", "--token", token).CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.CommandContext(ctx, "kubectl", "--kubeconfig", path, "config", "set-context", "--current", "--user", "nobody").CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	return path
}
