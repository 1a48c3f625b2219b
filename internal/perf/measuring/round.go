package measuring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/ending"
	"github.com/candlefish/deploy-action/internal/isolate/folder"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/meter"
)

// A failure is why a round gave nothing.
type failure struct {
	health verdict.Health // "" for none
	why    string
	hint   string
}

// round measures one side once. A round that fails is repeated once, and the report
// says so: browsers do crash. A load is not: what it did to the service has happened.
func (r *run) round(ctx context.Context, c *course, side measure.Side, number int, began time.Time) {
	job := r.job(c, side, number, began, 1)
	reading, f := r.attempt(ctx, c, job)
	if f.health != "" && !c.about.Once && ctx.Err() == nil {
		first := f.why
		job = r.job(c, side, number, began, 2)
		if reading, f = r.attempt(ctx, c, job); f.health == "" {
			c.report.Notes = note(c.report.Notes, fmt.Sprintf("%s was repeated, since %s", where(job), first))
		}
	}
	if f.health != "" {
		if c.failures == nil {
			c.failures = map[measure.Side]failure{}
		}
		f.why = fmt.Sprintf("%s: %s", where(job), f.why)
		c.failures[side] = f
		r.Say(fmt.Sprintf("%s: %s: %s", c.about.Name, f.health, r.Clean(f.why)))
		return
	}
	r.take(c, job, reading)
}

// job is one round of one side, with a folder of each attempt's own.
func (r *run) job(c *course, side measure.Side, number int, began time.Time, attempt int) meter.Job {
	job := r.Head
	if side == measure.Base {
		job = *r.Base
		if c.about.ByURL { // the scripts and journeys that both sides run are head's
			job.Workspace = r.Head.Workspace
		}
	}
	job.Side, job.Round, job.Rounds = side, number, r.Rounds
	job.Chromium, job.Tools, job.Began = r.Chromium, c.tools, began
	job.Scratch = filepath.Join(r.Work, fmt.Sprintf("%s-%s-%d-%d", c.about.Name, side, number, attempt))
	if c.about.Single {
		job.Rounds = 1
	}
	return job
}

// attempt measures in the job's folder, which is gone after a failure.
func (r *run) attempt(ctx context.Context, c *course, job meter.Job) (reading meter.Reading, f failure) {
	if err := os.MkdirAll(job.Scratch, 0o700); err != nil {
		return meter.Reading{}, failure{health: verdict.Crashed, why: err.Error()}
	}
	// A report that makes its adapter panic is one that could not be read.
	defer func() {
		if p := recover(); p != nil {
			f = failure{health: verdict.Unreadable, why: fmt.Sprintf("reading what it reported crashed: %v", p)}
		}
		if f.health != "" {
			_ = folder.Remove(job.Scratch)
		}
	}()
	start := r.Now()
	defer r.watch(c, job, start)()
	defer func() {
		took := r.Now().Sub(start)
		r.seen.Busy += took
		c.report.Took += took
	}()
	if check, ok := c.meter.(meter.Check); ok {
		return r.check(ctx, c, check, job)
	}
	return r.program(ctx, c, c.meter.(meter.Program), job)
}

// check runs a meter of our own until its time is over.
func (r *run) check(ctx context.Context, c *course, one meter.Check, job meter.Job) (meter.Reading, failure) {
	limit := cmp.Or(c.about.Time, r.Timeout)
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c.report.Isolated = []string{"own code"}
	reading, err := one.Measure(limited, job)
	switch {
	case ctx.Err() != nil:
		return meter.Reading{}, failure{health: verdict.TimedOut, why: "the run was cancelled"}
	case limited.Err() != nil:
		return meter.Reading{}, failure{health: verdict.TimedOut, why: fmt.Sprintf("it did not end within %v", limit)}
	case err != nil:
		return meter.Reading{}, failure{health: verdict.Crashed, why: err.Error()}
	}
	return reading, failure{}
}

// program runs all commands of a round, and ends at the first that did not do its
// work.
func (r *run) program(ctx context.Context, c *course, one meter.Program, job meter.Job) (meter.Reading, failure) {
	commands, err := one.Commands(job)
	if err != nil {
		return meter.Reading{}, failure{health: verdict.Crashed, why: err.Error()}
	}
	if len(commands) == 0 {
		return meter.Reading{}, failure{health: verdict.Partial, why: "there was nothing to run, although something is there for it"}
	}
	sandbox := r.Sandbox(job.Workspace)
	var all meter.Reading
	for _, command := range commands {
		command = r.complete(command, c)
		ran := sandbox.Run(ctx, command)
		c.report.Isolated = ran.Enforced
		if kind, why, bad := ending.Bad(ran, command.Time); bad {
			return meter.Reading{}, failure{health: endings[kind], why: why}
		}
		reading, err := one.Read(job, command, ran)
		if err != nil {
			return meter.Reading{}, failure{health: healthOf(err), why: ending.Misread(err, ran)}
		}
		all = join(all, reading)
	}
	return all, failure{}
}

// healthOf is what an adapter's error says of the meter; most only say that there was
// no whole report.
func healthOf(err error) verdict.Health {
	var known interface{ Health() verdict.Health }
	if errors.As(err, &known) {
		return known.Health()
	}
	return verdict.Unreadable
}

// complete fills in what an adapter leaves to the caller: its first tool is what runs.
func (r *run) complete(command isolate.Command, c *course) isolate.Command {
	if len(c.about.Tools) > 0 && command.Program == "" {
		tool := c.tools[c.about.Tools[0]]
		command.Program = tool.Command[0]
		command.Args = slices.Concat(tool.Command[1:], command.Args)
		command.Env = slices.Concat(tool.Env, command.Env)
	}
	for _, name := range c.about.Tools {
		command.Reads = slices.Concat(command.Reads, c.tools[name].Reads)
	}
	command.Time = cmp.Or(command.Time, c.about.Time, r.Timeout)
	command.Memory = cmp.Or(command.Memory, c.about.Memory)
	command.Network = command.Network || c.about.Network
	return command
}

// join adds the reading of a further command.
func join(a, b meter.Reading) meter.Reading {
	a.Values = append(a.Values, b.Values...)
	a.Gaps = append(a.Gaps, b.Gaps...)
	a.Assertions = append(a.Assertions, b.Assertions...)
	a.Files = append(a.Files, b.Files...)
	a.Doubts = append(a.Doubts, b.Doubts...)
	a.Notes = append(a.Notes, b.Notes...)
	for name, version := range b.Versions {
		if a.Versions == nil {
			a.Versions = map[string]string{}
		}
		a.Versions[name] = version
	}
	return a
}
