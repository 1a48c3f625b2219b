// Package scanning runs scanners and decides whether what each of them says can be
// believed.
//
// It is the one place that starts the tools. Every tool runs isolated, on the
// workspace and, with the same command, configuration and database, on a planted
// problem that it must find. Nothing that a tool does ends a scan: it becomes the
// tool's [verdict.Health].
package scanning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/ending"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// A Finder finds installed tools. Its error says what is wrong with one; it may have
// the methods Health and Hint, for what follows from it and what to type.
type Finder interface {
	Find(ctx context.Context, name string) (Tool, error)
}

// A Tool is an installed program, verified.
type Tool struct {
	Command []string // the program's absolute path, and arguments that come before all others
	Version string
	Reads   []string // folders that belong to it
	Env     []string
}

// A Runner runs commands isolated, with one folder as their workspace.
type Runner interface {
	Run(context.Context, isolate.Command) isolate.Ran
}

// A Scan is what to scan, by which scanners.
type Scan struct {
	Scanners []scanner.Scanner
	// Excluded says why a scanner does not run: not in the level, or the user said
	// so. "" for one that runs. One that has nothing to do here is not asked about: a
	// need that nothing is here for is met, whoever was to meet it.
	Excluded func(name string) string
	Finder   Finder
	// Sandbox returns what runs the commands of a tool with a workspace.
	Sandbox func(workspace string) Runner
	// Plant lays a plant into an empty folder and returns its job.
	Plant    func(context.Context, scanner.Plant, scanner.Job) (scanner.Job, func(), error)
	Job      scanner.Job // Scratch and Secret are set for each scanner
	Getenv   func(string) string
	Slots    int           // tools that run side by side
	Timeout  time.Duration // of one tool, unless it has its own
	Now      func() time.Time
	Progress func(verdict.Tool) // called when a tool ends, by one goroutine at a time
	After    func(time.Duration) <-chan time.Time
	Waiting  func([]Running)     // called now and then while tools run, as Progress
	Clean    func(string) string // redacts
}

// A Seen is what one scanner contributed.
type Seen struct {
	Tool      verdict.Tool
	Sightings []finding.Sighting
	Artifacts map[string][]byte
}

// Run runs all scanners and returns what each of them saw, by name. It returns
// when all have ended.
func (s Scan) Run(ctx context.Context) []Seen {
	slots := make(chan struct{}, max(1, s.Slots))
	seen := make([]Seen, len(s.Scanners))
	w := &watch{scan: s, began: map[string]time.Time{}}
	var wait sync.WaitGroup
	for i, one := range s.Scanners {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			w.begin(one.About().Name)
			seen[i] = s.one(ctx, one)
			w.end(one.About().Name, seen[i].Tool)
		})
	}
	w.until(func() { wait.Wait() })
	slices.SortFunc(seen, func(a, b Seen) int { return cmp.Compare(a.Tool.Name, b.Tool.Name) })
	return seen
}

// one runs a scanner from its preconditions to its health.
func (s Scan) one(ctx context.Context, one scanner.Scanner) Seen {
	if c, ok := one.(scanner.Chooser); ok {
		one = c.Choose(s.Job)
	}
	about := one.About()
	tool := verdict.Tool{Name: about.Name, Does: about.Does, Class: about.Class, Coverage: verdict.Unknown()}
	started := s.Now()
	end := func(o observed) Seen {
		o.into(&tool, about, s.Now(), s.Clean)
		tool.Took = s.Now().Sub(started)
		seen := Seen{Tool: tool, Sightings: o.report.Sightings, Artifacts: o.report.Artifacts}
		for i := range seen.Sightings {
			seen.Sightings[i].Tool = cmp.Or(seen.Sightings[i].Tool, about.Name) // a SARIF file has the names of other tools
			if seen.Sightings[i].Class == "" {
				seen.Sightings[i].Class = about.Class
			}
		}
		return seen
	}
	job := s.Job
	if about.Secret != "" {
		job.Secret = s.Getenv(about.Secret)
	}
	applies, why := one.Applies(job)
	if !applies {
		return end(observed{health: verdict.NotApplicable, why: why})
	}
	if why := s.Excluded(about.Name); why != "" {
		return end(observed{health: verdict.LeftOut, why: why})
	}
	if about.Secret != "" && job.Secret == "" {
		return end(observed{health: verdict.Missing, why: about.Secret + " is not set"})
	}
	installed, err := s.find(ctx, about)
	if err != nil {
		return end(absent(err))
	}
	tool.Version = installed.Version
	return end(s.scanAndPlant(ctx, one, installed, job))
}

func (s Scan) find(ctx context.Context, about scanner.About) (Tool, error) {
	if about.Tool == "" {
		return Tool{}, nil
	}
	return s.Finder.Find(ctx, about.Tool)
}

// scanAndPlant scans the workspace and, if that worked, the plant.
func (s Scan) scanAndPlant(ctx context.Context, one scanner.Scanner, installed Tool, job scanner.Job) observed {
	scratch, err := os.MkdirTemp(job.Scratch, one.About().Name+"-")
	if err != nil {
		return observed{health: verdict.Crashed, why: err.Error()}
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	o := s.scan(ctx, one, installed, in(job, filepath.Join(scratch, "scan")))
	if o.health != verdict.Healthy {
		return o
	}
	o.planted = s.plant(ctx, one, installed, in(job, filepath.Join(scratch, "plant")))
	return o
}

// in returns the job with a scratch folder of its own.
func in(job scanner.Job, scratch string) scanner.Job {
	job.Scratch = scratch
	return job
}

// scan runs a scanner on one workspace.
func (s Scan) scan(ctx context.Context, one scanner.Scanner, installed Tool, job scanner.Job) (o observed) {
	about := one.About()
	if err := os.MkdirAll(job.Scratch, 0o700); err != nil {
		return observed{health: verdict.Crashed, why: err.Error()}
	}
	limit := cmp.Or(about.Time, s.Timeout)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// A report of a tool that makes its adapter panic is one that could not be read.
	defer func() {
		if p := recover(); p != nil {
			o = observed{health: verdict.Unreadable, why: fmt.Sprintf("reading what it reported crashed: %v", p)}
		}
	}()
	if check, ok := one.(scanner.Check); ok {
		return s.check(ctx, check, job, limit)
	}
	return s.program(ctx, one.(scanner.Program), installed, job, limit)
}

// check runs a scanner of our own. It can hang on a disk or a peer, so its context
// ends with the limit and the check is not waited for much longer.
func (s Scan) check(ctx context.Context, one scanner.Check, job scanner.Job, limit time.Duration) observed {
	report, err := one.Scan(ctx, job)
	switch {
	case ctx.Err() != nil:
		return observed{health: verdict.TimedOut, why: fmt.Sprintf("it did not end within %v", limit)}
	case err != nil:
		return observed{health: verdict.Crashed, why: err.Error()}
	}
	return observed{health: verdict.Healthy, report: report, isolated: []string{"own code"}}
}

// program runs all commands of a tool, and ends at the first that is not healthy.
func (s Scan) program(ctx context.Context, one scanner.Program, installed Tool, job scanner.Job, limit time.Duration) observed {
	commands, err := one.Commands(job)
	if err != nil {
		return observed{health: verdict.Crashed, why: err.Error()}
	}
	if len(commands) == 0 {
		return observed{health: verdict.Partial, why: "there was nothing to run, although something is there for it"}
	}
	run := s.Sandbox(job.Workspace)
	all := observed{health: verdict.Healthy, report: scanner.Report{Coverage: verdict.Unknown()}}
	for _, c := range commands {
		c = complete(c, installed, one.About(), limit)
		ran := run.Run(ctx, c)
		all.isolated = ran.Enforced
		if ran.Ending == isolate.Cancelled && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			ran.Ending = isolate.TimedOut // all commands of a tool have one limit
		}
		if kind, why, bad := ending.Bad(ran, limit); bad {
			return observed{health: endings[kind], why: why, isolated: ran.Enforced}.in(job.Workspace, c.Dir)
		}
		report, err := one.Read(job, c, ran)
		if err != nil {
			return observed{health: verdict.Unreadable, why: ending.Misread(err, ran), isolated: ran.Enforced}.in(job.Workspace, c.Dir)
		}
		all.report = join(all.report, report)
	}
	return all
}

// complete fills in what an adapter leaves to the caller.
func complete(c isolate.Command, installed Tool, about scanner.About, limit time.Duration) isolate.Command {
	c.Program = installed.Command[0]
	c.Args = slices.Concat(installed.Command[1:], c.Args)
	c.Reads = slices.Concat(c.Reads, installed.Reads)
	c.Env = slices.Concat(installed.Env, c.Env)
	c.Time = cmp.Or(c.Time, limit)
	c.Memory = cmp.Or(c.Memory, about.Memory)
	return c
}

// plant says whether the scanner finds its plant: "found", or what is wrong.
func (s Scan) plant(ctx context.Context, one scanner.Scanner, installed Tool, job scanner.Job) string {
	p := one.Plant()
	if p.Without != "" {
		return "nothing planted: " + p.Without
	}
	rules := job.Workspace
	job, clean, err := s.Plant(ctx, p, job)
	if err != nil {
		return "could not plant: " + err.Error()
	}
	defer clean()
	job.Rules = rules
	o := s.scan(ctx, one, installed, job)
	switch {
	case o.health != verdict.Healthy:
		return fmt.Sprintf("the planted problem was not scanned: %s: %s", o.health, o.why)
	case slices.ContainsFunc(o.report.Sightings, p.Found):
		return planted
	}
	return "it did not report the planted problem"
}
