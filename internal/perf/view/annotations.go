package view

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/words"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// Annotations returns what changes the verdict and what warns, what matters most first
// and at most 10 per level, and a sentence about those that are left out, "" for none.
// A limit is shown on the line of the file where it is written.
func Annotations(r verdict.Result) (shown []action.Annotation, left string) {
	shown, more := action.Limited(annotations(r))
	if text := action.More(more, plain.Number); text != "" {
		left = fmt.Sprintf("GitHub shows %d annotations per level; there are %s.", action.AnnotationLimit, text)
	}
	return shown, left
}

func annotations(r verdict.Result) []action.Annotation {
	const title, most = "Performance: ", 2000 // characters
	var all []action.Annotation
	add := func(level action.Level, what, text string, from string) {
		one := action.Annotation{Level: level, Title: title + what, Message: plain.Text(text, most)}
		one.File, one.Line = place(from)
		all = append(all, one)
	}
	for _, c := range words.Unmet(r) {
		add(action.Error, "limit not kept", words.Checked(c), c.From)
	}
	for _, c := range words.Worse(r) {
		add(action.Error, "worse", words.Compared(c, r.Policy.Rule.Alpha), "")
	}
	for _, a := range words.Broken(r) {
		add(action.Error, "check failed", fmt.Sprintf("%s %s: %s: %s", a.Meter, a.Subject, a.Text, plain.Or(a.Why)), "")
	}
	for _, m := range words.Unhealthy(r) {
		add(action.Error, "inconclusive", words.Meter(m), "")
	}
	for _, c := range words.NotMeasured(r) {
		add(action.Error, "not measured", words.Checked(c), c.From)
	}
	for _, c := range words.Warned(r) {
		add(action.Warning, "limit not kept", words.Checked(c), c.From)
	}
	if n := undecided(r); n > 0 {
		add(action.Warning, "not enough data", fmt.Sprintf("The data does not suffice to compare %s.", plain.Count(n, "measurement")), "")
	}
	return all
}

func undecided(r verdict.Result) int {
	n := 0
	for _, c := range r.Comparisons {
		if c.Change == compare.NotEnoughData {
			n++
		}
	}
	return n
}

var fileLine = regexp.MustCompile(`^(.+):([1-9][0-9]{0,6})$`)

// place is the file and line of a budget; none for one that is written in no file of the
// repository.
func place(from string) (file string, line int) {
	m := fileLine.FindStringSubmatch(from)
	if m == nil || plain.Text(m[1], len(m[1])) != m[1] || path.IsAbs(m[1]) || strings.HasPrefix(path.Clean(m[1]), "..") || strings.Contains(m[1], "://") {
		return "", 0
	}
	line, err := strconv.Atoi(m[2])
	if err != nil {
		return "", 0
	}
	return m[1], line
}

// Check is what a check run of a commit says.
type Check struct {
	Name    string
	Passed  bool // never for what is inconclusive: GitHub lets a neutral check through
	Title   string
	Summary string // Markdown, at most 65,535 characters
	Link    string // to the run
	// Status is the state of the deployment: success, failure, or error if that is not
	// known; and a sentence of at most 140 characters.
	Status, Description string
}

// CheckName is the name of the check run.
const CheckName = "Performance"

// CheckOf renders the check run and the status of the deployment.
func CheckOf(r verdict.Result, p Page) Check {
	const most = 65535
	c := Check{Name: CheckName, Passed: words.Verdict(r) == verdict.Pass, Title: words.Headline(r), Link: p.Run, Description: plain.Text(words.Headline(r), 139)}
	c.Summary = plain.Fitted(most, func(s string) int { return len(s) }, func(rows int) string { return brief(r, Page{LeftOut: p.LeftOut}, rows, true) })
	c.Status = map[string]string{"healthy": "success", "degraded": "failure", "unknown": "error"}[words.Status(r)]
	return c
}
