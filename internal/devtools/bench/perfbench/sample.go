package perfbench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/devtools/perflocal"
	"github.com/candlefish/deploy-action/internal/devtools/perfsite"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/record"
)

// sample measures the sample website as a user does who types no URL, and returns what
// the gate recorded.
func sample(ctx context.Context, out io.Writer, args ...string) (verdict.Result, error) {
	dir, err := os.MkdirTemp("", "bench-perf-")
	if err != nil {
		return verdict.Result{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.WriteFile(filepath.Join(dir, "api.js"), []byte(perfsite.LoadOfAPI), 0o600); err != nil {
		return verdict.Result{}, err
	}
	log := &lines{out: out}
	env := action.Env{Getenv: getenv, Stdout: log, Stderr: log, Notify: action.Notify}
	reports := filepath.Join(dir, "report")
	code := perflocal.Main(env, append([]string{"--dir=" + dir, "--report-dir=" + reports}, args...))
	raw, err := os.ReadFile(filepath.Join(reports, record.Name))
	if err != nil {
		return verdict.Result{}, fmt.Errorf("exit status %d, and no report: %w", code, err)
	}
	return parse(raw, ctx.Err())
}

func parse(raw []byte, stopped error) (verdict.Result, error) {
	if stopped != nil {
		return verdict.Result{}, stopped
	}
	return record.Parse(raw)
}

// getenv keeps what the machine's environment says about inputs out, but for what
// programs need.
func getenv(name string) string {
	if name == "PATH" || name == "HOME" || name == "XDG_CACHE_HOME" {
		return os.Getenv(name)
	}
	return ""
}

// lines passes on the lines that say how far a run is.
type lines struct{ out io.Writer }

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if strings.Contains(line, "has run for") || strings.Contains(line, "measuring the sample") {
			if _, err := fmt.Fprint(l.out, "  ", line); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// gate measures the whole gate: one page, both devices, five runs, a minute of load.
func gate(ctx context.Context, out io.Writer, _ settings) error {
	r, err := sample(ctx, out, "--runs=5", "--duration=60s")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s in %v, of which %v were our own: neither a tool nor the load ran\n", r.Verdict, r.Took.Round(100*time.Millisecond), r.Own.Round(100*time.Millisecond))
	if r.Verdict != verdict.Pass || r.Own >= mostOwn {
		return fmt.Errorf("want a pass, and less than %v of our own", mostOwn)
	}
	return nil
}

// mostOwn is how much of a gate's time may be ours.
const mostOwn = 3 * time.Second

// A defect is planted in the sample website. Wanted has what must be worse, and Allowed
// what may be too: a script that blocks the page delays all that comes after it.
type defect struct {
	name            string
	wanted, allowed []string // METER METRIC
}

func defects() []defect {
	return []defect{
		{"none", nil, nil},
		{
			"blocking-script",
			[]string{"lighthouse total-blocking-time", "lighthouse first-contentful-paint", "lighthouse largest-contentful-paint", "lighthouse speed-index"},
			[]string{"journey long-tasks", "journey inp"},
		},
		{"slow-api", []string{"load http_req_duration.p95", "load http_req_duration.med"}, nil},
		{"layout-shift", []string{"lighthouse cumulative-layout-shift"}, []string{"journey cls"}},
		{"memory-leak", []string{"journey heap"}, nil},
	}
}

// plantedDefects compares the sample website with each planted defect with the clean one, and
// fails if the gate does not see a defect, or sees another one.
func plantedDefects(ctx context.Context, out io.Writer, _ settings) error {
	var errs []error
	for _, d := range defects() {
		r, err := sample(ctx, out, "--compare=base", "--defect="+d.name, "--duration=50s", "--scenarios=basic\napi.js")
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", d.name, err))
			continue
		}
		worse := worseMetrics(r)
		if err := answered(d, r); err != nil {
			errs = append(errs, err)
		}
		fmt.Fprintf(out, "%s: worse are %s (in %v)\n", d.name, cmp.Or(strings.Join(worse, ", "), "none"), r.Took.Round(time.Second))
		for _, want := range d.wanted {
			if !slices.Contains(worse, want) {
				errs = append(errs, fmt.Errorf("%s: %s is not worse", d.name, want))
			}
		}
		for _, got := range worse {
			if !slices.Contains(d.wanted, got) && !slices.Contains(d.allowed, got) {
				errs = append(errs, fmt.Errorf("%s: %s is worse", d.name, got))
			}
		}
	}
	return errors.Join(errs...)
}

// answered returns an error for a run that did not answer what was asked: a meter that
// is not healthy, a comparison without enough data, or a clean site that does not pass.
func answered(d defect, r verdict.Result) error {
	var errs []error
	for _, m := range r.Meters {
		if m.Health != verdict.Healthy && m.Health != verdict.NotApplicable && m.Health != verdict.LeftOut {
			errs = append(errs, fmt.Errorf("%s: %s is %s: %s", d.name, m.Name, m.Health, m.Why))
		}
	}
	for _, c := range r.Comparisons {
		if c.Change == compare.NotEnoughData {
			errs = append(errs, fmt.Errorf("%s: %s: not enough data: %s", d.name, c.Key, c.Why))
		}
	}
	if len(r.Comparisons) == 0 || len(d.wanted) == 0 && r.Verdict != verdict.Pass {
		errs = append(errs, fmt.Errorf("%s: %d comparisons, verdict %s", d.name, len(r.Comparisons), r.Verdict))
	}
	return errors.Join(errs...)
}

func worseMetrics(r verdict.Result) []string {
	var worse []string
	for _, c := range r.Comparisons {
		if c.Change == compare.Worse {
			worse = append(worse, c.Key.Meter+" "+c.Key.Metric)
		}
	}
	slices.Sort(worse)
	return slices.Compact(worse)
}

// each is how many rounds a side has: as many as the gate makes for one page on two
// devices.
const each = 6

// splits is how many comparisons of the clean site with itself are made.
const splits = 200

// falseAlarms compares rounds of the clean site with others of it: each time some of a
// pool of measured ones against five others, by chance.
func falseAlarms(ctx context.Context, out io.Writer, s settings) error {
	pool, rounds, err := cleanRounds(ctx, out, s)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 2))
	rule := compare.DefaultRule()
	alarms, undecided := 0, 0
	for range splits {
		order := random.Perm(rounds)
		worse, open := false, false
		for _, c := range compare.Compare(split(pool, order[:each], order[each:2*each]), rule) {
			worse = worse || c.Change == compare.Worse
			open = open || c.Change == compare.NotEnoughData
		}
		if worse {
			alarms++
		}
		if open {
			undecided++
		}
	}
	fmt.Fprintf(out, "%d of %d comparisons of the clean site with itself had a false alarm, %d had not enough data; the stated level is %.0f %%; %d measured rounds of %d series\n",
		alarms, splits, undecided, 100*rule.Alpha, rounds, len(pool))
	if alarms > mostAlarms || undecided > 0 {
		return fmt.Errorf("%d false alarms in %d comparisons, %d without enough data", alarms, splits, undecided)
	}
	return nil
}

// mostAlarms is what 200 comparisons exceed with a probability of 1 % if each has a
// false alarm with one of 5 %: the binomial distribution's quantile. The comparisons
// share the rounds of their pool, so that the number varies more than this says.
const mostAlarms = 18

// cleanRounds are the rounds of the clean site, renumbered, of recorded runs or of a new
// one. A series that lacks some of them is left out.
func cleanRounds(ctx context.Context, out io.Writer, s settings) ([]measure.Series, int, error) {
	var runs []verdict.Result
	for _, name := range strings.FieldsFunc(s.pool, func(r rune) bool { return r == ',' }) {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, 0, err
		}
		r, err := record.Parse(raw)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", name, err)
		}
		runs = append(runs, r)
	}
	if len(runs) == 0 {
		r, err := sample(ctx, out, "--compare=base", "--runs=10", "--duration=100s", "--scenarios=basic\napi.js")
		if err != nil {
			return nil, 0, err
		}
		runs = append(runs, r)
	}
	pool := map[measure.Key]*measure.Series{}
	rounds := 0
	for i, r := range runs {
		n := 0
		for _, one := range r.Series {
			if !one.Metric.Compared {
				continue
			}
			if pool[one.Key] == nil {
				pool[one.Key] = &measure.Series{Key: one.Key, Metric: one.Metric}
			}
			points := one.Base
			if i == 0 && s.pool == "" { // head is the clean site too
				points = slices.Concat(one.Base, one.Head)
			}
			for j, p := range points {
				pool[one.Key].Head = append(pool[one.Key].Head, measure.Point{Round: rounds + j, Value: p.Value})
			}
			n = max(n, len(points))
		}
		rounds += n
	}
	if rounds < 2*each {
		return nil, 0, fmt.Errorf("%d rounds of the clean site: want %d or more", rounds, 2*each)
	}
	var all []measure.Series
	for _, one := range pool {
		if len(one.Head) != rounds {
			fmt.Fprintf(out, "left out, with values in %d of %d rounds: %s\n", len(one.Head), rounds, one.Key)
			continue
		}
		all = append(all, *one)
	}
	if len(all) == 0 {
		return nil, 0, errors.New("no series has a value in each round")
	}
	slices.SortFunc(all, func(a, b measure.Series) int { return a.Key.Compare(b.Key) })
	return all, rounds, nil
}

// split makes a comparison of two lists of rounds.
func split(pool []measure.Series, base, head []int) []measure.Series {
	take := func(points []measure.Point, rounds []int) []measure.Point {
		taken := make([]measure.Point, len(rounds))
		for i, round := range rounds {
			taken[i] = measure.Point{Round: i, Value: points[round].Value}
		}
		return taken
	}
	all := make([]measure.Series, len(pool))
	for i, s := range pool {
		all[i] = measure.Series{Key: s.Key, Metric: s.Metric, Base: take(s.Head, base), Head: take(s.Head, head)}
	}
	return all
}
