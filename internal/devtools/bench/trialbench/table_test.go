package trialbench

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/exit"
)

func TestSummarize(t *testing.T) {
	t.Parallel()
	o := options{runs: 8, rate: 50}
	outcomes := []outcome{
		{end: promoted},
		{end: held, seconds: 90, answers: 900, by: "data"},
		{end: aborted, seconds: 4, answers: 10, by: "errors"},
		{end: aborted, seconds: 2, answers: 30, by: "latency"},
		{end: aborted, seconds: 1, answers: 20, by: "errors"},
		{end: aborted, seconds: 3, answers: 40, by: "errors"},
		{end: promoted}, {end: promoted},
	}
	got := table{options: o, lines: []line{summarize(sick("a row"), o, outcomes)}}.String()
	if want := "| a row | 50 | 12.5 | 37.5 | 2 | 4 | 20 | errors 3, data 1, latency 1 |\n"; !strings.Contains(got, want) {
		t.Errorf("table:\n%s\nwant the line %s", got, want)
	}
	if strings.Contains(got, "Healthy:") || !strings.Contains(got, "under 31 %") {
		t.Errorf("table:\n%s", got)
	}
}

// With 0 of 100 the upper bound of 95 % is 1-0.05^(1/100), the "rule of three".
func TestBound(t *testing.T) {
	t.Parallel()
	if got := (table{options: options{runs: 100}}).String(); !strings.Contains(got, "None of 100 is under 3 %") {
		t.Errorf("table:\n%s", got)
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--runs=0"}, {"--step=1ms"}, {"--rate=0"}, {"--rate=1e9"}, {"--rate=NaN"}, {"--unknown"}, {"more"}, {"--url=http://127.0.0.1"}, {"--only=no such row"}, {"--replay=none"},
	} {
		err := Run(t.Context(), io.Discard, args)
		if status, _ := exit.Of(err); status != exit.BadInput {
			t.Errorf("bench:trial %q: %v, want bad input", args, err)
		}
	}
}

// Tables of other settings go into other files.
func TestFile(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--pinned=true":           "out/bench-trial-30s-50.md",
		"--step=5m --rate=100":    "out/bench-trial-300s-100.md",
		"--pinned=false --rate=2": "out/bench-trial-30s-2-unpinned.md",
	} {
		o, err := parseOptions(strings.Fields(args))
		if got := filepath.ToSlash(o.file()); err != nil || got != want {
			t.Errorf("%q: %s, %v, want %s", args, got, err, want)
		}
	}
}

// Rows have names of their own, which their seeds depend on, and fit into a table.
func TestRows(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	groups := map[string]int{}
	for _, s := range rows() {
		count[s.name]++
		groups[s.group()]++
		if strings.Contains(s.name, "|") {
			t.Errorf("%q has a bar", s.name)
		}
	}
	for name, n := range count {
		if n > 1 {
			t.Errorf("%d rows are called %q", n, name)
		}
	}
	for _, group := range []string{"healthy", "sick"} {
		chosen, err := choose(options{only: group})
		if diff := cmp.Diff(groups[group], len(chosen)); err != nil || diff != "" {
			t.Errorf("-only=%s: %v (-want +got):\n%s", group, err, diff)
		}
	}
}
