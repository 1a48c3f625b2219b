package action

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
)

// A Result is what a use case did. Outputs, summary and exit status all come
// from it, so that they cannot contradict each other.
type Result struct {
	Status  exit.Status
	Outputs map[string]string // by declared name; what is missing is set to ""
	Summary string            // Markdown for the step's summary; "" for none
	Hint    string            // what a person can do about an outcome other than exit.Done
}

// Work is a use case's run after its inputs are known to be good. An error sets
// the outcome unless the Result names a worse one than exit.Done.
type Work func(ctx context.Context, a *Action, values input.Values) (Result, error)

// Run does one run from its inputs to its exit status. Bad inputs end it before
// anything is touched. Whatever happens, a panic included, every output of the
// Spec is set and no group is left open.
func Run(env Env, args []string, spec input.Spec, work Work) int {
	a := newAction(env)
	values, err := spec.Parse(args, env.Getenv)
	for _, secret := range values.Secrets() {
		a.Mask(secret)
	}
	if errors.Is(err, input.ErrHelp) {
		a.Print(spec.Help())
		return exit.Done.Code()
	}
	var result Result
	if err == nil {
		ctx, stop := stopContext(context.Background(), env, a.Print)
		result, err = guard(ctx, a, values, work)
		stop()
	}
	return a.finish(spec, result, err)
}

// guard turns a panic into the outcome that says least: where the run was when
// it crashed is not known, so neither is what it left behind.
func guard(ctx context.Context, a *Action, values input.Values, work Work) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.Print(string(debug.Stack()))
			result = Result{Status: exit.AbortFailed}
			err = &exit.Error{Status: exit.AbortFailed, Err: fmt.Errorf("crashed: %v", p)}
		}
	}()
	return work(ctx, a, values)
}

// finish tells the outcome everywhere and returns the exit status.
func (a *Action) finish(spec input.Spec, result Result, err error) int {
	a.EndGroup()
	outcome, hint := settle(result, err)
	if err != nil {
		a.fail(spec, outcome, err)
	}
	if hint != "" {
		a.Print("hint: " + hint)
	}
	var told error
	for _, name := range slices.Sorted(maps.Keys(result.Outputs)) {
		if !spec.HasOutput(name) {
			told = errors.Join(told, fmt.Errorf("output %q is not declared", name))
		}
	}
	summary := result.Summary
	if summary == "" && err != nil && a.runner {
		summary = failureSummary(spec, outcome, err, hint)
	}
	if left := a.LeftOut(); left != "" {
		summary = strings.TrimRight(summary, "\n") + "\n\n" + left + "\n"
	}
	if summary != "" {
		told = errors.Join(told, a.AddSummary(summary))
	}
	told = errors.Join(told, a.setOutputs(spec, result, outcome))
	if told != nil {
		a.Annotate(Annotation{Level: Error, Title: spec.Name, Message: told.Error()})
		if outcome == exit.Done {
			outcome = exit.CouldNotRun
		}
	}
	if outcome != exit.Done {
		a.Printf("%s: %s (exit status %d)", spec.Name, outcome.Meaning(), outcome.Code())
	}
	return outcome.Code()
}

// settle makes one outcome of what the work returned.
func settle(result Result, err error) (exit.Status, string) {
	outcome, hint := exit.Of(err)
	if result.Status != exit.Done {
		outcome = result.Status
	}
	if hint == "" {
		hint = result.Hint
	}
	return outcome, hint
}

// fail shows an error as one annotation. Input problems keep their lines.
func (a *Action) fail(spec input.Spec, outcome exit.Status, err error) {
	a.Annotate(Annotation{Level: Error, Title: spec.Name + ": " + outcome.Meaning(), Message: err.Error()})
}

func failureSummary(spec input.Spec, outcome exit.Status, err error, hint string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s: %s\n\n", spec.Title, outcome.Meaning())
	for line := range strings.Lines(err.Error()) {
		b.WriteString("    " + line)
	}
	b.WriteString("\n")
	if hint != "" {
		fmt.Fprintf(&b, "\n%s\n", hint)
	}
	return b.String()
}

// setOutputs sets every output of the Spec. The one named "status" falls back
// to the outcome, the others to "".
func (a *Action) setOutputs(spec input.Spec, result Result, outcome exit.Status) error {
	var told error
	for _, o := range spec.Outputs {
		value := result.Outputs[o.Name]
		if value == "" && o.Name == "status" {
			value = outcome.String()
		}
		told = errors.Join(told, a.SetOutput(o.Name, value))
		if !a.runner && value != "" {
			a.Printf("%s: %s", o.Name, value)
		}
	}
	return told
}
