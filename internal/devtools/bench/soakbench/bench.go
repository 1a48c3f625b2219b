// Package soakbench lives the life of one target on the sandbox: releases good
// and bad, killed tools, and a user who restarts, scales and edits the Deployment
// meanwhile, all under load from outside of the tool. The order of it depends on
// a seed alone. At the end every failed request must be a bad version's own, no
// run may have been stuck, and all must be as the user wrote it.
package soakbench

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/exit"
)

// ResultFile is where the result goes, below the repository's root. The output
// of every run goes into a folder beside it.
const ResultFile = "out/bench-soak.json"

// options configure a soak.
type options struct {
	duration time.Duration // no run starts after it but the last
	seed     uint64
	rate     int     // requests per second from outside
	during   float64 // share of the undisturbed runs that a user's change meets
	file     string  // of the result
}

func parseOptions(args []string) (options, error) {
	o := options{file: ResultFile}
	flags := flag.NewFlagSet("bench:soak", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.DurationVar(&o.duration, "duration", time.Hour, "no run starts after it but the last")
	flags.Uint64Var(&o.seed, "seed", rand.Uint64(), "the order of all that happens")
	flags.IntVar(&o.rate, "rate", 300, "requests per second from outside")
	flags.Float64Var(&o.during, "during", 0, "share of runs that a user's change meets")
	err := flags.Parse(args)
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.duration < 0 || o.rate < 1 || o.during < 0 || o.during > 1:
		err = fmt.Errorf("duration %s, rate %d, during %g: want at least 0s, at least 1, and 0 to 1", o.duration, o.rate, o.during)
	}
	if err != nil {
		return o, &exit.Error{Status: exit.BadInput, Err: err}
	}
	return o, nil
}

// Run is the mage target bench:soak. It returns an error unless all was well.
func Run(ctx context.Context, out io.Writer, args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	s, err := sandbox.Up(ctx, sandbox.Options{Ephemeral: true, Progress: out})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	ns := fmt.Sprintf("soak-%d", os.Getpid())
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := s.DeleteNamespace(end, ns); err != nil {
			fmt.Fprintf(out, "delete namespace %s: %v\n", ns, err)
		}
	}()
	return run(ctx, s, ns, o, out)
}

// run does the soak in namespace ns and writes the result.
func run(ctx context.Context, s *sandbox.Sandbox, ns string, o options, out io.Writer) error {
	fmt.Fprintf(out, "soak for %s under %d requests/s, seed %d\n", o.duration, o.rate, o.seed)
	k := &soak{sandbox: s, ns: ns, options: o, out: out, logs: strings.TrimSuffix(o.file, ".json")}
	if err := os.RemoveAll(k.logs); err != nil {
		return err
	}
	if err := os.MkdirAll(k.logs, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-soak")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // below the system's temporary folder
	if err := k.build(ctx, filepath.Join(dir, "deploy")); err != nil {
		return err
	}
	result, err := k.live(ctx)
	if err != nil {
		return err
	}
	if err := result.write(o.file); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\nwritten to %s, output of the runs in %s\n", result, o.file, k.logs)
	if n := len(result.Problems); n > 0 {
		return fmt.Errorf("the soak failed: %d problems, first: %s", n, result.Problems[0])
	}
	return nil
}

// build builds the tool and finds out which flags it has.
func (k *soak) build(ctx context.Context, path string) error {
	const program = "github.com/candlefish/deploy-action/actions/deploy"
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", path, program).CombinedOutput(); err != nil {
		return fmt.Errorf("build the tool: %w: %s", err, text)
	}
	help, err := exec.CommandContext(ctx, path, "--help").CombinedOutput()
	if err != nil {
		return fmt.Errorf("ask the tool for its flags: %w: %s", err, help)
	}
	k.tool, k.bake = path, strings.Contains(string(help), "--bake-time ")
	return nil
}

// A Result is a whole soak.
type Result struct {
	Seed     uint64         `json:"seed"`
	Passed   bool           `json:"passed"`
	Problems []string       `json:"problems"`
	Started  time.Time      `json:"started"`
	Seconds  float64        `json:"seconds"`
	Rate     int            `json:"rate"`
	Requests int            `json:"requests"`
	Own      int            `json:"failed_requests_of_bad_versions"`
	NotOwn   int            `json:"failed_requests"` // those apart
	Answers  map[string]int `json:"answers_by_version"`
	First    []Failure      `json:"first_failed_requests"`
	Runs     []Release      `json:"runs"`
	// Left is where the namespace was not as the user wrote it at the end.
	Left []string `json:"left"`
}

// conclude fills in the problems of the whole from those of its parts.
func (r *Result) conclude() {
	if r.Requests == 0 {
		r.Problems = append(r.Problems, "no request was sent")
	}
	if r.NotOwn > 0 {
		r.Problems = append(r.Problems, fmt.Sprintf("%d of %d requests failed, the bad version's own %d not among them", r.NotOwn, r.Requests, r.Own))
	}
	if n := r.Answers[unreadyTag]; n > 0 {
		r.Problems = append(r.Problems, fmt.Sprintf("%d requests were led to the version that is never ready", n))
	}
	for _, run := range r.Runs {
		for _, p := range run.Problems {
			r.Problems = append(r.Problems, fmt.Sprintf("run %d: %s", run.Number, p))
		}
	}
	for _, l := range r.Left {
		r.Problems = append(r.Problems, "not as the user wrote it: "+l)
	}
	r.Passed = len(r.Problems) == 0
}

func (r *Result) write(path string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

// String returns the result as a table.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%4s %-13s %-8s %5s %8s %7s  %-18s %s\n", "run", "image", "kind", "exit", "seconds", "failed", "serves", "user's change")
	for _, run := range r.Runs {
		fmt.Fprintf(&b, "%4d %-13s %-8s %5d %8.1f %7d  %-18s %s\n", run.Number, run.Image, run.Kind, run.Exit, run.Seconds, run.NotOwn,
			strings.Join(run.Live, "+"), strings.TrimSpace(string(run.Change+" "+run.During)))
		for _, p := range run.Problems {
			fmt.Fprintf(&b, "       %s\n", p)
		}
	}
	fmt.Fprintf(&b, "seed %d: %d runs in %.0f s, %d requests: %d failed, beside %d errors that the bad version makes\n",
		r.Seed, len(r.Runs), r.Seconds, r.Requests, r.NotOwn, r.Own)
	for _, f := range r.First {
		fmt.Fprintf(&b, "  %s\n", f)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "FAILED: %s\n", p)
	}
	return b.String()
}
