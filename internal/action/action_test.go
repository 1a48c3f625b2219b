package action_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
)

var spec = input.Spec{
	Name: "demo", Title: "Demo", Description: "Shows.",
	Inputs: []input.Def{
		{Name: "steps", Kind: input.Steps, Default: "100", Help: "h"},
		{Name: "rate", Kind: input.Int, Default: "1", Help: "h"},
		{Name: "key", Secret: true, Kind: input.List, Help: "h"},
	},
	Outputs: []input.Output{{Name: "status", Help: "h"}, {Name: "image", Help: "h"}},
}

// demo returns a main function that runs work.
func demo(work action.Work) func(action.Env, []string) int {
	return func(env action.Env, args []string) int { return action.Run(env, args, spec, work) }
}

func TestRunReportsSuccess(t *testing.T) {
	t.Parallel()
	step := actiontest.NewStep(t, map[string]string{"steps": "5,100"})
	r := step.Run(demo(func(_ context.Context, a *action.Action, v input.Values) (action.Result, error) {
		a.Group("step one")
		a.Print("working")
		a.Group("step two")
		return action.Result{
			Outputs: map[string]string{"status": "promoted", "image": "web:2\nweb:3"},
			Summary: fmt.Sprintf("### Promoted [%d %d]", v.Steps("steps")[0].Weight, v.Steps("steps")[1].Weight),
		}, nil
	}))
	if r.Code != 0 {
		t.Errorf("exit status %d, want 0; log:\n%s", r.Code, r.Log)
	}
	want := map[string]string{"status": "promoted", "image": "web:2\nweb:3"}
	if diff := cmp.Diff(want, r.Outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if r.Summary != "### Promoted [5 100]\n" {
		t.Errorf("summary = %q", r.Summary)
	}
	if got := "::group::step one\nworking\n::endgroup::\n::group::step two\n::endgroup::\n"; r.Log != got {
		t.Errorf("log = %q, want %q", r.Log, got)
	}
}

func TestExitTable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		result action.Result
		err    error
		code   int
		status string
	}{
		{"done", action.Result{}, nil, 0, "done"},
		{"plain error", action.Result{}, errors.New("no cluster"), 1, "failed"},
		{"problems found later", action.Result{}, fmt.Errorf("x: %w", input.Problems{{Name: "a", Reason: "b"}}), 2, "bad-input"},
		{"a gate", action.Result{Status: exit.GateRefused}, nil, 3, "refused"},
		{"aborted", action.Result{Status: exit.Aborted}, nil, 4, "aborted"},
		{"aborted, with its reason", action.Result{}, &exit.Error{Status: exit.Aborted, Err: errors.New("too slow")}, 4, "aborted"},
		{"abort failed", action.Result{Status: exit.AbortFailed}, errors.New("patch: refused"), 5, "abort-failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := actiontest.NewStep(t, nil).Run(demo(func(context.Context, *action.Action, input.Values) (action.Result, error) {
				return tt.result, tt.err
			}))
			if r.Code != tt.code || r.Outputs["status"] != tt.status {
				t.Errorf("exit status %d and %q, want %d and %q", r.Code, r.Outputs["status"], tt.code, tt.status)
			}
			if _, ok := r.Outputs["image"]; !ok {
				t.Error("output image is not set")
			}
			if tt.err != nil && (len(r.Annotations["error"]) != 1 || !strings.Contains(r.Summary, tt.err.Error())) {
				t.Errorf("errors %q, summary %q", r.Annotations["error"], r.Summary)
			}
		})
	}
}

func TestBadInputTouchesNothing(t *testing.T) {
	t.Parallel()
	step := actiontest.NewStep(t, map[string]string{"steps": "5,101", "rate": "many"})
	r := step.Run(demo(func(context.Context, *action.Action, input.Values) (action.Result, error) {
		t.Error("the work started")
		return action.Result{}, nil
	}), "--nope")
	if r.Code != 2 || r.Outputs["status"] != "bad-input" {
		t.Errorf("exit status %d, status %q", r.Code, r.Outputs["status"])
	}
	for _, want := range []string{`"5,101"`, `"many"`, "--nope"} {
		if !strings.Contains(r.Annotations["error"][0], want) {
			t.Errorf("%s is not in %q", want, r.Annotations["error"])
		}
	}
}

func TestPanicIsNoSuccess(t *testing.T) {
	t.Parallel()
	r := actiontest.NewStep(t, nil).Run(demo(func(_ context.Context, a *action.Action, _ input.Values) (action.Result, error) {
		a.Group("open")
		panic("boom")
	}))
	if r.Code != 5 || !strings.Contains(r.Log, "crashed: boom") || r.Outputs["status"] != "abort-failed" {
		t.Errorf("exit status %d, outputs %v, log:\n%s", r.Code, r.Outputs, r.Log)
	}
}

func TestUndeclaredOutputIsAnError(t *testing.T) {
	t.Parallel()
	r := actiontest.NewStep(t, nil).Run(demo(func(context.Context, *action.Action, input.Values) (action.Result, error) {
		return action.Result{Outputs: map[string]string{"imgae": "x"}}, nil
	}))
	if r.Code != 1 || !strings.Contains(r.Log, `output "imgae" is not declared`) {
		t.Errorf("exit status %d, log:\n%s", r.Code, r.Log)
	}
}

func TestMissingOutputFileIsAnError(t *testing.T) {
	t.Parallel()
	step := actiontest.NewStep(t, nil)
	step.Setenv("GITHUB_STATE", "")
	r := step.Run(demo(func(_ context.Context, a *action.Action, _ input.Values) (action.Result, error) {
		return action.Result{}, a.SaveState("lease", "x")
	}))
	if r.Code != 1 || !strings.Contains(r.Log, "GITHUB_STATE is not set") {
		t.Errorf("exit status %d, log:\n%s", r.Code, r.Log)
	}
}

// No output contains a secret, whichever way the run prints it.
func TestSecretStaysIn(t *testing.T) {
	t.Parallel()
	const planted = "-----BEGIN KEY-----\nMIIEvQIBADANBg==\n-----END KEY-----"
	step := actiontest.NewStep(t, map[string]string{"key": planted})
	step.Setenv("GITHUB_TOKEN", "tok-4711-planted")
	step.Setenv("RUNNER_DEBUG", "1")
	leaks := []string{"MIIEvQIBADANBg==", "tok-4711-planted", "hunter2", "sig=abc"}
	text := planted + " tok-4711-planted https://u:hunter2@host.example/?sig=abc"
	r := step.Run(demo(func(_ context.Context, a *action.Action, v input.Values) (action.Result, error) {
		a.Group(text)
		a.Print(text)
		a.Debug(text)
		a.Annotate(action.Annotation{Level: action.Warning, Title: text, Message: text, File: text})
		a.Log().Info("info", slog.String("key", text))
		a.Log().With("key", text).WithGroup("g").Error("bad", "inner", slog.GroupValue(slog.String("key", text)))
		a.Print(fmt.Sprint(v.All()))
		for _, set := range []func(string, string) error{a.SetOutput, a.SaveState, a.SetEnv} {
			if err := set("image", text); err != nil {
				t.Error(err)
			}
		}
		return action.Result{
			Summary: text,
			Outputs: map[string]string{"image": text},
			Hint:    text,
		}, fmt.Errorf("get %q: %s", text, text)
	}))
	if diff := cmp.Diff([]string{"tok-4711-planted", "-----BEGIN KEY-----", "MIIEvQIBADANBg==", "-----END KEY-----"}, r.Masks); diff != "" {
		t.Errorf("masks (-want +got):\n%s", diff)
	}
	unmasked := r.Raw
	for _, m := range r.Masks {
		unmasked = strings.Replace(unmasked, "::add-mask::"+m+"\n", "", 1)
	}
	for _, leak := range leaks {
		for where, text := range map[string]string{
			"log": unmasked, "summary": r.Summary, "outputs": fmt.Sprint(r.Outputs), "state": fmt.Sprint(r.State), "env": fmt.Sprint(r.Env),
		} {
			if strings.Contains(text, leak) {
				t.Errorf("%q is in the %s:\n%s", leak, where, text)
			}
		}
	}
}

func TestTextIsNoCommand(t *testing.T) {
	t.Parallel()
	r := actiontest.NewStep(t, nil).Run(demo(func(_ context.Context, a *action.Action, _ input.Values) (action.Result, error) {
		a.Print("pod said:\n  ::set-env name=X::y\r::stop-commands::z\n##[error]boo")
		a.Group("title\n::set-env name=X::y")
		a.Annotate(action.Annotation{Level: action.Notice, Message: "one\n::error::two"})
		return action.Result{}, nil
	}))
	if strings.Contains(r.Log, "##[") || len(r.Annotations["error"]) != 0 || len(r.Annotations["notice"]) != 1 {
		t.Errorf("log:\n%s\nannotations: %v", r.Log, r.Annotations)
	}
}

func TestAnnotationsAboveTheLimitAreCounted(t *testing.T) {
	t.Parallel()
	r := actiontest.NewStep(t, nil).Run(demo(func(_ context.Context, a *action.Action, _ input.Values) (action.Result, error) {
		for i := range 13 {
			a.Annotate(action.Annotation{Level: action.Warning, Message: fmt.Sprint("number ", i)})
		}
		return action.Result{Summary: "### Done\n"}, nil
	}))
	if got := len(r.Annotations["warning"]); got != 10 {
		t.Errorf("%d annotations, want 10", got)
	}
	if !strings.Contains(r.Log, "warning: number 12") || !strings.Contains(r.Summary, "3 more of level warning") {
		t.Errorf("log:\n%s\nsummary:\n%s", r.Log, r.Summary)
	}
}

func TestSummaryIsCutOnALine(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x", 99) + "\n"
	r := actiontest.NewStep(t, nil).Run(demo(func(_ context.Context, a *action.Action, _ input.Values) (action.Result, error) {
		for range 3 {
			if err := a.AddSummary(strings.Repeat(line, 6000)); err != nil {
				t.Error(err)
			}
		}
		return action.Result{Summary: "### Last\n"}, nil
	}))
	if len(r.Summary) > action.SummaryLimit || !strings.Contains(r.Summary, "The summary is cut here, at") {
		t.Errorf("summary has %d bytes, ends with %q", len(r.Summary), r.Summary[len(r.Summary)-100:])
	}
	for l := range strings.Lines(strings.Split(r.Summary, "\n\n_The")[0] + "\n") {
		if l != line {
			t.Fatalf("line %q is cut", l)
		}
	}
}

func TestWithoutARunner(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	env := action.Env{Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &out}
	code := action.Run(env, []string{"--key=s3cr3t"}, spec, func(_ context.Context, a *action.Action, _ input.Values) (action.Result, error) {
		a.Group("step one")
		a.Annotate(action.Annotation{Level: action.Warning, Title: "slow", Message: "it took s3cr3t"})
		return action.Result{Outputs: map[string]string{"status": "held"}, Summary: "### Held", Status: exit.Aborted}, nil
	})
	want := "== step one\nwarning: slow: it took ***\nstatus: held\ndemo: aborted; stable is serving (exit status 4)\n"
	if diff := cmp.Diff(want, out.String()); diff != "" || code != 4 {
		t.Errorf("exit status %d, output (-want +got):\n%s", code, diff)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	r := actiontest.NewStep(t, map[string]string{"steps": "bad"}).Run(demo(nil), "--help")
	if r.Code != 0 || !strings.Contains(r.Log, "--steps") {
		t.Errorf("exit status %d, log:\n%s", r.Code, r.Log)
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 4)
	exited := make(chan int, 1)
	var out strings.Builder
	env := action.Env{
		Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &out,
		Notify: func() (<-chan os.Signal, func()) { return signals, func() {} },
		Exit:   func(code int) { exited <- code },
	}
	code := action.Run(env, nil, spec, func(ctx context.Context, _ *action.Action, _ input.Values) (action.Result, error) {
		signals <- syscall.SIGINT
		<-ctx.Done()
		var cause *action.SignalError
		if !errors.As(context.Cause(ctx), &cause) || cause.Signal != syscall.SIGINT {
			t.Errorf("cause = %v", context.Cause(ctx))
		}
		signals <- syscall.SIGHUP // mage dies of the same Ctrl-C: no second signal
		signals <- syscall.SIGTERM
		if got := <-exited; got != 5 {
			t.Errorf("exit status of the second signal = %d, want 5", got)
		}
		return action.Result{Status: exit.Aborted}, context.Cause(ctx)
	})
	if code != 4 {
		t.Errorf("exit status %d, want 4", code)
	}
}

// One stop that reaches the process twice, as GNU timeout sends it, does not force
// the exit; the same signal a second later does.
func TestRepeatOfOneSignal(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 4)
	exited := make(chan int, 4)
	var out strings.Builder
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	arrivals := []time.Time{began, began.Add(time.Second - 1), began.Add(time.Second)}
	env := action.Env{
		Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &out,
		Notify: func() (<-chan os.Signal, func()) { return signals, func() {} },
		Exit:   func(code int) { exited <- code },
		Now: func() time.Time {
			now := arrivals[0]
			arrivals = arrivals[1:]
			return now
		},
	}
	action.Run(env, nil, spec, func(ctx context.Context, _ *action.Action, _ input.Values) (action.Result, error) {
		for range arrivals {
			signals <- syscall.SIGTERM
		}
		<-ctx.Done()
		if got := <-exited; got != 5 {
			t.Errorf("exit status of the second stop = %d, want 5", got)
		}
		if len(arrivals) > 0 {
			t.Errorf("forced the exit with %d more signals to come", len(arrivals))
		}
		return action.Result{Status: exit.Aborted}, context.Cause(ctx)
	})
}
