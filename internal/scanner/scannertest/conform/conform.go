// Package conform tests that an adapter takes nothing but a whole report of its
// tool for one: not an empty, cut or foreign output, nor a status of trouble.
package conform

import (
	"bytes"
	"testing"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// A Case is a real report, and the job and command that it is of.
type Case struct {
	Program scanner.Program
	Job     scanner.Job
	Command isolate.Command
	Report  []byte
	Status  int // with which the tool exits for it
	// Streams says that the report is lines of which any number can be whole: then
	// only its status tells of a cut one.
	Streams bool
}

// Read reads the report, which must be one.
func (c Case) Read(t testing.TB) scanner.Report {
	t.Helper()
	report, err := c.Program.Read(c.Job, c.Command, c.ran(c.Report))
	if err != nil {
		t.Fatalf("%s: a whole report: %v", c.Program.About().Name, err)
	}
	return report
}

func (c Case) ran(out []byte) isolate.Ran {
	return isolate.Ran{Ending: isolate.Exited, Status: c.Status, Stdout: out}
}

// Refuses tests all that is no whole report.
func (c Case) Refuses(t *testing.T) {
	t.Helper()
	for _, foreign := range []string{"", " \n", "null", "true", "{}", "{} {}", "[[]]", "[1]", "<html></html>", "Error: no such file\n", `{"version": "2.1.0"}`} {
		c.refuses(t, "output "+foreign, c.ran([]byte(foreign)))
	}
	c.refuses(t, "text before", c.ran(append([]byte("warning: x\n"), c.Report...)))
	c.refuses(t, "text behind", c.ran(append(bytes.Clone(c.Report), "\npanic: x"...)))
	for i := range 50 {
		cut := bytes.TrimSpace(c.Report[:len(bytes.TrimSpace(c.Report))*i/50])
		if !c.Streams || !bytes.HasSuffix(cut, []byte("}")) {
			c.refuses(t, "cut at "+string(cut[max(0, len(cut)-20):]), c.ran(cut))
		}
	}
	for _, ran := range []isolate.Ran{
		{Ending: isolate.Exited, Status: 99}, {Ending: isolate.Exited, Status: 127}, {Ending: isolate.Signalled, Why: "killed"},
		{Ending: isolate.TimedOut}, {Ending: isolate.OutOfMemory}, {Ending: isolate.NotStarted}, {Ending: isolate.Exited, Truncated: true, Status: c.Status},
	} {
		ran.Stdout = c.Report
		c.refuses(t, "a program that ended otherwise", ran)
	}
}

func (c Case) refuses(t *testing.T, what string, ran isolate.Ran) {
	t.Helper()
	if report, err := c.Program.Read(c.Job, c.Command, ran); err == nil {
		t.Errorf("%s: %s (%s %d): no error, %d sightings", c.Program.About().Name, what, ran.Ending, ran.Status, len(report.Sightings))
	}
}

// Fuzz reads anything: an adapter may refuse, and must not crash.
func (c Case) Fuzz(f *testing.F) {
	f.Helper()
	f.Add(c.Report)
	f.Add(c.Report[:len(c.Report)/2])
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		report, err := c.Program.Read(c.Job, c.Command, c.ran(data))
		if err != nil {
			return
		}
		for _, s := range report.Sightings {
			if s.Class == "" { // a title is not needed: finding.Merge gives one
				t.Errorf("a sighting has no class: %+v", s)
			}
		}
	})
}
