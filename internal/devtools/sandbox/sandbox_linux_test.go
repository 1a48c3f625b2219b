package sandbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sandboxtest"
)

// envCaller makes the test binary a process that starts an ephemeral sandbox and then waits to be killed.
const envCaller = "SANDBOX_TEST_CALLER"

// envElsewhere makes the test binary a process that shows a sandbox on a machine whose network is in use.
const envElsewhere = "SANDBOX_TEST_ELSEWHERE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envElsewhere); dir != "" {
		if err := elsewhere(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(envCaller); dir != "" {
		_, err := sandbox.Up(context.Background(), sandbox.Options{Dir: dir, Ephemeral: true, Progress: os.Stderr})
		fmt.Println("up:", err)
		select {}
	}
	os.Exit(m.Run())
}

// TestSampleAnswersThroughBothGateways is the whole of what a sandbox is for.
func TestSampleAnswersThroughBothGateways(t *testing.T) {
	t.Parallel()
	s := sandboxtest.Start(t)
	for _, g := range []sandbox.Gateway{s.Gateway, s.SlowGateway} {
		t.Run(g.Name, func(t *testing.T) {
			t.Parallel()
			ns := sandboxtest.Namespace(t, s)
			image := sandboxtest.Website(t, s, "sandbox-test", nil)
			sandboxtest.Deploy(t, s, sample.App{Namespace: ns, Image: image, Replicas: 2, Gateway: g})
			req, err := http.NewRequestWithContext(t.Context(), "GET", g.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = ns + ".example.com"
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if v := resp.Header.Get("X-Version"); resp.StatusCode != 200 || v != "sandbox-test" {
				t.Errorf("GET %s for %s = %s, X-Version %q, want 200 and sandbox-test", g.URL, req.Host, resp.Status, v)
			}
		})
	}
}

func TestTagKeepsItsContent(t *testing.T) {
	t.Parallel()
	s := sandboxtest.Start(t)
	sandboxtest.Website(t, s, "fixed", nil)
	sandboxtest.Website(t, s, "fixed", nil)
	if _, err := sample.Image(t.Context(), s, "fixed", map[string]string{"LEAK": "1"}); err == nil || !strings.Contains(err.Error(), "choose another tag") {
		t.Errorf("other content under the same tag = %v, want a refusal", err)
	}
}

// TestPrometheusSeesTheGateway asks for the series that an analysis rests on.
func TestPrometheusSeesTheGateway(t *testing.T) {
	t.Parallel()
	s := sandboxtest.Start(t)
	tick := time.NewTicker(200 * time.Millisecond) // there is a scrape a second
	defer tick.Stop()
	for range 150 {
		var answer struct {
			Data struct{ Result []any }
		}
		getJSON(t, s.Prometheus+"/api/v1/query?query=up==1", &answer)
		if len(answer.Data.Result) == 2 {
			return
		}
		<-tick.C
	}
	t.Error("Prometheus does not scrape both gateways")
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// TestLife goes through the life of a sandbox of its own: it is reused, it is killed, it comes up again, it is killed and taken down.
func TestLife(t *testing.T) {
	t.Parallel()
	sandboxtest.NeedRoot(t)
	ctx := t.Context()
	opts := sandbox.Options{Dir: filepath.Join(t.TempDir(), "sandbox"), Progress: t.Output()}
	t.Cleanup(func() { takeDown(t, opts) })

	first := up(t, opts)
	disjoint(t, first.Ranges, sandboxtest.Start(t).Ranges) // it runs beside the shared one
	image := sandboxtest.Website(t, first, "v1", nil)
	sandboxtest.Deploy(t, first, sample.App{Image: image})
	pid := inspect(t, opts).PID

	second := up(t, opts)
	if got := inspect(t, opts).PID; got != pid || second.EntryPoint != first.EntryPoint {
		t.Errorf("a second Up has supervisor %d at %s, want that of the first, %d at %s", got, second.EntryPoint, pid, first.EntryPoint)
	}

	left := tracesOf(t, pid)
	kill(t, pid)
	left.check(t)
	if s := inspect(t, opts); s.Up || s.Healthy || s.Problem == "" {
		t.Errorf("after kill -9: up %t, healthy %t, problem %q, want a dead sandbox with a problem", s.Up, s.Healthy, s.Problem)
	}
	third := up(t, opts)
	pid = inspect(t, opts).PID
	image = sandboxtest.Website(t, third, "v1", nil)
	sandboxtest.Deploy(t, third, sample.App{Image: image, Replicas: 1})

	left = tracesOf(t, pid)
	kill(t, pid)
	if err := sandbox.Down(ctx, opts); err != nil {
		t.Fatal(err)
	}
	left.check(t)
	checkHost(t, opts.Dir)
	if s := inspect(t, opts); s.Up || s.Problem != "" {
		t.Errorf("after Down: %+v, want nothing", s)
	}
	if err := sandbox.Down(ctx, opts); err != nil {
		t.Errorf("a second Down = %v, want nothing to do", err)
	}
}

// TestEphemeralSandboxEndsWithItsCaller kills the only user of a sandbox.
func TestEphemeralSandboxEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	sandboxtest.NeedRoot(t)
	opts := sandbox.Options{Dir: filepath.Join(t.TempDir(), "sandbox"), Ephemeral: true, Progress: t.Output()}
	t.Cleanup(func() { takeDown(t, opts) })
	caller := exec.CommandContext(t.Context(), os.Args[0])
	caller.Env = append(os.Environ(), envCaller+"="+opts.Dir)
	caller.Stderr = t.Output()
	out, err := caller.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "up: <nil>\n" {
		t.Fatalf("the caller says %q (%v)", line, err)
	}
	pid := inspect(t, opts).PID
	left := tracesOf(t, pid)
	ended := watch(t, pid)
	_ = caller.Process.Kill()
	_ = caller.Wait()
	ended()
	left.check(t)
	checkHost(t, opts.Dir)
}

// TestCloseEndsAnEphemeralSandbox: the last user that closes it has ended it when Close returns; one that was not the last has not.
func TestCloseEndsAnEphemeralSandbox(t *testing.T) {
	t.Parallel()
	sandboxtest.NeedRoot(t)
	opts := sandbox.Options{Dir: filepath.Join(t.TempDir(), "sandbox"), Ephemeral: true, Progress: t.Output()}
	t.Cleanup(func() { takeDown(t, opts) })
	one, two := up(t, opts), up(t, opts)
	left := tracesOf(t, inspect(t, opts).PID)
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if s := inspect(t, opts); !s.Healthy || s.Users != 1 {
		t.Errorf("after the first Close: healthy %t, %d users, want a healthy sandbox with one", s.Healthy, s.Users)
	}
	if err := two.Close(); err != nil {
		t.Fatal(err)
	}
	left.check(t)
	checkHost(t, opts.Dir)
}

// occupied are routes and an address that are in the way of the ranges a sandbox prefers: in the main table, in another one, and of kinds
// that lead nowhere.
var occupied = [][]string{
	{"link", "set", "lo", "up"},
	{"route", "add", "blackhole", "10.244.0.0/16"},
	{"route", "add", "unreachable", "10.96.0.0/12", "table", "77"},
	{"addr", "add", "10.250.0.1/16", "dev", "lo"},
}

// TestSandboxAvoidsWhatIsInUse: a sandbox starts and serves where flannel, kubeadm and a VPN have the ranges it prefers, beside the
// sandbox that all tests share. The routes are in a network namespace of their own and end with it.
func TestSandboxAvoidsWhatIsInUse(t *testing.T) {
	t.Parallel()
	sandboxtest.NeedRoot(t)
	opts := sandbox.Options{Dir: filepath.Join(t.TempDir(), "sandbox"), Progress: t.Output()}
	t.Cleanup(func() { takeDown(t, opts) })
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envElsewhere+"="+opts.Dir)
	cmd.Stderr = t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got network.Ranges
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, p := range []netip.Prefix{got.Pods, got.Services, got.Link} {
		for _, used := range []string{"10.244.0.0/16", "10.96.0.0/12", "10.250.0.0/16"} {
			if p.Overlaps(netip.MustParsePrefix(used)) {
				t.Errorf("%s overlaps %s, which is in use", p, used)
			}
		}
	}
}

// elsewhere starts a sandbox in dir beside routes that are in its way, sees the sample answer, and prints its addresses.
func elsewhere(dir string) error {
	for _, args := range occupied {
		if err := network.IP(args...); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s, err := sandbox.Up(ctx, sandbox.Options{Dir: dir, Ephemeral: true, Progress: os.Stderr})
	if err != nil {
		return err
	}
	image, err := sample.Image(ctx, s, "v1", nil)
	if err != nil {
		return err
	}
	if err := sample.Deploy(ctx, s, sample.App{Image: image, Replicas: 1}); err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(os.Stdout).Encode(s.Ranges), s.Close())
}

// disjoint fails the test if two sandboxes that are up share an address.
func disjoint(t *testing.T, a, b network.Ranges) {
	t.Helper()
	for _, p := range []netip.Prefix{a.Pods, a.Services, a.Link} {
		for _, q := range []netip.Prefix{b.Pods, b.Services, b.Link} {
			if p.Overlaps(q) {
				t.Errorf("%s of one sandbox overlaps %s of another", p, q)
			}
		}
	}
}

func up(t *testing.T, opts sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Up(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func takeDown(t *testing.T, opts sandbox.Options) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := sandbox.Down(ctx, opts); err != nil {
		t.Error(err)
	}
}

func inspect(t *testing.T, opts sandbox.Options) sandbox.Status {
	t.Helper()
	s, err := sandbox.Inspect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// kill is kill -9, and returns when the process has ended.
func kill(t *testing.T, pid int) {
	t.Helper()
	ended := watch(t, pid)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended()
}

// watch returns a function that waits until the process of now, not a later one of the same number, has ended.
func watch(t *testing.T, pid int) (ended func()) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		defer func() { _ = unix.Close(fd) }()
		for t.Context().Err() == nil {
			if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000); n > 0 {
				return
			}
		}
		t.Errorf("process %d did not end", pid)
	}
}

// traces is how a sandbox's processes are recognised: all are in its namespaces, whatever they are called. An open file keeps the
// namespace's number from being given to another.
type traces map[string]*os.File

// tracesOf notes the namespaces of a supervisor.
func tracesOf(t *testing.T, supervisor int) traces {
	t.Helper()
	left := traces{}
	for _, kind := range []string{"pid_for_children", "net", "mnt"} {
		own, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			t.Fatal(err)
		}
		path := fmt.Sprintf("/proc/%d/ns/%s", supervisor, kind)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		id, err := os.Readlink(path)
		if err != nil || id == own {
			t.Fatalf("the supervisor's %s is %s (%v), the machine's own", kind, id, err)
		}
		left[id] = f
	}
	return left
}

// check fails the test if a process is in a namespace of the sandbox. Without one, the kernel removes the namespace and all
// devices, rules and mounts in it.
func (l traces) check(t *testing.T) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		id, err := os.Readlink(link)
		if err != nil || l[id] == nil {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(link), "../status"))
		if err != nil || strings.Contains(string(status), "State:\tZ") { // gone, whether its parent knows already or not
			continue
		}
		t.Errorf("%s is still %s:\n%s", link, id, status)
	}
	for _, f := range l {
		_ = f.Close()
	}
}

// checkHost fails the test if the machine's own mounts or files show a sandbox in dir.
func checkHost(t *testing.T, dir string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), dir) {
		t.Errorf("mounts of %s are left:\n%s", dir, mounts)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", dir, err)
	}
}
