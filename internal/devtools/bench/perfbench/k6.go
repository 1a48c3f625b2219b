package perfbench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/perfsite"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/load"
	"github.com/candlefish/deploy-action/internal/meter/load/summary"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

// A loadCase is a site and the limits that it is held to.
type loadCase struct {
	name  string
	site  perfsite.Options
	p95   time.Duration
	fail  float64
	users int
}

func loadCases() []loadCase {
	return []loadCase{
		{"clean site", perfsite.Options{}, time.Second, 0.01, 20},
		{"150 ms slower, limit 1 s", perfsite.Options{Delay: 150 * time.Millisecond}, time.Second, 0.01, 20},
		{"150 ms slower, limit 100 ms", perfsite.Options{Delay: 150 * time.Millisecond}, 100 * time.Millisecond, 0.01, 20},
		{"20 % errors, limit 1 %", perfsite.Options{ErrorRate: 0.2}, time.Second, 0.01, 20},
		{"20 % errors, limit 50 %", perfsite.Options{ErrorRate: 0.2}, time.Second, 0.5, 20},
		{"site down", perfsite.Options{Down: true}, time.Second, 0.01, 20},
		{"too few users for the rate", perfsite.Options{Delay: 150 * time.Millisecond}, time.Second, 0.01, 1},
	}
}

// K6Thresholds sends load to sites that keep limits and to others, and compares what k6
// decides by thresholds with what the gate decides by its limits. An error says that they
// differ without a reason.
func K6Thresholds(ctx context.Context, out io.Writer) error {
	box, err := toolbox.Open("", "", os.Environ())
	if err != nil {
		return err
	}
	if err := box.Install(ctx, []string{"k6"}, func(string) {}); err != nil {
		return err
	}
	k6, err := box.Find(ctx, "k6")
	if err != nil {
		return err
	}
	tool := meter.Tool{Command: append([]string{k6.Program}, k6.Args...), Version: k6.Version, Reads: k6.Reads}
	fmt.Fprintf(out, "\nThe gate's limits beside the thresholds of k6 %s, on the same runs\n\n", k6.Version)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RUN\tLIMIT\tVALUE\tK6\tGATE\tDIFFERENCE")
	var wrong []error
	for _, c := range loadCases() {
		wrong = append(wrong, c.compare(ctx, table, tool))
	}
	return errors.Join(append(wrong, table.Flush())...)
}

// compare runs one case and writes a row for each limit, and one for the whole.
func (c loadCase) compare(ctx context.Context, out io.Writer, tool meter.Tool) error {
	reading, said, status, err := c.run(ctx, tool)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	run := ofReading(reading)
	checked := budget.Check(budget.Load(c.p95, 2*c.p95, c.fail, 20), run)
	var wrong []error
	for _, b := range checked {
		k6, known := holds(said, b.Metric.Name)
		ours := b.Met && b.Missing == ""
		why := ""
		switch {
		case !known:
			wrong = append(wrong, fmt.Errorf("%s: k6 has no threshold for %s", c.name, b.Metric.Name))
		case k6 != ours && b.Missing != "":
			why = "k6 counts a threshold without samples as held"
		case k6 != ours:
			why = "none is known"
			wrong = append(wrong, fmt.Errorf("%s: %s %s %v: k6 says %t, the gate says %t of %v", c.name, b.Metric.Name, b.Operator, b.Limit, k6, ours, b.Value))
		}
		fmt.Fprintf(out, "%s\t%s %s %v\t%.4g\t%s\t%s\t%s\n", c.name, b.Metric.Name, b.Operator, b.Limit, b.Value, word(k6), word(ours), why)
	}
	v := judge(reading, run, checked)
	why, err := c.whole(status, v, reading.Doubts)
	fmt.Fprintf(out, "%s\tall\t\tstatus %d\t%s\t%s\n", c.name, status, v, why)
	return errors.Join(append(wrong, err)...)
}

// run sends the load, and returns what k6 says of its thresholds and its status too.
func (c loadCase) run(ctx context.Context, tool meter.Tool) (meter.Reading, summary.Summary, int, error) {
	none := func(err error) (meter.Reading, summary.Summary, int, error) {
		return meter.Reading{}, summary.Summary{}, 0, err
	}
	site, err := perfsite.Start(c.site)
	if err != nil {
		return none(err)
	}
	defer func() { _ = site.Close() }()
	dir, err := os.MkdirTemp("", "perfbench-")
	if err != nil {
		return none(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	job := meter.Job{URL: site.URL, Pages: []string{"/health"}, Workspace: dir, Scratch: filepath.Join(dir, "round"), Tools: map[string]meter.Tool{"k6": tool}, Load: meter.Load{
		Scenarios: []string{"sustained"}, Duration: 3 * time.Second, Users: c.users, P95: c.p95, P99: 2 * c.p95, Errors: c.fail, Rate: 20,
	}}
	k6 := load.Load{}
	commands, err := k6.Commands(job)
	if err != nil {
		return none(err)
	}
	sandbox, err := isolate.Open(dir, nil)
	if err != nil {
		return none(err)
	}
	ran := sandbox.Run(ctx, commands[0])
	reading, err := k6.Read(job, commands[0], ran)
	if err != nil {
		return none(err)
	}
	raw, err := os.ReadFile(filepath.Join(commands[0].Dir, "summary.json"))
	if err != nil {
		return none(err)
	}
	said, err := summary.Parse(raw)
	return reading, said, ran.Status, err
}

// ofReading is a run of one round.
func ofReading(reading meter.Reading) budget.Run {
	run := budget.Run{Meters: []string{load.Name}, Subjects: map[string][]string{load.Name: {"sustained"}}, Rounds: map[string]int{load.Name: 1}}
	for _, v := range reading.Values {
		key := measure.Key{Meter: load.Name, Subject: v.Subject, Metric: v.Metric.Name}
		run.Series = append(run.Series, measure.Series{Key: key, Metric: v.Metric, Head: []measure.Point{{Value: v.Value}}})
	}
	return run
}

// judge is the gate's verdict on the run.
func judge(reading meter.Reading, run budget.Run, checked []budget.Checked) verdict.Verdict {
	health, why := verdict.Healthy, ""
	if len(reading.Doubts) > 0 {
		health, why = verdict.Partial, strings.Join(reading.Doubts, "; ")
	}
	return verdict.Judge(verdict.Input{Series: run.Series, Budgets: checked, Meters: []verdict.Meter{{Name: load.Name, Health: health, Why: why, Rounds: 1}}}).Verdict
}

// holds says whether k6's threshold for a metric of ours holds, and whether it has one.
func holds(said summary.Summary, metric string) (yes, known bool) {
	name, stat, _ := strings.Cut(metric, ".")
	stat = map[string]string{"p95": "p(95)", "p99": "p(99)"}[stat]
	for _, t := range said.Thresholds {
		if t.Metric == name+"{scenario:sustained}" && strings.HasPrefix(t.Text, stat) {
			return t.Holds, true
		}
	}
	return false, false
}

func word(holds bool) string {
	if holds {
		return "holds"
	}
	return "does not"
}

// whole compares k6's status with the verdict.
func (c loadCase) whole(status int, v verdict.Verdict, doubts []string) (why string, err error) {
	switch {
	case status == 0 && v == verdict.Pass, status == 99 && v == verdict.Refused:
		return "", nil
	case v == verdict.Inconclusive && len(doubts) > 0:
		return "the values are in doubt: " + doubts[0], nil
	}
	return "none is known", fmt.Errorf("%s: k6's status is %d, and the verdict %s", c.name, status, cmp.Or(string(v), "none"))
}
