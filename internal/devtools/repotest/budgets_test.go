package repotest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/budget/budgetfile"
)

// The tables of default limits and of removed audits are those of the code.
func TestShownBudgetsAreTheDefaults(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(root, "docs", "performance-budgets.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{defaultTable(), removalTable()} {
		if !strings.Contains(string(raw), table) {
			t.Errorf("docs/performance-budgets.md does not have this table:\n%s", table)
		}
	}
}

// defaultTable has a row per metric, with the limits of both devices.
func defaultTable() string {
	var order []string
	limits, severity := map[string]map[string]string{}, map[string]string{}
	for _, b := range budget.Defaults() {
		name := b.Meter + "` `" + b.Metric
		if limits[name] == nil {
			order, limits[name] = append(order, name), map[string]string{}
		}
		for _, device := range []string{"desktop", "mobile"} {
			if b.Subject == "" || b.Subject == "* "+device {
				limits[name][device] = b.Text()
			}
		}
		severity[name] = string(b.Severity)
	}
	or := func(text string) string {
		if text == "" {
			return "-"
		}
		return "`" + text + "`"
	}
	var s strings.Builder
	s.WriteString("| Meter, metric | Desktop | Mobile | Severity |\n|---|---|---|---|\n")
	for _, name := range order {
		fmt.Fprintf(&s, "| `%s` | %s | %s | %s |\n", name, or(limits[name]["desktop"]), or(limits[name]["mobile"]), severity[name])
	}
	return s.String()
}

func removalTable() string {
	var s strings.Builder
	s.WriteString("| Limit for | Not in Lighthouse | Instead |\n|---|---|---|\n")
	for _, r := range budget.Removals() {
		instead := "`" + r.Successor + "`"
		if r.Successor == "" {
			instead = "not applicable: " + r.Why
		}
		fmt.Fprintf(&s, "| `%s` | %d and later | %s |\n", r.Audit, r.Since, instead)
	}
	return s.String()
}

// Every file of limits that the documents show can be read.
func TestShownBudgetFiles(t *testing.T) {
	t.Parallel()
	shown := map[string]int{}
	for _, b := range blocks(t) {
		name := ""
		switch {
		case b.hasBudgets():
			name = "performance-budgets.yaml"
		case b.lang == "json" && strings.Contains(b.text, `"ci":`):
			name = "lighthouserc.json"
		case b.lang == "json" && strings.Contains(b.text, `"resourceSizes":`):
			name = "budget.json"
		default:
			continue
		}
		shown[name]++
		read := func(string) ([]byte, error) { return nil, errors.New("no other file is shown") }
		if _, err := budgetfile.Parse(name, []byte(b.text), budgetfile.Options{Read: read}); err != nil {
			t.Errorf("%s shows\n%s\n%v", b.file, b.text, err)
		}
	}
	if len(shown) != 3 {
		t.Errorf("the documents show %v, want all three formats", shown)
	}
}

// hasBudgets reports whether the block is a performance-budgets.yaml.
func (b block) hasBudgets() bool {
	return b.lang == "yaml" && strings.Contains(b.text, "\nbudgets:\n")
}

// hasQueries reports whether the block is a file of queries of the meter servertime,
// whose own test loads it.
func (b block) hasQueries() bool {
	return b.lang == "yaml" && strings.Contains(b.text, "\nqueries:\n")
}

// hasJourneys reports whether the block is a file of journeys, whose package tests its
// document.
func (b block) hasJourneys() bool {
	return b.lang == "yaml" && strings.Contains(b.text, "\njourneys:\n")
}
