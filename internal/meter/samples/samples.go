// Package samples takes the values of any other tool from JSON files: a format of our
// own with several values of head and base, the custom formats of
// github-action-benchmark, and what hyperfine --export-json writes.
//
// Values of one key in several files are values of several rounds. A file that is not
// whole, has a key twice, or has a number that is none, is an error: no value of it is
// believed.
package samples

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
)

// Setting has the files, one per line: [FORMAT:]HEAD[,BASE]. The file BASE has values
// of the base in the same format, as if they were head's. Relative paths are below the
// folder Dir, or if it is "" below the workspace: for the base that is another one.
const (
	Setting = "samples"
	Dir     = "samples-dir"
)

// Bounds of what is read.
const (
	maxFile    = 16 << 20 // bytes
	maxFiles   = 200
	maxSamples = 2_000  // of one file
	maxValues  = 10_000 // of one sample and side
	maxName    = 300    // bytes
)

// Samples is the meter.
type Samples struct{}

var _ meter.Check = Samples{}

// About describes it.
func (Samples) About() meter.About {
	return meter.About{Name: "samples", Does: "values of other tools", Single: true, OwnBase: true}
}

// Applies reports whether there are files.
func (Samples) Applies(job meter.Job) (bool, string) {
	lines := nonEmpty(job.Settings[Setting])
	if len(lines) == 0 {
		return false, "no files of samples"
	}
	return true, fmt.Sprintf("%d file(s) of samples", len(lines))
}

// Problems are lines that name no file.
func (Samples) Problems(job meter.Job) []error {
	inputs, err := parse(job.Settings[Setting])
	if err != nil {
		return []error{err}
	}
	var all []error
	for _, in := range inputs {
		for _, name := range []string{in.head, in.base} {
			if name == "" {
				continue
			}
			if info, err := os.Stat(path(job, name)); err != nil || !info.Mode().IsRegular() {
				all = append(all, fmt.Errorf("input samples: %q is no file", name))
			}
		}
	}
	return all
}

// Measure reads the values of the job's side.
func (Samples) Measure(ctx context.Context, job meter.Job) (meter.Reading, error) {
	inputs, err := parse(job.Settings[Setting])
	if err != nil {
		return meter.Reading{}, err
	}
	all := gathered{metrics: map[measure.Key]measure.Metric{}}
	for _, in := range inputs {
		if err := ctx.Err(); err != nil {
			return meter.Reading{}, err
		}
		name, ownSide := in.head, job.Side != measure.Base
		if job.Side == measure.Base && in.base != "" {
			name, ownSide = in.base, true
		}
		raw, err := read(path(job, name))
		if err != nil {
			return meter.Reading{}, err
		}
		found, err := in.format.parse(raw)
		if err != nil {
			return meter.Reading{}, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		if err := all.take(filepath.Base(name), found, ownSide); err != nil {
			return meter.Reading{}, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}
	return all.reading, nil
}

// An input is one line of the setting.
type input struct {
	format     format
	head, base string
}

func parse(setting string) ([]input, error) {
	var all []input
	var wrong []error
	lines := nonEmpty(setting)
	if len(lines) > maxFiles {
		return nil, fmt.Errorf("input samples: %d files, at most %d are read", len(lines), maxFiles)
	}
	for i, line := range lines {
		if slices.Index(lines, line) != i {
			wrong = append(wrong, fmt.Errorf("input samples: %q is there twice", line))
			continue
		}
		in := input{format: detect}
		if name, rest, found := strings.Cut(line, ":"); found {
			known, ok := formats[name]
			if !ok {
				wrong = append(wrong, fmt.Errorf("input samples: %q has the format %q; there are %s", line, name, strings.Join(names(), ", ")))
				continue
			}
			in.format, line = known, rest
		}
		in.head, in.base, _ = strings.Cut(line, ",")
		if in.head, in.base = strings.TrimSpace(in.head), strings.TrimSpace(in.base); in.head == "" || strings.HasSuffix(line, ",") {
			wrong = append(wrong, fmt.Errorf("input samples: %q, want [FORMAT:]HEAD[,BASE]", lines[i]))
			continue
		}
		all = append(all, in)
	}
	return all, errors.Join(wrong...)
}

func nonEmpty(setting string) []string {
	var all []string
	for line := range strings.Lines(setting) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func path(job meter.Job, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(cmp.Or(job.Settings[Dir], job.Workspace), filepath.FromSlash(name))
}

// read reads a regular file that is not too large.
func read(name string) ([]byte, error) {
	info, err := os.Stat(name) // before it is opened: a pipe would wait for a writer
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", filepath.Base(name))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d MiB", filepath.Base(name), maxFile>>20)
	}
	return raw, nil
}

// gathered are the values of all files.
type gathered struct {
	reading meter.Reading
	metrics map[measure.Key]measure.Metric
}

// take adds what a file has of one side. ownSide says that the file is of that side
// alone.
func (g *gathered) take(file string, found []sample, ownSide bool) error {
	based := slices.ContainsFunc(found, func(s sample) bool { return len(s.base) > 0 })
	if !ownSide && !based {
		g.reading.Notes = append(g.reading.Notes, file+" has no values of the base")
		return nil
	}
	for _, s := range found {
		key := measure.Key{Subject: s.subject, Metric: s.metric.Name}
		if before, known := g.metrics[key]; known && before != s.metric {
			return fmt.Errorf("%s %s has another unit, direction or floor than in a file before", s.subject, s.metric.Name)
		}
		g.metrics[key] = s.metric
		values := s.head
		if !ownSide {
			values = s.base
		}
		for _, v := range values {
			g.reading.Values = append(g.reading.Values, meter.Value{Subject: s.subject, Metric: s.metric, Value: v})
		}
		if len(values) == 0 {
			g.reading.Gaps = append(g.reading.Gaps, meter.Gap{Subject: s.subject, Metric: s.metric.Name, Why: file + " has no values of it"})
		}
		if ownSide {
			g.reading.Doubts = append(g.reading.Doubts, s.doubts...)
		}
	}
	return nil
}
