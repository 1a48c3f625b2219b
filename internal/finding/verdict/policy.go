package verdict

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
)

// A Policy says which findings refuse a scan. Make one with [NewPolicy].
type Policy struct {
	// Budgets are ordered by severity and class, one for each pair. A severity
	// without a budget has no limit. All budgets hold at once, so that of a class
	// and that of all classes both count a finding: the stricter one wins.
	Budgets []Budget
	// OnlyNew is for pull requests: a finding that the baseline has does not count.
	// A credential that was verified as live counts always.
	OnlyNew bool
	// Called counts the vulnerability of a dependency one step lower if a tool knows
	// that the program does not call it.
	Called bool
}

// A Budget is the most findings of one severity that a scan may have.
type Budget struct {
	Class    finding.Class // "" for all classes together
	Severity finding.Severity
	Max      int
}

// String returns the budget as it is written: "high=0", "secret.medium=3".
func (b Budget) String() string { return b.name() + "=" + strconv.Itoa(b.Max) }

func (b Budget) name() string {
	if b.Class == "" {
		return b.Severity.String()
	}
	return string(b.Class) + "." + b.Severity.String()
}

// A Spent budget is a budget with what counts against it.
type Spent struct {
	Budget
	Count int
}

// Exceeded reports whether more counts than the budget allows.
func (s Spent) Exceeded() bool { return s.Count > s.Max }

const (
	never         = "never"
	noLimit       = -1 // while a policy is made
	defaultFailOn = finding.High
)

// FailOns returns the words that [NewPolicy] takes for failOn.
func FailOns() []string { return []string{"critical", "high", "medium", "low", never} }

// NewPolicy makes a policy from two inputs.
//
// failOn is the lowest severity of which one finding refuses the scan, or "never".
// Lines are budgets: "high=0", "medium=20", "secret.medium=0", "low=none". If failOn
// and a line name the same severity, the smaller number holds. Without failOn, the
// severities critical and high that no line names have a budget of 0.
//
// One error lists all faults, one per line.
func NewPolicy(failOn string, lines []string) (Policy, error) {
	limits := map[Budget]int{} // by class and severity; Max is 0 in the key
	var wrong []error
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		b, err := parseBudget(line)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		limit(limits, b)
	}
	if err := addFailOn(limits, failOn); err != nil {
		wrong = append(wrong, err)
	}
	if len(wrong) > 0 {
		return Policy{}, errors.Join(wrong...)
	}
	var p Policy
	for b, most := range limits {
		if most != noLimit {
			p.Budgets = append(p.Budgets, Budget{b.Class, b.Severity, most})
		}
	}
	slices.SortFunc(p.Budgets, compareBudgets)
	return p, nil
}

// limit keeps the stricter one of a budget and what is known already.
func limit(limits map[Budget]int, b Budget) {
	key := Budget{Class: b.Class, Severity: b.Severity}
	old, known := limits[key]
	if !known || old == noLimit || b.Max != noLimit && b.Max < old {
		limits[key] = b.Max
	}
}

func addFailOn(limits map[Budget]int, failOn string) error {
	if failOn == never {
		return nil
	}
	lowest := defaultFailOn
	if failOn != "" {
		i := slices.Index(FailOns(), failOn)
		if i < 0 {
			return fmt.Errorf("fail-on %q: want one of %s", failOn, strings.Join(FailOns(), ", "))
		}
		lowest = finding.Severities()[i]
	}
	for _, s := range finding.Severities() {
		_, named := limits[Budget{Severity: s}]
		if s >= lowest && (failOn != "" || !named) {
			limit(limits, Budget{Severity: s})
		}
	}
	return nil
}

func parseBudget(line string) (Budget, error) {
	refuse := func(want string) (Budget, error) {
		return Budget{}, fmt.Errorf("budget %q: want %s", line, want)
	}
	name, value, ok := strings.Cut(line, "=")
	if !ok {
		return refuse("a line such as high=0 or secret.medium=3")
	}
	var b Budget
	class, severity, ok := strings.Cut(strings.TrimSpace(name), ".")
	if ok {
		b.Class = finding.Class(class)
		if !slices.Contains(finding.Classes(), b.Class) {
			return refuse(fmt.Sprintf("one of the classes %q before the dot", finding.Classes()))
		}
	} else {
		severity = class
	}
	i := slices.IndexFunc(finding.Severities(), func(s finding.Severity) bool { return s.String() == severity })
	if i < 0 || finding.Severities()[i] == finding.Info {
		return refuse("one of the severities critical, high, medium, low; info never fails a scan")
	}
	b.Severity = finding.Severities()[i]
	value = strings.TrimSpace(value)
	if value == "none" {
		b.Max = noLimit
		return b, nil
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return refuse("a whole number from 0, or none for no limit")
	}
	b.Max = int(n)
	return b, nil
}

// compareBudgets orders by severity, the worst first, and then by class, all first.
func compareBudgets(a, b Budget) int {
	if a.Severity != b.Severity {
		return int(b.Severity) - int(a.Severity)
	}
	return slices.Index(finding.Classes(), a.Class) - slices.Index(finding.Classes(), b.Class)
}
