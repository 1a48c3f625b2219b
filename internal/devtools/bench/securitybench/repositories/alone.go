package repositories

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scanners"
	"github.com/candlefish/deploy-action/internal/scanner/tree"
	"github.com/candlefish/deploy-action/internal/toolbox"
)

// alone is what a scanner said by itself, without plant, merge and verdict.
type alone struct {
	name, version string
	sightings     []finding.Sighting
	statuses      []int // with which its commands exited; none of our own checks
	took          time.Duration
}

// lone runs scanners by themselves on one repository.
type lone struct {
	job     scanner.Job
	scratch string
	box     *toolbox.Box
	sandbox *isolate.Sandbox
}

func newLone(ctx context.Context, dir string, d databases) (*lone, error) {
	repo, err := tree.Open(ctx, tree.Local("git"), dir)
	if err != nil {
		return nil, err
	}
	files, err := repo.Tree(ctx)
	if err != nil {
		return nil, err
	}
	head, err := repo.Commit(ctx, "HEAD")
	if err != nil {
		return nil, err
	}
	scratch := dir + "-alone"
	span, err := repo.Range(ctx, tree.All(head, "all of it"), filepath.Join(scratch, "history"))
	if err != nil {
		return nil, err
	}
	l := &lone{scratch: scratch, job: scanner.Job{
		Workspace: dir, Rules: dir, Cache: d.cache, Tree: files, Range: span, Settings: d.settings,
		Hash: finding.NewHasher(make([]byte, 32)), Now: time.Now(),
	}}
	if l.box, err = toolbox.Open("", "", os.Environ()); err != nil {
		return nil, err
	}
	l.sandbox, err = isolate.Open(dir, os.Environ())
	return l, err
}

// scan runs one scanner. Its time has the check of the program's sum in it.
func (l *lone) scan(ctx context.Context, name string) (alone, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	all := scanners.All()
	i := slices.IndexFunc(all, func(s scanner.Scanner) bool { return s.About().Name == name })
	if i < 0 {
		return alone{}, fmt.Errorf("there is no scanner %s", name)
	}
	job, one := l.job, all[i]
	job.Scratch = filepath.Join(l.scratch, name)
	if err := os.MkdirAll(job.Scratch, 0o700); err != nil {
		return alone{}, err
	}
	if c, ok := one.(scanner.Chooser); ok {
		one = c.Choose(job)
	}
	began, a := time.Now(), alone{name: name}
	var err error
	if check, ok := one.(scanner.Check); ok {
		var report scanner.Report
		report, err = check.Scan(ctx, job)
		a.sightings = report.Sightings
	} else {
		err = l.program(ctx, one.(scanner.Program), job, &a)
	}
	a.took = time.Since(began)
	for i := range a.sightings {
		s := &a.sightings[i]
		s.Tool, s.Class = cmp.Or(s.Tool, name), cmp.Or(s.Class, one.About().Class)
	}
	return a, err
}

// program runs all commands of a tool.
func (l *lone) program(ctx context.Context, p scanner.Program, job scanner.Job, a *alone) error {
	tool, err := l.box.Find(ctx, p.About().Tool)
	if err != nil {
		return err
	}
	a.version = tool.Version
	commands, err := p.Commands(job)
	if err != nil {
		return err
	}
	for _, c := range commands {
		c.Program, c.Args, c.Reads = tool.Program, slices.Concat(tool.Args, c.Args), slices.Concat(c.Reads, tool.Reads)
		c.Time, c.Memory = cmp.Or(c.Time, 15*time.Minute), cmp.Or(c.Memory, p.About().Memory)
		ran := l.sandbox.Run(ctx, c)
		report, err := p.Read(job, c, ran)
		if err != nil {
			return fmt.Errorf("%s, exit status %d %s: %w: %s", ran.Ending, ran.Status, ran.Why, err, ran.Stderr)
		}
		a.sightings = append(a.sightings, report.Sightings...)
		a.statuses = append(a.statuses, ran.Status)
	}
	return nil
}
