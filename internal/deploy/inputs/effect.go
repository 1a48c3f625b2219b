package inputs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/deploy/inputs/members"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// autoPromote is the input whose value false asks for a person's approval.
const autoPromote = "auto-promote"

// approvals says how a release waits for a person.
const approvals = "strategy blue-green, or a pause in steps such as 25:pause,100"

// explicit reports whether somebody gave an input to this run: not the environment,
// which one workflow may set for all its releases, and not a record.
func explicit(v input.Values, name string) bool {
	kind := v.Source(name).Kind
	return v.IsSet(name) && kind != "env" && kind != recorded
}

// Idle returns the inputs, in their order, whose values have no effect with a
// strategy. The inputs of rolling updates are not among them: Parse refuses those.
func Idle(v input.Values, strategy rollout.Strategy) []string {
	var names []string
	if strategy != rollout.StrategyBlueGreen {
		for _, d := range blueGreenInputs() {
			names = append(names, d.Name)
		}
	}
	if strategy == rollout.StrategyRolling {
		names = append(names, "keep-warm", "router")
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return !v.Differs(name)
	})
}

// Effective returns a problem for every input that was given to this release and has
// no effect with its strategy, which a marker may have chosen. Variables of the
// environment count for the strategy that they belong to; the warning is about one
// that a person relies on. It is "" for none.
func (c Config) Effective(v input.Values) (problems input.Problems, warning string) {
	if c.Command != CommandDeploy || c.Attach || members.Asked(v) {
		return nil, ""
	}
	for _, name := range Idle(v, c.Strategy) {
		switch only := onlyWith(name); {
		case explicit(v, name):
			p := v.Problem(name, fmt.Sprintf("has an effect only with strategy %s, and this release is %s", only, c.Strategy))
			if name == autoPromote {
				p.Allowed = approvals
			}
			problems = append(problems, p)
		case name == autoPromote:
			warning = fmt.Sprintf("%s=%s has no effect with strategy %s: nothing waits for an approval; for one, use %s", v.Source(name).Name, v.Text(name), c.Strategy, approvals)
		}
	}
	if c.Strategy == rollout.StrategyBlueGreen && explicit(v, "steps") && slices.ContainsFunc(v.Steps("steps"), pauses) {
		p := v.Problem("steps", "has no effect with strategy blue-green, and nothing would wait in its pauses")
		p.Allowed = "auto-promote: false for an approval before the switch"
		problems = append(problems, p)
	}
	return problems, warning
}

// pauses reports whether a step waits after its dwell.
func pauses(s input.Step) bool { return s.Pause > 0 || s.UntilPromoted }

// onlyWith names the strategies with which an input has an effect that not all have.
func onlyWith(name string) string {
	if slices.ContainsFunc(blueGreenInputs(), func(d input.Def) bool { return d.Name == name }) {
		return string(rollout.StrategyBlueGreen)
	}
	return strings.Join([]string{string(rollout.StrategyCanary), string(rollout.StrategyBlueGreen)}, " or ")
}

// connectionTogether returns the inputs that eks-cluster leaves without effect.
func connectionTogether(v input.Values) input.Problems {
	var problems input.Problems
	for _, name := range []string{"kubeconfig", "kube-context"} {
		if explicit(v, "eks-cluster") && explicit(v, name) && v.Source(name).Kind == v.Source("eks-cluster").Kind {
			problems = append(problems, v.Problem(name, "with eks-cluster no kubeconfig is read: set one of the two"))
		}
	}
	return problems
}
