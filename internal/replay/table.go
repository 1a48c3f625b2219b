package replay

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// print writes the comparison for a person: one line for each step, then the
// reasons of each.
func (c comparison) print(out io.Writer) error {
	var b strings.Builder
	by := "the recording's own settings"
	if c.settings != "" {
		by = c.settings
	}
	fmt.Fprintf(&b, "%s to %s, judged again by %s\n\n", report.Plain(c.start.Target), report.Plain(c.start.Image), by)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "Step\tWeight\tThen\tNow\tNow after")
	for _, s := range c.steps {
		now, after := s.nowWords()
		fmt.Fprintf(t, "%d of %d\t%d %%\t%s\t%s\t%s\n", s.then.Step+1, c.start.Steps, s.then.Weight, verdictWords(s.then.Recorded.Verdict), now, after)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range c.steps {
		s.explain(&b)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func verdictWords(v rollout.Verdict) string {
	return cmp.Or(string(v), "not judged")
}

// nowWords are the verdict of now, and how long after the weight was confirmed.
func (s step) nowWords() (verdict, after string) {
	if s.now == nil {
		return "not reached", ""
	}
	verdict = verdictWords(s.now.Now.Verdict)
	if s.now.Now.Policy != "" {
		verdict += ", " + string(s.now.Now.Policy)
	}
	return verdict, s.now.At.Round(100 * time.Millisecond).String()
}

// explain gives the reasons of a step, then and now, and what made the difference.
func (s step) explain(b *strings.Builder) {
	fmt.Fprintf(b, "\nStep %d at %d %%\n", s.then.Step+1, s.then.Weight)
	fmt.Fprintf(b, "  then: %s\n", cmp.Or(report.Plain(s.then.Recorded.Reason), "nobody asked the judge"))
	if s.now == nil {
		b.WriteString("  now: an earlier step has failed, so it is not reached\n")
		return
	}
	fmt.Fprintf(b, "  now: %s\n", cmp.Or(report.Plain(s.now.Now.Reason), "nobody asks the judge"))
	switch {
	case s.now.Now.Verdict == rollout.VerdictPending && s.then.Recorded.Verdict == rollout.VerdictFailed:
		b.WriteString("  The recording ends here, since the rollout was stopped; what would have followed is not known.\n")
		return
	case s.now.Now.Verdict == rollout.VerdictInconclusive && s.then.Recorded.Verdict == rollout.VerdictSuccessful:
		b.WriteString("  The rollout went on then, and so do the steps shown; now it would have waited here.\n")
	}
	for _, line := range changes(s.then.Now.Findings, s.now.Now.Findings) {
		fmt.Fprintf(b, "  changed: %s\n", report.Plain(line))
	}
	for _, w := range s.now.Now.Warnings {
		fmt.Fprintf(b, "  warning: %s\n", report.Plain(w))
	}
}

// changes are the findings whose verdict differs, with their sentences of now. Those
// that only have not been decided are left out.
func changes(then, now []analysis.Finding) []string {
	before, after := worst(then), worst(now)
	var lines []string
	for _, f := range slices.Concat(now, then) {
		k := keyOf(f)
		old, fresh := before[k], after[k]
		delete(before, k)
		delete(after, k)
		if old.Verdict == fresh.Verdict || !speaks(old) && !speaks(fresh) {
			continue
		}
		line := fmt.Sprintf("%s, %s: %s, was %s", k.metric, k.check, verdictWords(fresh.Verdict), verdictWords(old.Verdict))
		if fresh.Sentence != "" {
			line += ": " + fresh.Sentence
		}
		lines = append(lines, line)
	}
	return lines
}

func speaks(f analysis.Finding) bool {
	return f.Verdict == rollout.VerdictFailed || f.Verdict == rollout.VerdictInconclusive
}

type key struct {
	metric string
	check  analysis.Check
}

func keyOf(f analysis.Finding) key { return key{f.Metric, f.Check} }

// worst is the worst finding of each check: the end of a dwell may add a second.
func worst(fs []analysis.Finding) map[key]analysis.Finding {
	order := []rollout.Verdict{rollout.VerdictPending, rollout.VerdictSuccessful, rollout.VerdictInconclusive, rollout.VerdictFailed}
	all := map[key]analysis.Finding{}
	for _, f := range fs {
		if old, ok := all[keyOf(f)]; !ok || slices.Index(order, f.Verdict) > slices.Index(order, old.Verdict) {
			all[keyOf(f)] = f
		}
	}
	return all
}
