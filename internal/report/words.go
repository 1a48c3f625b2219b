package report

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// target returns namespace/deployment. An early error may come before the
// deployment is known.
func (r Result) target() string {
	switch {
	case r.Namespace == "":
		return r.Deployment
	case r.Deployment == "":
		return "namespace " + r.Namespace
	}
	return r.Namespace + "/" + r.Deployment
}

// A writer formats the untrusted parts of a sentence for one medium.
type writer struct {
	code func(string) string // a name
	text func(string) string // a sentence
}

// headline returns the final status in a few words, without markup.
func (r Result) headline() string {
	switch r.Outcome {
	case rollout.PhasePromoted:
		return "Promoted"
	case rollout.PhaseAborted:
		if r.Unserved {
			return "Aborted, but the last requests failed"
		}
		return "Aborted, stable is serving"
	case rollout.PhasePaused:
		return fmt.Sprintf("Paused at weight %d, waiting for a decision", r.Weight)
	case rollout.PhaseFailed:
		return "STATE UNKNOWN: neither the release nor its abort could be finished"
	case rollout.PhasePending, rollout.PhaseProgressing, rollout.PhasePromoting, rollout.PhaseBaking, rollout.PhaseReverting, rollout.PhaseCleaning, rollout.PhaseAborting:
		// The rollout did not finish; the exit status says why.
	}
	status := exit.Status(r.ExitCode)
	if status == exit.Done && r.Status != StatusSuccess {
		return "Not finished"
	}
	return statusWords[status]
}

// statusWords has the headlines of a run without a rollout.
var statusWords = map[exit.Status]string{
	exit.Done:        "Done",
	exit.CouldNotRun: "Could not run",
	exit.BadInput:    "Bad input, nothing was changed",
	exit.GateRefused: "A gate refused",
	exit.Aborted:     "Aborted, stable is serving",
	exit.AbortFailed: "STATE UNKNOWN: neither the release nor its abort could be finished",
}

// verdict returns the headline with what serves now and the failed requests.
func (r Result) verdict(w writer) string {
	s := r.headline() + ": " + w.code(r.target())
	serves := cmp.Or(r.ServingImage, map[bool]string{true: r.Image, false: r.PreviousImage}[r.Outcome == rollout.PhasePromoted])
	switch r.Outcome {
	case rollout.PhasePromoted, rollout.PhaseAborted:
		if serves != "" && !r.Unserved {
			s += " serves " + w.code(serves)
		}
	case rollout.PhasePaused:
		if r.Weight == 0 {
			s += " gives the new version no traffic"
			break
		}
		s += " is split between " + w.code(r.PreviousImage) + " and " + w.code(r.Image)
	default: // the serving image is unknown, or nothing was changed
	}
	if r.TotalRequests == 0 && len(r.Weights) == 0 {
		return s // nothing was changed, so there was nothing to measure
	}
	return s + "; " + r.failed()
}

// failed returns a sentence such as "0 of 1,204 requests failed", or that no
// requests were measured.
func (r Result) failed() string {
	if r.TotalRequests == 0 {
		return "no requests were measured"
	}
	return fmt.Sprintf("%s of %s requests failed", number(r.FailedRequests), number(r.TotalRequests))
}

// took returns a sentence with the duration and its parts.
func (r Result) took() string {
	drain := ""
	if r.DrainSeconds > 0 {
		drain = fmt.Sprintf("%s drain, ", r.DrainSeconds)
	}
	if r.HoldSeconds > 0 {
		drain += fmt.Sprintf("%s waiting for the other members, ", r.HoldSeconds)
	}
	return fmt.Sprintf("Took %s: %s dwell, %s%s overhead", r.DurationSeconds, r.DwellSeconds, drain, r.OverheadSeconds)
}

// command returns the shell command that repeats the run.
func (r Result) command() string {
	args := r.Command
	if len(args) == 0 {
		strategy := r.Strategy
		if strategy == "" {
			strategy = "canary"
		}
		args = []string{"go", "tool", "mage", "deploy:" + strings.ReplaceAll(strategy, "-", ""), "-image=" + r.Image}
		if r.Namespace != "" {
			args = append(args, "-namespace="+r.Namespace)
		}
		if r.Environment != "" { // no option of the targets
			args = append(args, "-flags=--environment="+r.Environment)
		}
	}
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = quote(Plain(a))
	}
	return strings.Join(quoted, " ")
}

// quote quotes s as one word for a POSIX shell.
func quote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=.:/@+,%", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !safe(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Plain removes control characters and marks that change the writing direction,
// and replaces line breaks by spaces.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029,
			r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// clip cuts s to n bytes at a rune boundary.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// number groups digits by three.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short rounds a duration for display.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second || d <= -10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func percent(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) + " %" }

// share returns text such as "24.8 % (22.1 to 28.0)".
func (s Step) share() string {
	if s.ObservedShare == nil {
		return "not measured"
	}
	v := percent(*s.ObservedShare)
	if i := s.Interval; i != nil {
		v += fmt.Sprintf(" (%.1f to %.1f)", 100*i[0], 100*i[1])
	}
	return v
}

// p95 returns text such as "14 / 12 ms", for canary and stable.
func (s Step) p95() string {
	f := func(l *Latency) string {
		if l == nil {
			return "–"
		}
		return strconv.FormatFloat(l.P95, 'f', digits(l.P95), 64)
	}
	return f(s.Latency.Canary) + " / " + f(s.Latency.Stable) + " ms"
}

func digits(ms float64) int {
	if ms < 10 {
		return 1
	}
	return 0
}

// followed returns the times after which the gateway and the answers followed
// the weight.
func (s Step) followed() string {
	f := func(d Seconds) string {
		if d == 0 {
			return "not observed"
		}
		return d.String()
	}
	return f(s.AcceptedAfter) + " / " + f(s.ObservedAfter)
}

// title names the step: its weight or its name.
func (s Step) title() string {
	if s.Name != "" {
		return s.Name
	}
	return fmt.Sprintf("%d %%", s.Weight)
}
