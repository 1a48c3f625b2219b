// Package deploybench measures canaries on the stage: real releases under load
// from outside of the tool. It prints what it measured and writes it to one
// JSON file; it judges nothing but whether a release ended as it should, and
// its figures are for documents, not for tests.
package deploybench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/stage"
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
	// BackSeconds is the time from the canary's first answer to its last,
	// for a release that was put back; FailedAfter counts requests that
	// failed after it.
	BackSeconds float64 `json:"back_seconds,omitempty"`
	FailedAfter int     `json:"failed_after_back"`
}

// A scenario is a kind of application behind a kind of gateway.
type scenario struct {
	name     string
	slow     bool              // the gateway that takes 5 s to apply a route
	env      map[string]string // of every version
	probes   int               // per second
	releases []release
}

type release struct {
	tag  string
	env  map[string]string // of this version alone
	want int               // exit status
}

var good = []release{{tag: "v2"}, {tag: "v3"}, {tag: "v4"}}

var scenarios = []scenario{
	{name: "30 % errors", probes: 300, releases: []release{{tag: "broken", env: map[string]string{"ERROR_RATE": "0.3"}, want: 4}}},
	{name: "gateway applies routes within 2 s", probes: 100, releases: good},
	{name: "gateway applies routes within 5 s", probes: 100, slow: true, releases: good},
	{name: "pods exit at once on SIGTERM", probes: 100, env: map[string]string{"EXIT_ON_SIGTERM": "now"}, releases: good},
}

// Run measures every scenario, one after the other, and writes ResultFile.
func Run(ctx context.Context, out io.Writer) error {
	s, err := stage.Up(ctx, stage.Options{Ephemeral: true, Progress: out})
	if err != nil {
		return err
	}
	defer s.Close()
	dir, err := os.MkdirTemp("", "bench-deploy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tool := filepath.Join(dir, "deploy")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", tool, "./actions/deploy").CombinedOutput(); err != nil {
		return fmt.Errorf("build the tool: %w: %s", err, text)
	}
	var figures []Figure
	for i, sc := range scenarios {
		fmt.Fprintf(out, "%s: %d releases under %d requests/s\n", sc.name, len(sc.releases), loadRate)
		b := bench{stage: s, tool: tool, dir: dir, ns: fmt.Sprintf("bench-%d-%d", i, os.Getpid()), out: out}
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
	stage         *stage.Stage
	tool, dir, ns string
	gateway       stage.Gateway
	out           io.Writer
}

func (b *bench) run(ctx context.Context, sc scenario) ([]Figure, error) {
	b.gateway = b.stage.Gateway
	if sc.slow {
		b.gateway = b.stage.SlowGateway
	}
	image, err := stage.WebsiteImage(ctx, b.stage, "v1", nil)
	if err != nil {
		return nil, err
	}
	sample := stage.Sample{Namespace: b.ns, Image: image, Env: sc.env, Gateway: b.gateway, GracePeriod: 10 * time.Second}
	if err := b.stage.Deploy(ctx, sample); err != nil {
		return nil, err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := b.stage.DeleteNamespace(end, b.ns); err != nil {
			fmt.Fprintf(b.out, "delete namespace %s: %v\n", b.ns, err)
		}
	}()
	var figures []Figure
	for _, r := range sc.releases {
		f, err := b.release(ctx, sc.probes, r)
		f.Scenario = sc.name
		figures = append(figures, f)
		if err != nil {
			return figures, err
		}
		fmt.Fprintf(b.out, "  %s: exit %d, %d of %d requests failed, took %.1f s, overhead %.1f s, canary answered for %.1f s, %d failed after it\n",
			f.Release, f.ExitCode, f.Failed, f.Requests, f.DurationSeconds, f.OverheadSeconds, f.BackSeconds, f.FailedAfter)
	}
	return figures, nil
}

// release runs the tool once under load.
func (b *bench) release(ctx context.Context, probes int, r release) (Figure, error) {
	f := Figure{Release: r.tag}
	image, err := stage.WebsiteImage(ctx, b.stage, r.tag, r.env)
	if err != nil {
		return f, err
	}
	dir := filepath.Join(b.dir, b.ns+"-"+r.tag)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return f, err
	}
	l := b.load()
	defer l.stop()
	cmd := exec.CommandContext(ctx, b.tool, "--image", image, "--namespace", b.ns, "--step-duration", "10s", "--probe-rate", fmt.Sprint(probes), "--report-dir", dir)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+b.stage.Kubeconfig)
	text, err := cmd.CombinedOutput()
	f.ExitCode = cmd.ProcessState.ExitCode()
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
	f.Outcome = result.Outcome
	f.ProbeRequests, f.ProbeFailed = result.TotalRequests, result.FailedRequests
	f.DurationSeconds = time.Duration(result.DurationSeconds).Seconds()
	f.OverheadSeconds = time.Duration(result.OverheadSeconds).Seconds()
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

// A load is traffic from outside of the tool.
type load struct {
	stop          func()
	total, failed int
	failures      []time.Time
	first, last   map[string]time.Time // answer of each version, by time of sending
}

func (b *bench) load() *load {
	l := &load{first: map[string]time.Time{}, last: map[string]time.Time{}}
	attacker := vegeta.NewAttacker(vegeta.Timeout(10*time.Second), vegeta.KeepAlive(true), vegeta.Connections(100), vegeta.MaxWorkers(400))
	target := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: b.gateway.URL + "/", Header: http.Header{"Host": {b.ns + ".example.com"}}})
	results := attacker.Attack(target, vegeta.ConstantPacer{Freq: loadRate, Per: time.Second}, 15*time.Minute, "load")
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
	first, last := l.first[r.tag], l.last[r.tag]
	for _, at := range l.failures {
		if at.After(last) {
			failedAfter++
		}
	}
	return last.Sub(first).Seconds(), failedAfter
}

func table(figures []Figure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-36s %-7s %-9s %9s %6s %7s %9s %8s  %s\n", "scenario", "release", "outcome", "requests", "failed", "probes", "overhead", "back", "shares")
	for _, f := range figures {
		back := "-"
		if f.BackSeconds > 0 {
			back = fmt.Sprintf("%.1f s", f.BackSeconds)
		}
		var shares []string
		for _, s := range f.Shares {
			shares = append(shares, fmt.Sprintf("%.1f", 100*s))
		}
		fmt.Fprintf(&b, "%-36s %-7s %-9s %9d %6d %3d/%-5d %7.1f s %8s  %s\n", f.Scenario, f.Release, f.Outcome, f.Requests, f.Failed, f.ProbeFailed, f.ProbeRequests, f.OverheadSeconds, back, strings.Join(shares, " "))
	}
	return b.String()
}
