// Package replay judges a recorded rollout again, offline: what would have come of
// it with other limits? It reads the recording that every deploy leaves beside its
// report, canary-deployment-analysis.jsonl, and asks no cluster and no metrics
// server.
//
// A replay sees what was recorded and no more. Where the judge of today would have
// stopped earlier, the rest did not happen and is not shown; where it would have
// gone on, the recording ends, and so does the answer.
package replay

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/judgefile"
)

// Run reads the recording that -file names and prints what became of its steps
// then and what becomes of them now, by the limits of the YAML file -analysis or,
// without one, by its own. Verdicts are no errors, whatever they say. A file that
// can't be used is an exit.Error with the outcome BadInput.
func Run(_ context.Context, out io.Writer, args []string) error {
	o, err := parse(args)
	if err != nil {
		return &exit.Error{Status: exit.BadInput, Err: err, Hint: "judge:replay -file=canary-deployment-analysis.jsonl [-analysis=FILE.yaml]"}
	}
	c, err := o.compare()
	if err != nil {
		return &exit.Error{Status: exit.BadInput, Err: err}
	}
	return c.print(out)
}

// options are what to replay, and by which analysis file.
type options struct{ file, analysis string }

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("judge:replay", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.file, "file", "", "the recording")
	flags.StringVar(&o.analysis, "analysis", "", "the analysis file with other settings")
	err := flags.Parse(args)
	switch {
	case err != nil:
		return o, err
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is not known", flags.Arg(0))
	case o.file == "":
		return o, errors.New("file: required, the recording of a rollout")
	}
	return o, nil
}

// A comparison is one recording, judged as it was then and as it would be now.
type comparison struct {
	start    recording.Start
	settings string // the analysis file; empty for the recording's own settings
	steps    []step
}

// A step is what a step of the rollout came to. Now is nil where the rollout does
// not get there any more.
type step struct {
	then recording.Replayed
	now  *recording.Replayed
}

// compare replays the recording by its own settings and by the new ones: the
// recording has the verdicts of then, but not all that led to them.
func (o options) compare() (comparison, error) {
	raw, err := os.ReadFile(o.file)
	if err != nil {
		return comparison{}, fmt.Errorf("read the recording: %w", err)
	}
	c := comparison{settings: o.analysis}
	start, then, err := recording.Replay(bytes.NewReader(raw), nil)
	if err != nil {
		return c, fmt.Errorf("replay %s: %w", o.file, err)
	}
	c.start = start
	now := then
	if o.analysis != "" {
		if _, now, err = recording.Replay(bytes.NewReader(raw), o.settings); err != nil {
			return c, fmt.Errorf("replay %s: %w", o.file, err)
		}
	}
	if len(then) == 0 {
		return c, fmt.Errorf("replay %s: no weight was written, so nothing was judged", o.file)
	}
	for _, t := range then {
		s := step{then: t}
		if i := slices.IndexFunc(now, func(n recording.Replayed) bool { return n.Step == t.Step }); i >= 0 {
			s.now = &now[i]
		}
		c.steps = append(c.steps, s)
	}
	return c, nil
}

// settings are the analysis file's. What it leaves open stays as it was for the
// probe stream, which is what the inputs of the deploy said.
func (o options) settings(recorded config.Config) (config.Config, error) {
	var base config.Metric
	if i := slices.IndexFunc(recorded.Metrics, func(m config.Metric) bool { return m.Name == config.ProbeMetric }); i >= 0 {
		base = recorded.Metrics[i]
	}
	return judgefile.Load(o.analysis, base)
}
