package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
)

// narrow is the minimum width for bars and columns.
const narrow = 60

// mostPods is the maximum number of pods shown, so the view fits on the screen.
const mostPods = 8

// A palette colours text, or returns it unchanged.
type palette struct{ canary, stable, bad, good, dim, bold func(string) string }

func (m model) palette() palette {
	paint := func(s lipgloss.Style) func(string) string {
		if !m.color {
			return func(t string) string { return t }
		}
		return func(t string) string { return s.Render(t) }
	}
	s := lipgloss.NewStyle()
	return palette{
		canary: paint(s.Foreground(lipgloss.Yellow)), stable: paint(s.Foreground(lipgloss.Blue)),
		bad: paint(s.Foreground(lipgloss.Red)), good: paint(s.Foreground(lipgloss.Green)),
		dim: paint(s.Faint(true)), bold: paint(s.Bold(true)),
	}
}

// render draws m, no line wider than width.
func render(m model, width int) string {
	p := m.palette()
	rows := header(m, p, width)
	if width >= narrow {
		rows = append(rows, bars(m, p, width)...)
		rows = append(rows, table(m, p)...)
	} else {
		rows = append(rows, fmt.Sprintf("canary %d %%, stable %d %%", m.weight, 100-m.weight))
		rows = append(rows, strings.Split(m.numbers(), "; ")...)
	}
	rows = append(rows, pods(m, p)...)
	if s := m.awaiting(); s != "" && !m.ended {
		rows = append(rows, p.bold(s))
	}
	for _, l := range m.messages {
		rows = append(rows, message(m, p, l))
	}
	fit := lipgloss.NewStyle().MaxWidth(width)
	var b strings.Builder
	for _, r := range rows {
		if r != "" {
			b.WriteString(fit.Render(r) + "\n")
		}
	}
	return b.String()
}

func header(m model, p palette, width int) []string {
	right := short(m.now.Sub(m.started))
	if m.step > 0 {
		right = fmt.Sprintf("step %d of %d  %s", m.step, m.steps, right)
	}
	gap := width - lipgloss.Width(m.title) - lipgloss.Width(right)
	if width < narrow || gap < 2 {
		return []string{p.bold(m.title), p.dim(right)}
	}
	return []string{p.bold(m.title) + strings.Repeat(" ", gap) + p.dim(right)}
}

// bars draws both weights, and the measured share beside the canary's.
func bars(m model, p palette, width int) []string {
	columns := min(width-34, 60)
	bar := func(name string, percent int, paint func(string) string, note string) string {
		full := min(max(percent, 0), 100) * columns / 100
		if percent > 0 && full == 0 {
			full = 1
		}
		return fmt.Sprintf("%-7s %s%s %3d %%%s", name, paint(strings.Repeat("█", full)), p.dim(strings.Repeat("░", columns-full)), percent, note)
	}
	seen := ""
	if m.share >= 0 {
		seen = "  measured " + percent(m.share)
	}
	return []string{bar("canary", m.weight, p.canary, seen), bar("stable", 100-m.weight, p.stable, "")}
}

func table(m model, p palette) []string {
	rows := []string{p.dim(fmt.Sprintf("%-12s%10s%9s%10s%10s", "", "requests", "failed", "p50", "p95"))}
	for _, s := range []struct {
		name  string
		paint func(string) string
		Stats
	}{{"canary", p.canary, m.canary}, {"stable", p.stable, m.stable}, {"unattributed", p.dim, m.unattributed}} {
		if s.name == "unattributed" && s.Total == 0 {
			continue
		}
		failed := fmt.Sprintf("%9s", number(s.Failed))
		if s.Failed > 0 {
			failed = p.bad(failed)
		}
		rows = append(rows, s.paint(fmt.Sprintf("%-12s", s.name))+fmt.Sprintf("%10s", number(s.Total))+failed+
			fmt.Sprintf("%10s%10s", latency(s.P50), latency(s.P95)))
	}
	return rows
}

// pods lists those that are not ready first, since the list may be cut.
func pods(m model, p palette) []string {
	sorted := slices.SortedStableFunc(slices.Values(m.pods), func(a, b Pod) int {
		rank := func(x Pod) int {
			if x.Ready {
				return 1
			}
			return 0
		}
		return cmp.Or(rank(a)-rank(b), cmp.Compare(a.Side, b.Side), strings.Compare(a.Name, b.Name))
	})
	var rows []string
	for i, pod := range sorted {
		if i == mostPods {
			rows = append(rows, p.dim(fmt.Sprintf("pod     and %d more", len(sorted)-i)))
			break
		}
		state := p.good(pod.status())
		if !pod.Ready || pod.Restarts > 0 {
			state = p.bad(pod.status())
		}
		rows = append(rows, fmt.Sprintf("pod     %-6s  %s  %s", pod.Side, pod.Name, state))
	}
	return rows
}

func message(m model, p palette, l line) string {
	text := l.text
	switch {
	case l.kind == KindWarning:
		text = p.bad("warning: " + text)
	case l.kind == KindVerdict && l.good:
		text = p.good(text)
	case l.kind == KindVerdict:
		text = p.bad(text)
	}
	return p.dim(fmt.Sprintf("%7s", short(l.at.Sub(m.started)))) + "  " + text
}
