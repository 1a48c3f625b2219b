package action

import (
	"cmp"
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

// A Result is the result of a use case. Outputs, summary and exit status all
// come from it, so they cannot contradict each other.
type Result struct {
	Status  exit.Status
	Outputs map[string]string // by declared name; a missing one is set to ""
	Summary string            // Markdown for the step's summary; "" for none
	Hint    string            // what to do about a status other than exit.Done
	// Meaning says in a few words how the run ended, where the status's own words
	// would be false; "" for those.
	Meaning string
}

// Work runs a use case with valid inputs. An error sets the status unless the
// Result has one other than exit.Done.
type Work func(ctx context.Context, a *Action, values input.Values) (Result, error)

// Run executes one run and returns its exit status. With bad inputs it stops
// before it changes anything. Even after a panic it sets every output of the
// Spec and closes the open group.
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

// guard turns a panic into exit.AbortFailed: how far the run got is unknown,
// and so is the state.
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

// finish reports the outcome everywhere and returns the exit status.
func (a *Action) finish(spec input.Spec, result Result, err error) int {
	a.EndGroup()
	outcome, hint := settle(result, err)
	meaning := cmp.Or(result.Meaning, outcome.Meaning())
	if err != nil {
		a.fail(spec, meaning, err)
	}
	if hint != "" {
		a.Print("hint: " + hint)
	}
	var errs error
	for _, name := range slices.Sorted(maps.Keys(result.Outputs)) {
		if !spec.HasOutput(name) {
			errs = errors.Join(errs, fmt.Errorf("output %q is not declared", name))
		}
	}
	summary := result.Summary
	if summary == "" && err != nil && a.runner {
		summary = failureSummary(spec, meaning, err, hint)
	}
	if left := a.LeftOut(); left != "" {
		summary = strings.TrimRight(summary, "\n") + "\n\n" + left + "\n"
	}
	if summary != "" {
		errs = errors.Join(errs, a.AddSummary(summary))
	}
	errs = errors.Join(errs, a.setOutputs(spec, result, outcome))
	if errs != nil {
		a.Annotate(Annotation{Level: Error, Title: spec.Name, Message: errs.Error()})
		if outcome == exit.Done {
			outcome = exit.CouldNotRun
			meaning = outcome.Meaning()
		}
	}
	if outcome != exit.Done {
		a.Printf("%s: %s (exit status %d)", spec.Name, meaning, outcome.Code())
	}
	return outcome.Code()
}

// settle returns the status and hint of what the work returned.
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

// fail reports an error as one annotation. Input problems stay one per line.
func (a *Action) fail(spec input.Spec, meaning string, err error) {
	a.Annotate(Annotation{Level: Error, Title: spec.Name + ": " + meaning, Message: err.Error()})
}

func failureSummary(spec input.Spec, meaning string, err error, hint string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s: %s\n\n", spec.Title, meaning)
	for line := range strings.Lines(err.Error()) {
		b.WriteString("    " + line)
	}
	b.WriteString("\n")
	if hint != "" {
		fmt.Fprintf(&b, "\n%s\n", hint)
	}
	return b.String()
}

// setOutputs sets every output of the Spec. An output without a value is "",
// except that "status" falls back to the outcome.
func (a *Action) setOutputs(spec input.Spec, result Result, outcome exit.Status) error {
	var errs error
	for _, o := range spec.Outputs {
		value := result.Outputs[o.Name]
		if value == "" && o.Name == "status" {
			value = outcome.String()
		}
		errs = errors.Join(errs, a.SetOutput(o.Name, value))
		if !a.runner && value != "" {
			a.Printf("%s: %s", o.Name, value)
		}
	}
	return errs
}
