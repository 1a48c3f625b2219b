package perfbench

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/measure/budget"
)

// A comparedSet is what both said of one set of reports.
type comparedSet struct {
	set                             reportSet
	cells                           map[string]map[budget.Aggregation]string // by assertion
	notes                           map[string]int                           // explanations of differences
	times                           map[budget.Aggregation][2]time.Duration  // theirs, ours
	total, same, met, refused, none int
	strange                         []error
}

// compareSet holds all assertions against one set of reports, with each aggregation.
func compareSet(ctx context.Context, tool, dir string, set reportSet) (*comparedSet, error) {
	c := &comparedSet{set: set, cells: map[string]map[budget.Aggregation]string{}, notes: map[string]int{}, times: map[budget.Aggregation][2]time.Duration{}}
	if err := set.write(dir); err != nil {
		return nil, err
	}
	for _, aggregation := range budget.Aggregations() {
		rc := map[string]any{"ci": map[string]any{"assert": map[string]any{
			"assertions": set.assertions(), "aggregationMethod": aggregation, "includePassedAssertions": true,
		}}}
		raw, err := json.Marshal(rc)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, rcFile), raw, 0o644); err != nil {
			return nil, err
		}
		theirs, long, err := assertWith(ctx, tool, dir)
		if err != nil {
			return nil, err
		}
		ours, short, err := lhciCheck(dir, set)
		if err != nil {
			return nil, err
		}
		c.times[aggregation] = [2]time.Duration{long, short}
		c.add(aggregation, theirs, ours)
	}
	return c, nil
}

// add compares the decisions with one aggregation.
func (c *comparedSet) add(aggregation budget.Aggregation, theirs, ours decisions) {
	for name, mine := range ours {
		other, ok := theirs[name]
		if audit, _, _ := strings.Cut(name, " "); !ok {
			other, ok = theirs[audit+" auditRan"] // one for all assertions of the audit
		}
		if c.cells[name] == nil {
			c.cells[name] = map[budget.Aggregation]string{}
		}
		c.cells[name][aggregation] = fmt.Sprintf("%s / %s", other.state, mine.state)
		c.total++
		switch mine.state {
		case budget.Met:
			c.met++
		case budget.Failed:
			c.refused++
		case budget.NoValue, budget.DoesNotConcern:
			c.none++
		}
		same, why := agree(c.set, aggregation, name, other, mine)
		switch {
		case ok && same:
			c.same++
		case ok && why != "":
			c.notes[why]++
			c.cells[name][aggregation] += " (explained)"
		default:
			c.strange = append(c.strange, fmt.Errorf("reports %s, %s, %s: lighthouse-ci says %+v, the gate %+v", c.set.name, aggregation, name, other, mine))
		}
	}
	for name := range theirs {
		_, ok := ours[name]
		if !ok && !strings.HasSuffix(name, " auditRan") {
			c.strange = append(c.strange, fmt.Errorf("reports %s, %s: only lighthouse-ci asserts %s", c.set.name, aggregation, name))
		}
	}
}

// markdown has a row per assertion, with both decisions for each aggregation.
func (c *comparedSet) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## lhci assert, reports %s\n\n", c.set.name)
	fmt.Fprintf(&b, "%d rounds; lighthouse-ci / the gate. %d decisions: %d equal, of which the values too; by the gate %d met, %d failed, %d without a value.\n\n", len(c.set.reports), c.total, c.same, c.met, c.refused, c.none)
	fmt.Fprintf(&b, "| Assertion |")
	for _, a := range budget.Aggregations() {
		fmt.Fprintf(&b, " %s |", a)
	}
	fmt.Fprintf(&b, "\n|---|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(c.cells)) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, a := range budget.Aggregations() {
			fmt.Fprintf(&b, " %s |", c.cells[name][a])
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintf(&b, "| time |")
	for _, a := range budget.Aggregations() {
		fmt.Fprintf(&b, " %d ms / %.1f ms |", c.times[a][0].Milliseconds(), float64(c.times[a][1].Microseconds())/1000)
	}
	fmt.Fprintln(&b)
	for _, why := range slices.Sorted(maps.Keys(c.notes)) {
		fmt.Fprintf(&b, "\n%d explained: %s.\n", c.notes[why], why)
	}
	return b.String()
}
