package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// awaiting describes the current wait and its deadline; "" for none.
func (m model) awaiting() string {
	if m.await == "" {
		return ""
	}
	s := "waiting for " + m.await
	if !m.until.IsZero() {
		s += fmt.Sprintf(", until %s (%s)", m.until.Format("15:04:05"), left(m.until.Sub(m.now)))
	}
	return s
}

func left(d time.Duration) string {
	if d <= 0 {
		return "overdue by " + short(-d)
	}
	return short(d) + " left"
}

// numbers returns the measurements of this step in one line; "" for none.
func (m model) numbers() string {
	total := m.stable.Total + m.canary.Total + m.unattributed.Total
	if total == 0 {
		return ""
	}
	parts := []string{fmt.Sprintf("%s requests, %s failed", number(total), number(m.stable.Failed+m.canary.Failed+m.unattributed.Failed))}
	for _, s := range []struct {
		name string
		Stats
	}{{"canary", m.canary}, {"stable", m.stable}} {
		if s.Total > 0 {
			parts = append(parts, fmt.Sprintf("%s %s, p95 %s", s.name, number(s.Total), latency(s.P95)))
		}
	}
	if m.share >= 0 {
		parts = append(parts, "measured share "+percent(m.share))
	}
	return strings.Join(parts, "; ")
}

// status describes the state of a pod.
func (p Pod) status() string {
	s := "ready"
	if !p.Ready {
		s = "not ready"
		if p.Reason != "" {
			s = p.Reason
		}
	}
	switch {
	case p.Restarts == 1:
		s += ", 1 restart"
	case p.Restarts > 1:
		s += fmt.Sprintf(", %d restarts", p.Restarts)
	}
	return s
}

func percent(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) + " %" }

func latency(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond)/time.Millisecond)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func short(d time.Duration) string { return d.Round(time.Second).String() }

// number groups digits by three.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
