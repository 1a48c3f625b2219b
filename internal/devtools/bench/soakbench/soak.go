package soakbench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// The bounds of a soak.
const (
	stuckAfter    = 5 * time.Minute  // longer than any timeout of the tool with these settings
	rolloutLimit  = 90 * time.Second // for a roll that the user starts
	settleLimit   = 15 * time.Second // for the cluster to remove what was deleted
	minTurn       = 10 * time.Second // users look at what failed before they try again
	firstFailures = 10
)

// outputFile has what the tool printed, in the folder of the run.
const outputFile = "output.txt"

// The user has from minReplicas to maxReplicas pods, and startReplicas at first.
const (
	minReplicas   = 2
	startReplicas = 3
	maxReplicas   = 4
)

// envVariable is what the user's kubectl set env sets.
const envVariable = "SOAK_TURN"

// A soak is the target and what the user wants of it.
type soak struct {
	options
	sandbox  *sandbox.Sandbox
	ns, tool string
	bake     bool   // the tool has the flag --bake-time
	logs     string // folder of the runs' output
	out      io.Writer

	images   map[string]string // by tag
	replicas int               // that the user wants
	want     map[string]any    // specs of the user's objects, by kind
	serving  []string          // versions that may serve now

	mu    sync.Mutex
	steps []step
}

// begin records that something begins now.
func (k *soak) begin(run int, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.steps = append(k.steps, step{at: time.Now(), run: run, what: what})
	fmt.Fprintf(k.out, "%s %s\n", time.Now().Format("15:04:05"), what)
}

// live lives the target's life.
func (k *soak) live(ctx context.Context) (*Result, error) {
	r := &Result{Seed: k.seed, Rate: k.rate, Started: time.Now()}
	if err := k.start(ctx); err != nil {
		return nil, err
	}
	l := startLoad(k.sandbox.Gateway.URL, k.host(), k.rate)
	defer l.stop()
	k.begin(0, "load only")
	script := newScript(k.seed, k.during)
	for end := time.Now().Add(k.duration); time.Now().Before(end) && ctx.Err() == nil; {
		r.Runs = append(r.Runs, k.turn(ctx, script.next()))
	}
	r.Runs = append(r.Runs, k.turn(ctx, script.last(k.serving)))
	k.begin(len(r.Runs), "after the last run")
	left, err := k.left(ctx)
	if err != nil {
		return nil, err
	}
	l.stop()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.Left, r.Seconds = left, time.Since(r.Started).Seconds()
	r.count(l, k.steps)
	r.conclude()
	return r, nil
}

// count takes over what the load saw.
func (r *Result) count(l *load, steps []step) {
	r.Requests, r.Own, r.NotOwn, r.Answers = l.requests, l.own, l.notOwn, l.answers
	attribute(l.failures, steps)
	r.First = l.failures[:min(firstFailures, len(l.failures))]
	for _, f := range l.failures {
		if f.run > 0 {
			r.Runs[f.run-1].NotOwn++
		}
	}
}

func (k *soak) host() string { return k.ns + ".example.com" }

// start makes the images and applies the user's manifest.
func (k *soak) start(ctx context.Context) error {
	k.images, k.replicas, k.serving = map[string]string{}, startReplicas, []string{good[0].tag}
	for _, v := range slices.Concat(good, bad) {
		ref, err := sample.Image(ctx, k.sandbox, v.tag, v.env)
		if err != nil {
			return err
		}
		k.images[v.tag] = ref
	}
	for _, step := range []func(context.Context) error{k.apply, k.rolled, k.answers} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("deploy the sample: %w", err)
		}
	}
	objects, err := k.objects(ctx)
	k.want = specs(objects)
	return err
}

// turn is one turn of the script.
func (k *soak) turn(ctx context.Context, t turn) Release {
	if len(k.serving) > 1 {
		t.before = unchanged // the user's manifest would have to guess the image
	}
	r := newRelease(t, k.serving)
	if t.before != unchanged {
		k.begin(t.number, "before run %d: %s", t.number, t.before)
		err := k.change(ctx, t, t.before)
		if err == nil {
			err = k.rolled(ctx)
		}
		if err != nil {
			r.Problems = append(r.Problems, err.Error())
		}
	}
	k.begin(t.number, "%s", t)
	started := time.Now()
	err := k.release(ctx, t, &r)
	r.Seconds = time.Since(started).Seconds()
	k.begin(t.number, "after run %d, which ended with %d", t.number, r.Exit)
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	if r.Live, err = k.versions(ctx); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	r.Problems = append(r.Problems, r.judge()...)
	k.serving = r.after()
	k.show(r)
	if err := pause(ctx, minTurn-time.Since(started)); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	return r
}

// folder is where the output and the reports of a run go.
func (k *soak) folder(run int) string { return filepath.Join(k.logs, fmt.Sprintf("run-%03d", run)) }

// show prints what is wrong with a run, and the end of its output.
func (k *soak) show(r Release) {
	if len(r.Problems) == 0 {
		return
	}
	text, err := os.ReadFile(filepath.Join(k.folder(r.Number), outputFile))
	if err != nil {
		text = []byte(err.Error())
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	fmt.Fprintf(k.out, "  %s\n    %s\n", strings.Join(r.Problems, "\n  "), strings.Join(lines[max(0, len(lines)-15):], "\n    "))
}

// release runs the tool, with its output in the folder of the run.
func (k *soak) release(ctx context.Context, t turn, r *Release) error {
	r.Exit = killed
	if err := os.MkdirAll(k.folder(t.number), 0o755); err != nil {
		return err
	}
	output, err := os.Create(filepath.Join(k.folder(t.number), outputFile))
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }() // for people
	run, cancel := context.WithTimeout(ctx, stuckAfter)
	defer cancel()
	cmd := exec.CommandContext(run, k.tool, k.args(t)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+k.sandbox.Kubeconfig)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		return err
	}
	defer k.killLater(cmd, t)()
	meanwhile := k.meanwhile(run, t)
	_ = cmd.Wait() // the exit status says it
	r.Exit, r.Stuck = cmd.ProcessState.ExitCode(), run.Err() != nil && ctx.Err() == nil
	if err := meanwhile(); err != nil {
		r.Refused = err.Error()
	}
	return k.readReport(r)
}

// killLater kills the tool after a while if the turn says so, and returns what
// calls that off.
func (k *soak) killLater(cmd *exec.Cmd, t turn) func() bool {
	if t.kill == 0 {
		return func() bool { return false }
	}
	return time.AfterFunc(t.kill, func() {
		k.begin(t.number, "run %d is killed", t.number)
		_ = cmd.Process.Kill() // an error means that it has ended
	}).Stop
}

// readReport takes over why the run ended as it did. A run that was killed has
// no report.
func (k *soak) readReport(r *Release) error {
	if r.Exit == killed {
		return nil
	}
	raw, err := os.ReadFile(filepath.Join(k.folder(r.Number), "canary-deployment-report.json"))
	if err != nil {
		return err
	}
	var result report.Result
	if err := json.Unmarshal(raw, &result); err != nil {
		return fmt.Errorf("read the report of run %d: %w", r.Number, err)
	}
	r.Reason = result.Reason
	for _, s := range result.StepRecords {
		r.Judged = r.Judged || s.Verdict == rollout.VerdictFailed
	}
	return nil
}

// args returns the tool's arguments for a turn.
func (k *soak) args(t turn) []string {
	args := []string{
		"--image", k.images[t.version.tag], "--namespace", k.ns, "--steps", "5,50,100", "--step-duration", "5s", "--probe-rate", "100",
		"--response-time-threshold", "20s", "--response-time-ratio", "100", // load and cluster share the machine
		"--report-dir", k.folder(t.number),
	}
	if k.bake {
		args = append(args, "--bake-time", "5s")
	}
	return slices.Concat(args, t.strategy.args, t.version.args)
}

// meanwhile does the change that meets the run, unless the run has ended before.
// The function that it returns waits for it.
func (k *soak) meanwhile(ctx context.Context, t turn) func() error {
	if t.during == unchanged {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	timer := time.AfterFunc(t.delay, func() {
		k.begin(t.number, "run %d meets %s", t.number, t.during)
		done <- k.change(ctx, t, t.during)
	})
	return func() error {
		if timer.Stop() {
			return nil
		}
		return <-done
	}
}

// change does what a user does beside the releases.
func (k *soak) change(ctx context.Context, t turn, c change) error {
	deployment := "deployment/" + sample.Name
	switch c {
	case restart:
		return k.kubectl(ctx, "rollout", "restart", deployment)
	case setEnv:
		value := fmt.Sprint(t.number)
		err := k.kubectl(ctx, "set", "env", deployment, envVariable+"="+value)
		if err == nil {
			setVariable(k.want, envVariable, value)
		}
		return err
	case scale:
		k.replicas = scaled(k.replicas, t.grow)
		return k.kubectl(ctx, "scale", deployment, fmt.Sprintf("--replicas=%d", k.replicas))
	case apply:
		return k.apply(ctx)
	case unchanged:
	}
	return nil
}

// scaled returns one replica more or less, within the bounds.
func scaled(replicas int, grow bool) int {
	if grow && replicas < maxReplicas || replicas <= minReplicas {
		return replicas + 1
	}
	return replicas - 1
}

// apply applies the user's manifest: the one that never changes but for the
// image, which is the one that was released last, and the replicas. A conflict
// with another field manager is an error.
func (k *soak) apply(ctx context.Context) error {
	app := sample.App{
		Namespace: k.ns, Image: k.images[k.serving[0]], Replicas: k.replicas,
		GracePeriod: 10 * time.Second, Env: map[string]string{"DRAIN": "5s"}, // the gateway learns of an ending pod within 2 s
	}
	cmd := k.command(ctx, "apply", "--server-side", "--field-manager=user", "-f", "-")
	cmd.Stdin = io.MultiReader(strings.NewReader("---\n"), bytes.NewReader(app.Manifest(k.sandbox))) // kubectl takes a stream that begins with { for JSON
	if text, err := cmd.CombinedOutput(); err != nil {
		conflict, _, _ := strings.Cut(string(text), "\nPlease review the fields") // and general advice
		return fmt.Errorf("the user's kubectl apply: %w: %s", err, strings.TrimSpace(conflict))
	}
	return nil
}

// rolled waits until the Deployment has the pods that the user asked for.
func (k *soak) rolled(ctx context.Context) error {
	return k.kubectl(ctx, "rollout", "status", "deployment/"+sample.Name, "--timeout", rolloutLimit.String())
}

func (k *soak) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "kubectl", append([]string{"--kubeconfig", k.sandbox.Kubeconfig, "--namespace", k.ns}, args...)...)
}

func (k *soak) kubectl(ctx context.Context, args ...string) error {
	if text, err := k.command(ctx, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(text)))
	}
	return nil
}

func (k *soak) objects(ctx context.Context) ([]object, error) {
	raw, err := k.command(ctx, "get", kinds, "-o", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("list the objects of %s: %w", k.ns, err)
	}
	if err := os.WriteFile(filepath.Join(k.logs, "objects.json"), raw, 0o644); err != nil {
		return nil, err
	}
	return parseObjects(raw)
}

// left says where the namespace is not as the user wrote it, once the cluster
// has had the time to remove what was deleted.
func (k *soak) left(ctx context.Context) ([]string, error) {
	for end := time.Now().Add(settleLimit); ; {
		objects, err := k.objects(ctx)
		if err != nil {
			return nil, err
		}
		left := restored(k.want, objects)
		if len(left) == 0 || time.Now().After(end) {
			return left, nil
		}
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// answers waits until the gateway leads requests to the sample.
func (k *soak) answers(ctx context.Context) error {
	for end := time.Now().Add(rolloutLimit); ; {
		seen, err := k.versions(ctx)
		if err == nil && slices.Equal(seen, k.serving) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("wait for an answer: %q answers: %w", seen, err)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// versions returns the versions that answer twenty requests, each on a
// connection of its own.
func (k *soak) versions(ctx context.Context) ([]string, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var seen []string
	for range 20 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.sandbox.Gateway.URL+"/", nil)
		if err != nil {
			return seen, err
		}
		req.Host = k.host()
		resp, err := client.Do(req)
		if err != nil {
			return seen, fmt.Errorf("ask which version serves: %w", err)
		}
		_ = resp.Body.Close() // nothing is read
		v := resp.Header.Get("X-Version")
		if v == "" {
			return seen, fmt.Errorf("ask which version serves: %s without a version", resp.Status)
		}
		if !slices.Contains(seen, v) {
			seen = append(seen, v)
		}
	}
	slices.Sort(seen)
	return seen, nil
}
