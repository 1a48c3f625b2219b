package load

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/load/printed"
	"github.com/candlefish/deploy-action/internal/meter/load/summary"
)

// A Generator is one of several k6 that made a load together: what became of it.
type Generator struct {
	Name   string // as people know it: a pod's
	Status int    // k6's
	dir    string
	output printed.Output
}

// samplesFile has the samples of a generator.
const samplesFile = "samples.json"

// Gather reads what a k6 prints, as the settings of a [Part] make it, to the end of the
// stream, into the folder dir. An earlier try in the same folder is forgotten. An
// error says that reading failed; whether all was printed is found by [Part.Reading].
func Gather(name, dir string, stream io.Reader, limit int64) (Generator, error) {
	g := Generator{Name: name, dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return g, fmt.Errorf("keep what %s prints: %w", name, err)
	}
	samples, err := os.Create(filepath.Join(dir, samplesFile))
	if err != nil {
		return g, fmt.Errorf("keep what %s prints: %w", name, err)
	}
	defer func() { _ = samples.Close() }() // what is missing in it is found by its count
	log, err := os.Create(filepath.Join(dir, logFile))
	if err != nil {
		return g, fmt.Errorf("keep what %s prints: %w", name, err)
	}
	defer func() { _ = log.Close() }()
	if g.output, err = printed.Read(stream, limit, samples, log); err != nil {
		return g, fmt.Errorf("%s: %w", name, err)
	}
	return g, nil
}

// Ended reports whether the generator's summary was printed: k6 has no more to say.
func (g Generator) Ended() bool { return g.output.Summary != nil }

// Failed returns why k6 did not do its work, nil if its status is that of a result.
func (g Generator) Failed() error {
	j, err := readLog(g.dir)
	if err == nil {
		err = exitError(g.Status, j.said)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", g.Name, err)
	}
	return nil
}

// Reading merges what the generators of a part measured. An error says that one of them
// did not do its work, or that samples are lost: percentiles of the rest say nothing.
func (p Part) Reading(generators []Generator) (meter.Reading, error) {
	var journals []journal
	var summaries []summary.Summary
	var files []io.Reader
	for _, g := range generators {
		j, s, err := g.whole()
		if err != nil {
			return meter.Reading{}, fmt.Errorf("%s: %w", g.Name, err)
		}
		f, err := os.Open(filepath.Join(g.dir, samplesFile))
		if err != nil {
			return meter.Reading{}, fmt.Errorf("%s: %w", g.Name, err)
		}
		defer func() { _ = f.Close() }()
		journals, summaries, files = append(journals, j), append(summaries, s), append(files, f)
	}
	reading, err := Merged(p.Subject, p.task.took, files...)
	if err != nil {
		return meter.Reading{}, err
	}
	r := &reader{task: p.task, reading: reading}
	for i, g := range generators {
		r.generator(g, journals[i])
	}
	r.apart(generators)
	r.held(generators, journals, summaries)
	return r.reading, nil
}

// whole says whether a generator ended as it should and all that it printed was read.
func (g Generator) whole() (journal, summary.Summary, error) {
	j, err := readLog(g.dir)
	if err != nil {
		return j, summary.Summary{}, err
	}
	if err := exitError(g.Status, j.said); err != nil {
		return j, summary.Summary{}, err
	}
	s, err := g.output.Whole()
	if err != nil {
		return j, s, err
	}
	return j, s, agree(g.Status, s)
}

// generator says what one generator's log has against its values.
func (r *reader) generator(g Generator, j journal) {
	if g.Status == condemns {
		j.errors = 0 // test.fail() writes its reasons as errors
	}
	if g.output.Samples("iterations") == 0 {
		r.doubt("no iteration of the script came to its end in %s", g.Name)
	}
	if j.exceptions > 0 {
		r.doubt("an exception of the script ended %d iterations in %s: %s", j.exceptions, g.Name, j.exception)
	}
	if j.errors > 0 {
		r.doubt("k6 wrote %d errors in %s: %s", j.errors, g.Name, j.said)
	}
	if j.blocked > 0 {
		r.doubt("k6 refused %d connections in %s to hosts that load must not be sent to, the last to %s; see the input load-hosts", j.blocked, g.Name, j.block)
	}
	if j.cut {
		r.doubt("the log of %s is longer than what is read of it", g.Name)
	}
	if n := g.output.Samples("redirects_elsewhere"); r.shipped && n > 0 {
		r.doubt("%d answers lead to another host and were not followed: name the URL that they lead to", n)
	}
}

// apart doubts a load whose parts did not begin together: it was never as large as it
// should be.
func (r *reader) apart(generators []Generator) {
	first, last := generators[0].output.First, generators[0].output.First
	for _, g := range generators[1:] {
		if g.output.First.Before(first) {
			first = g.output.First
		}
		if g.output.First.After(last) {
			last = g.output.First
		}
	}
	allowed := max(2*time.Second, r.took/20)
	if gap := last.Sub(first); gap > allowed {
		r.doubt("the generators began up to %v apart: the load was never whole", gap.Round(100*time.Millisecond))
	}
}

// held makes assertions of the thresholds of the user's scripts, as each generator saw
// them: k6 decides about its own samples alone.
func (r *reader) held(generators []Generator, journals []journal, summaries []summary.Summary) {
	if r.shipped {
		return
	}
	for i, t := range summaries[0].Thresholds {
		a := verdict.Assertion{Subject: r.subject, Text: fmt.Sprintf("%s: %s, in each of %d generators", t.Metric, t.Text, len(generators)), Holds: true}
		for n, s := range summaries {
			if len(s.Thresholds) <= i || s.Thresholds[i].Metric != t.Metric || s.Thresholds[i].Text != t.Text {
				r.doubt("the threshold %s: %s is not one of %s", t.Metric, t.Text, generators[n].Name)
				continue
			}
			m := s.Metrics[t.Metric]
			if m.Empty() {
				r.doubt("the threshold %s: %s says nothing in %s, the metric has no samples", t.Metric, t.Text, generators[n].Name)
			}
			if !s.Thresholds[i].Holds && a.Holds {
				a.Holds, a.Why = false, generators[n].Name+": "+observed(m)
			}
		}
		r.reading.Assertions = append(r.reading.Assertions, a)
	}
	for n, g := range generators {
		if g.Status == condemns {
			r.reading.Assertions = append(r.reading.Assertions, verdict.Assertion{Subject: r.subject, Text: "test.fail() is not called", Why: g.Name + ": the script called it: " + journals[n].said})
		}
	}
}

// Requests is how many requests a generator says that it made, those of its warm-up
// too.
func (g Generator) Requests() int64 {
	s, err := g.output.Whole()
	if err != nil {
		return 0
	}
	return int64(math.Round(s.Metrics["http_reqs"].Stats["count"]))
}
