package baseline

import (
	"context"
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure/history"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
)

// RunOf is a result as the baseline keeps it.
func RunOf(r verdict.Result) history.Run {
	return history.RunOf(r.At, r.Commit, r.Link, string(r.Verdict), r.Series)
}

// Record adds a result to the baseline, whatever its verdict, if the occasion is one
// to write, and says what it did.
func Record(ctx context.Context, s Store, o Occasion, r verdict.Result) (string, error) {
	if writes, why := o.Writes(); !writes {
		return fmt.Sprintf("The run is not stored in the baseline: %s.", why), nil
	}
	var kept history.Environment
	var gone []string
	err := s.Save(ctx, func(f history.File) (history.File, error) {
		f, dropped, err := f.Add(r.Environment, RunOf(r))
		gone = dropped
		kept, _ = f.Find(r.Environment)
		return f, err
	})
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("The run is stored in %s, which has %s of this environment.", s.Where(), runs(len(kept.Runs)))
	if r.Verdict != verdict.Pass {
		text += " It did not pass, so nothing is compared with it."
	}
	if len(gone) > 0 {
		text += fmt.Sprintf(" The baseline keeps %d environments: %s was not used for the longest time and is gone.", history.MaxEnvironments, strings.Join(gone, " and "))
	}
	return text, nil
}

func runs(n int) string {
	if n == 1 {
		return "1 run"
	}
	return fmt.Sprint(n, " runs")
}

const day = "2006-01-02 15:04"

// Show says what a baseline has, in lines for people.
func Show(where string, f history.File) []string {
	if len(f.Environments) == 0 {
		return []string{where + " has no runs."}
	}
	lines := []string{where}
	for _, e := range f.Environments {
		lines = append(lines, "", e.Key)
		if n := len(e.Runs); n > 0 {
			lines = append(lines,
				fmt.Sprintf("  %s, %d passed, %s to %s UTC", runs(n), len(e.Compared()), e.Runs[0].At.Format(day), e.Runs[n-1].At.Format(day)),
				fmt.Sprintf("  newest: %s", describe(e.Runs[n-1])))
		}
		if e.Anchor == nil {
			lines = append(lines, "  anchor: none")
		} else {
			lines = append(lines, fmt.Sprintf("  anchor: %s, pinned %s UTC", describe(*e.Anchor), e.PinnedAt.Format(day)))
		}
	}
	return lines
}

func describe(r history.Run) string {
	commit := "no commit"
	if r.Commit != "" {
		commit = "commit " + r.Commit[:7]
	}
	return fmt.Sprintf("%s, %s UTC, %s, %d values", commit, r.At.Format(day), r.Verdict, len(r.Values))
}

// Pinned is the line after a run was pinned.
func Pinned(key string, r history.Run) string {
	return fmt.Sprintf("The anchor of %s is now %s.", key, describe(r))
}

// Unpinned is the line after an anchor was removed.
func Unpinned(key string) string {
	return fmt.Sprintf("%s has no anchor now: slow drift is not seen until a run is pinned.", key)
}
