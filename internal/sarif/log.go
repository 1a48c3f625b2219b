// Package sarif reads SARIF 2.1.0, the format in which security tools report.
//
// [Read] turns a file into sightings, and into what the file says about how well the
// tool ran. A file that is not whole or not SARIF is an error, never a short list of
// results. What a tool found in clear does not get through: snippets of secrets,
// people's names and addresses are dropped while reading.
//
// The rules are those of the standard, https://docs.oasis-open.org/sarif/sarif/v2.1.0;
// sections in comments are its. Package [github.com/candlefish/deploy-action/internal/sarif/emit]
// writes the format.
//
// Tools, rules and invocations are decoded by go-sarif. Results are not: its types
// cannot tell an index that is absent from index 0 (ruleIndex, artifactLocation.index),
// which is another rule and another file, and they keep code flows that nobody reads.
package sarif

import (
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
)

// Options say what the caller knows of a file. The zero value is for a file of an
// unknown tool.
type Options struct {
	Tool  string        // the scanner's name in sightings; "" for that of the tool in the file
	Class finding.Class // of all results; "" to find out by rule and tool
	// Workspace is the absolute path of the repository when the tool ran. Absolute
	// places below it become relative.
	Workspace string
	Image     string          // of results in a container image; "" for what the file says
	Hash      *finding.Hasher // of the secrets in the file; nil for no hashes
	MaxBytes  int64           // of the file; 0 for DefaultBytes
}

// DefaultBytes is how large a file may be: GitHub takes 10 MB with gzip, which is
// some 200 MB of results without.
const DefaultBytes = 256 << 20

// MaxResults is how many results one file may have.
const MaxResults = 1_000_000

// A Log is what a file says, run by run.
type Log struct{ Runs []Run }

// A Run is one run of one tool. A run without results is kept: the tool ran and found
// nothing.
type Run struct {
	Tool     string // its name, as the file has it
	Name     string // the scanner's name, in all sightings
	Version  string
	Category string // automationDetails.id; "" for none
	// Ran is false if the run has no list of results: the tool did not run, or its results
	// are elsewhere.
	Ran       bool
	Results   int // in the file; those that are no sightings are in Left
	Sightings []finding.Sighting
	Left      Left
	Files     int       // that the tool says it analysed; -1 if it does not say
	Ended     time.Time // zero if it does not say
	// Doubts are reasons not to believe that the tool saw all there is.
	Doubts []string
	Notes  []string
}

// Left counts the results that are no problems of this run.
type Left struct {
	NoProblem int // of another kind than fail: pass, open, review, informational, notApplicable
	Absent    int // baselineState absent: not there any more
}

// Sightings returns those of all runs.
func (l Log) Sightings() []finding.Sighting {
	var all []finding.Sighting
	for _, r := range l.Runs {
		all = append(all, r.Sightings...)
	}
	return all
}

// Doubts returns those of all runs.
func (l Log) Doubts() []string {
	var all []string
	for _, r := range l.Runs {
		all = append(all, r.Doubts...)
	}
	return all
}

// Files returns how many files were analysed, -1 if a run does not say.
func (l Log) Files() int {
	sum := 0
	for _, r := range l.Runs {
		if r.Files < 0 {
			return -1
		}
		sum += r.Files
	}
	if len(l.Runs) == 0 {
		return -1
	}
	return sum
}

// Merge puts the runs of several files together, those of one tool and category as
// one run: GitHub refuses a file with two. The order of runs and results stays.
func Merge(logs ...Log) Log {
	type key struct{ name, category string }
	at := map[key]int{}
	var all Log
	for _, l := range logs {
		for _, r := range l.Runs {
			k := key{r.Name, r.Category}
			i, ok := at[k]
			if !ok {
				at[k] = len(all.Runs)
				all.Runs = append(all.Runs, r)
				continue
			}
			all.Runs[i] = join(all.Runs[i], r)
		}
	}
	return all
}

// join adds the second run to the first. One that did not run makes both not whole.
func join(a, b Run) Run {
	if b.Version != a.Version {
		a.Notes = append(a.Notes[:len(a.Notes):len(a.Notes)], "two versions, "+a.Version+" and "+b.Version)
	}
	a.Ran = a.Ran && b.Ran
	a.Results += b.Results
	a.Left.NoProblem += b.Left.NoProblem
	a.Left.Absent += b.Left.Absent
	if a.Files < 0 || b.Files < 0 {
		a.Files = -1
	} else {
		a.Files += b.Files
	}
	if b.Ended.After(a.Ended) {
		a.Ended = b.Ended
	}
	a.Sightings = append(a.Sightings[:len(a.Sightings):len(a.Sightings)], b.Sightings...)
	a.Doubts = append(a.Doubts[:len(a.Doubts):len(a.Doubts)], b.Doubts...)
	a.Notes = append(a.Notes[:len(a.Notes):len(a.Notes)], b.Notes...)
	return a
}
