// Package deploybench measures canaries on the sandbox: real releases under load
// from outside of the tool. It prints what it measured and writes it to one
// JSON file; it judges nothing but whether a release ended as it should, and
// its figures are for documents, not for tests.
package deploybench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// ResultFile is where the figures go, below the repository's root.
const ResultFile = "out/bench-deploy.json"

// loadRate is the traffic from outside, in requests per second.
const loadRate = 300

// A Figure is one release and what it cost its users.
type Figure struct {
	Scenario string `json:"scenario"`
	Release  string `json:"release"`
	ExitCode int    `json:"exit_code"`
	Outcome  string `json:"outcome"`
	// Requests and Failed are those of the load, on connections that stay
	// open, from before the release to after it. A broken version's own
	// errors are among them.
	Requests int `json:"requests"`
	Failed   int `json:"failed"`
	// ProbeRequests and ProbeFailed are what the tool itself counted.
	ProbeRequests int64 `json:"probe_requests"`
	ProbeFailed   int64 `json:"probe_failed"`
	// Shares are the confirmed shares, one a step; Outside counts those
	// outside of their 99.9 % interval.
	Shares          []float64 `json:"shares"`
	Outside         int       `json:"shares_outside_interval"`
	DurationSeconds float64   `json:"duration_seconds"`
	OverheadSeconds float64   `json:"overhead_seconds"`
	DrainSeconds    float64   `json:"drain_seconds"` // not part of the overhead
	// RollbackSeconds is the time from the start of the command rollback to the
	// last answer of the version that it takes the traffic from; RollbackFailed
	// counts the requests that failed meanwhile and until the command ended.
	RollbackSeconds float64 `json:"rollback_seconds,omitempty"`
	RollbackFailed  int     `json:"rollback_failed"`
	// DetectedSeconds is the time from the canary's first answer to the
	// verdict, as the judge's recording has it, for a release that failed.
	DetectedSeconds float64 `json:"detected_seconds,omitempty"`
	// BackSeconds is the time from the canary's first answer to its last,
	// for a release that was put back; FailedAfter counts requests that
	// failed after it.
	BackSeconds float64 `json:"back_seconds,omitempty"`
	FailedAfter int     `json:"failed_after_back"`
}

// A scenario is a kind of application behind a kind of gateway.
type scenario struct {
	name   string
	slow   bool              // the gateway that takes 5 s to apply a route
	env    map[string]string // of every version
	before map[string]string // of version 1 alone
	probes int               // per second
	load   int               // requests per second from outside; loadRate where 0
	// analysis is an analysis file; PROMETHEUS stands for the sandbox's.
	analysis string
	dwell    string        // of each step; 10s where ""
	grace    time.Duration // of the pods; 10 s where 0
	delay    time.Duration // added to each answer of the API server
	rollback bool          // keep the old version warm, and go back to it
	releases []release
}

type release struct {
	tag  string
	env  map[string]string // of this version alone
	want int               // exit status
}

var good = []release{{tag: "v2"}, {tag: "v3"}, {tag: "v4"}}

// byPrometheus leaves the verdict to the users' requests as Prometheus counts them.
const byPrometheus = `version: 1
metrics:
- {name: probe, errors: {rate: 99, success: 1, ratio: 1000, floor: 99}, latency: {ratio: 1000, p95: 1m}}
- {name: users, prometheus: {url: PROMETHEUS, gateway: traefik}, errors: {}, latency: {}}
`

var slower = []release{{tag: "slow", env: map[string]string{"LATENCY": "100ms"}, want: 4}}

var broken = []release{{tag: "broken", env: map[string]string{"ERROR_RATE": "0.3"}, want: 4}}

var scenarios = []scenario{
	{name: "judge: 30 % errors, by probes", probes: 100, load: 100, releases: broken},
	{name: "judge: 30 % errors, by Prometheus", probes: 20, load: 100, analysis: byPrometheus, releases: broken},
	{name: "judge: latency twice, by probes", probes: 100, load: 100, before: map[string]string{"LATENCY": "50ms"}, dwell: "60s", releases: slower},
	{name: "judge: latency twice, by Prometheus", probes: 20, load: 100, before: map[string]string{"LATENCY": "50ms"}, analysis: byPrometheus, dwell: "60s", releases: slower},
	{name: "30 % errors", probes: 300, releases: broken},
	{name: "gateway applies routes within 2 s", probes: 100, releases: good},
	{name: "life: grace period of 30 s", probes: 50, grace: 30 * time.Second, releases: good[:2]},
	{name: "life: grace period of 30 s, 30 % errors", probes: 50, grace: 30 * time.Second, releases: broken},
	{name: "life: 80 ms to the API server", probes: 50, grace: 30 * time.Second, delay: 80 * time.Millisecond, releases: good[:1]},
	{name: "life: rollback while warm", probes: 100, rollback: true, releases: good[:2]},
	{name: "gateway applies routes within 5 s", probes: 100, slow: true, releases: good},
	{name: "pods exit at once on SIGTERM", probes: 100, env: map[string]string{"EXIT_ON_SIGTERM": "now"}, releases: good},
}

// Run measures every scenario whose name has this beginning, one after the
// other, and writes ResultFile.
func Run(ctx context.Context, out io.Writer, only string) error {
	s, err := sandbox.Up(ctx, sandbox.Options{Ephemeral: true, Progress: out})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	dir, err := os.MkdirTemp("", "bench-deploy")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // below the system's temporary folder
	tool := filepath.Join(dir, "deploy")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", tool, "./actions/deploy").CombinedOutput(); err != nil {
		return fmt.Errorf("build the tool: %w: %s", err, text)
	}
	var figures []Figure
	for i, sc := range scenarios {
		if !strings.HasPrefix(sc.name, only) {
			continue
		}
		fmt.Fprintf(out, "%s: %d releases under %d requests/s\n", sc.name, len(sc.releases), cmp.Or(sc.load, loadRate))
		b := bench{sandbox: s, tool: tool, dir: dir, ns: fmt.Sprintf("bench-%d-%d", i, os.Getpid()), out: out}
		got, err := b.run(ctx, sc)
		figures = append(figures, got...)
		if err != nil {
			return fmt.Errorf("%s: %w", sc.name, err)
		}
	}
	raw, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(ResultFile), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(ResultFile, append(raw, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\nwritten to %s\n", table(figures), ResultFile)
	return nil
}

type bench struct {
	sandbox       *sandbox.Sandbox
	tool, dir, ns string
	gateway       sandbox.Gateway
	out           io.Writer
}

func (b *bench) run(ctx context.Context, sc scenario) ([]Figure, error) {
	b.gateway = b.sandbox.Gateway
	if sc.slow {
		b.gateway = b.sandbox.SlowGateway
	}
	image, err := sample.Image(ctx, b.sandbox, tagOf(release{tag: "v1", env: sc.before}), sc.before)
	if err != nil {
		return nil, err
	}
	site := sample.App{Namespace: b.ns, Image: image, Env: sc.env, Gateway: b.gateway, GracePeriod: cmp.Or(sc.grace, 10*time.Second)}
	if err := sample.Deploy(ctx, b.sandbox, site); err != nil {
		return nil, err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := b.sandbox.DeleteNamespace(end, b.ns); err != nil {
			fmt.Fprintf(b.out, "delete namespace %s: %v\n", b.ns, err)
		}
	}()
	var figures []Figure
	for _, r := range sc.releases {
		f, err := b.release(ctx, sc, r)
		f.Scenario = sc.name
		figures = append(figures, f)
		if err != nil {
			return figures, err
		}
		fmt.Fprintf(b.out, "  %s: exit %d, %d of %d requests failed, took %.1f s, overhead %.1f s, drain %.1f s\n",
			f.Release, f.ExitCode, f.Failed, f.Requests, f.DurationSeconds, f.OverheadSeconds, f.DrainSeconds)
		if f.RollbackSeconds > 0 {
			fmt.Fprintf(b.out, "    rolled back: %.1f s from the command to the last answer of %s, %d failed\n", f.RollbackSeconds, f.Release, f.RollbackFailed)
		}
		if f.DetectedSeconds > 0 {
			fmt.Fprintf(b.out, "    judged bad after %.1f s, canary answered for %.1f s, %d failed after it\n", f.DetectedSeconds, f.BackSeconds, f.FailedAfter)
		}
	}
	return figures, nil
}

// release runs the tool once under load.
func (b *bench) release(ctx context.Context, sc scenario, r release) (Figure, error) {
	f := Figure{Release: r.tag}
	image, err := sample.Image(ctx, b.sandbox, tagOf(r), r.env)
	if err != nil {
		return f, err
	}
	dir := filepath.Join(b.dir, b.ns+"-"+r.tag)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return f, err
	}
	args := []string{"--image", image, "--namespace", b.ns, "--step-duration", cmp.Or(sc.dwell, "10s"), "--probe-rate", fmt.Sprint(sc.probes), "--report-dir", dir, "--bake-time", "0s"}
	if sc.rollback {
		args = append(args, "--keep-warm", "1h")
	}
	if sc.analysis != "" {
		file := filepath.Join(dir, "analysis.yaml")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(sc.analysis, "PROMETHEUS", b.sandbox.Prometheus)), 0o644); err != nil {
			return f, err
		}
		args = append(args, "--analysis-file", file)
	}
	kubeconfig := b.sandbox.Kubeconfig
	if sc.delay > 0 {
		proxy, err := delayed(ctx, kubeconfig, filepath.Join(dir, "kubeconfig"), sc.delay)
		if err != nil {
			return f, err
		}
		defer proxy.stop()
		kubeconfig = proxy.kubeconfig
	}
	l := b.load(cmp.Or(sc.load, loadRate))
	defer l.stop()
	run := func(args ...string) (text []byte, code int, err error) {
		cmd := exec.CommandContext(ctx, b.tool, args...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
		text, err = cmd.CombinedOutput()
		return text, cmd.ProcessState.ExitCode(), err
	}
	text, code, err := run(args...)
	f.ExitCode = code
	if sc.rollback && code == r.want {
		began := time.Now()
		text, code, err = run("--command", "rollback", "--namespace", b.ns, "--report-dir", b.dir)
		if code != 0 {
			return f, fmt.Errorf("rollback: exit status %d: %w\n%s", code, err, text)
		}
		l.stop()
		f.RollbackSeconds = l.last[tagOf(r)].Sub(began).Seconds()
		for _, at := range l.failures {
			if at.After(began) {
				f.RollbackFailed++
			}
		}
	}
	l.stop()
	f.Requests, f.Failed = l.total, l.failed
	f.BackSeconds, f.FailedAfter = l.back(r)
	if f.ExitCode != r.want {
		return f, fmt.Errorf("exit status %d, want %d: %w\n%s", f.ExitCode, r.want, err, text)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "canary-deployment-report.json"))
	if err != nil {
		return f, err
	}
	var result report.Result
	if err := json.Unmarshal(raw, &result); err != nil {
		return f, err
	}
	if f.DetectedSeconds, err = detected(filepath.Join(dir, "canary-deployment-analysis.jsonl")); err != nil {
		return f, err
	}
	f.Outcome = string(result.Outcome)
	f.ProbeRequests, f.ProbeFailed = result.TotalRequests, result.FailedRequests
	f.DurationSeconds = time.Duration(result.DurationSeconds).Seconds()
	f.OverheadSeconds = time.Duration(result.OverheadSeconds).Seconds()
	f.DrainSeconds = time.Duration(result.DrainSeconds).Seconds()
	for _, s := range result.StepRecords {
		if s.ObservedShare == nil {
			continue
		}
		f.Shares = append(f.Shares, *s.ObservedShare)
		if *s.ObservedShare < s.Interval[0] || *s.ObservedShare > s.Interval[1] {
			f.Outside++
		}
	}
	return f, nil
}

// tagOf is a tag of the release's own: two of the same name may differ.
func tagOf(r release) string {
	if r.env == nil {
		return r.tag
	}
	var parts []string
	for k, v := range r.env {
		parts = append(parts, strings.ToLower(k+"-"+v))
	}
	slices.Sort(parts)
	return r.tag + "-" + strings.NewReplacer("_", "-", " ", "").Replace(strings.Join(parts, "-"))
}

// detected reads from a recording how long after the canary's first answer it was
// failed; 0 when it was not.
func detected(path string) (float64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	var first time.Time
	for d := json.NewDecoder(file); ; {
		var e recording.Event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return 0, nil
		} else if err != nil {
			return 0, fmt.Errorf("read %s: %w", path, err)
		}
		if e.Points != nil && first.IsZero() {
			for _, p := range e.Points.Points {
				if p.Side == rollout.SideCanary && p.Total > 0 {
					first = p.At
				}
			}
		}
		if e.Look != nil && e.Look.Verdict == rollout.VerdictFailed {
			return e.Look.Now.Sub(first).Seconds(), nil
		}
	}
}

// A load is traffic from outside of the tool.
type load struct {
	stop          func()
	total, failed int
	failures      []time.Time
	first, last   map[string]time.Time // answer of each version, by time of sending
}

func (b *bench) load(rate int) *load {
	l := &load{first: map[string]time.Time{}, last: map[string]time.Time{}}
	attacker := vegeta.NewAttacker(vegeta.Timeout(10*time.Second), vegeta.KeepAlive(true), vegeta.Connections(100), vegeta.MaxWorkers(400))
	target := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: b.gateway.URL + "/", Header: http.Header{"Host": {b.ns + ".example.com"}}})
	results := attacker.Attack(target, vegeta.ConstantPacer{Freq: rate, Per: time.Second}, 15*time.Minute, "load")
	done := make(chan struct{})
	l.stop = sync.OnceFunc(func() { attacker.Stop(); <-done })
	go func() {
		defer close(done)
		for r := range results {
			l.total++
			if r.Code != http.StatusOK {
				l.failed++
				l.failures = append(l.failures, r.Timestamp)
			}
			if v := r.Headers.Get("X-Version"); v != "" {
				if l.first[v].IsZero() {
					l.first[v] = r.Timestamp
				}
				l.last[v] = r.Timestamp
			}
		}
	}()
	return l
}

// back is how long the version of a failed release answered, and how many
// requests failed after its last answer.
func (l *load) back(r release) (seconds float64, failedAfter int) {
	if r.want == 0 {
		return 0, 0
	}
	first, last := l.first[tagOf(r)], l.last[tagOf(r)]
	for _, at := range l.failures {
		if at.After(last) {
			failedAfter++
		}
	}
	return last.Sub(first).Seconds(), failedAfter
}

func table(figures []Figure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-36s %-7s %-9s %9s %6s %10s %9s %8s %8s  %s\n", "scenario", "release", "outcome", "requests", "failed", "probes", "overhead", "judged", "back", "shares (outside their interval)")
	for _, f := range figures {
		back, judged := "-", "-"
		if f.BackSeconds > 0 {
			back, judged = fmt.Sprintf("%.1f s", f.BackSeconds), fmt.Sprintf("%.1f s", f.DetectedSeconds)
		}
		var shares []string
		for _, s := range f.Shares {
			shares = append(shares, fmt.Sprintf("%.1f", 100*s))
		}
		fmt.Fprintf(&b, "%-36s %-7s %-9s %9d %6d %4d/%-5d %7.1f s %8s %8s  %s (%d)\n", f.Scenario, f.Release, f.Outcome, f.Requests, f.Failed, f.ProbeFailed, f.ProbeRequests,
			f.OverheadSeconds, judged, back, strings.Join(shares, " "), f.Outside)
	}
	return b.String()
}
