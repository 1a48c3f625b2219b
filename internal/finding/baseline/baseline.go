// Package baseline has the recorded past that findings are compared with: a file of
// an earlier scan, or the scan of the commit that a pull request is based on. It
// says which findings are new, which were there before, and which are fixed.
//
// A finding is fixed only if every tool that saw it has looked again: one of a tool
// that did not run, crashed or has gone blind stays in the baseline, as does what
// was out of this scan's reach, an old commit or another image. A file holds
// nothing of a secret: no hash of it, and no text of its line.
package baseline

import (
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// A Baseline is what a scan found.
type Baseline struct {
	// Name is how people know it: "the base abc1234 of the pull request"; not in the
	// file. "" is a sentence of its commit and time.
	Name    string
	Level   verdict.Level
	Commit  string    // 40 hex digits; "" if not known
	At      time.Time // of the scan
	Tools   []string  // that were healthy, by name
	Entries []Entry   // by their first fingerprint

	// secrets are the hashes of credentials, if the scan was in this run. No file has
	// them, and no other run could read them.
	secrets map[string]bool
}

// An Entry is one finding of a baseline.
type Entry struct {
	Fingerprints []string // the ID first
	Commits      []string // fingerprints of a secret at its commits
	IDs          []string // of a vulnerability
	Tools        []string // that saw it, by name, healthy or not
	Class        finding.Class
	Severity     finding.Severity
	Title        string
	Place        string    // a path, "image:name" without tag, "host:name"
	FirstSeen    time.Time // when a scan first had it
	Published    time.Time // when the problem became known; zero if no tool says
}

// A Scan says what a scan looked at.
type Scan struct {
	Level  verdict.Level
	Commit string
	At     time.Time
	// Tools are those that were healthy. A tool to which nothing applied is one of them
	// if what it is for is gone from the repository.
	Tools []string
	// Whole says that all of the history was scanned for secrets, not a range of it.
	Whole  bool
	Images []string // that were scanned
	Hosts  []string // that were asked
}

// Of makes a baseline of the findings of a scan. If they are of this run, and the
// same Hasher made the hashes of both scans, then secrets are compared by them.
func Of(found []finding.Finding, scan Scan) Baseline {
	return Update(Baseline{}, found, scan)
}

// entry makes an entry of a finding.
func entry(f finding.Finding, seen time.Time) Entry {
	e := Entry{Fingerprints: f.Fingerprints, Commits: f.Commits, IDs: f.IDs, Class: f.Class, Severity: f.Severity, Title: line(f.Title), FirstSeen: seen}
	for _, s := range f.Sightings {
		e.Tools = append(e.Tools, s.Tool)
		if e.Place == "" {
			e.Place = s.Location.Lasting()
		}
		if !s.Known.IsZero() && (e.Published.IsZero() || s.Known.Before(e.Published)) {
			e.Published = s.Known
		}
	}
	e.Tools = set(e.Tools)
	return e
}

// maxTitle is how long a title is in the file, in bytes.
const maxTitle = 300

// line returns a title as the file has it.
func line(title string) string {
	title = strings.Join(strings.Fields(strings.ToValidUTF8(title, "")), " ")
	if len(title) > maxTitle {
		title = strings.ToValidUTF8(title[:maxTitle-3], "") + "..."
	}
	return title
}

// set returns each string once, sorted.
func set(of ...[]string) []string {
	all := slices.Concat(of...)
	slices.Sort(all)
	return slices.Compact(all)
}

// finding makes a finding of an entry, for people.
func (e Entry) finding(state finding.State) finding.Finding {
	f := finding.Finding{ID: e.Fingerprints[0], Fingerprints: e.Fingerprints, Commits: e.Commits, IDs: e.IDs, Class: e.Class, Title: e.Title,
		Severity: e.Severity, Why: "the baseline", EPSS: -1, State: state}
	at := finding.Location{Path: e.Place}
	if image, ok := strings.CutPrefix(e.Place, "image:"); ok {
		at = finding.Location{Image: image}
	} else if host, ok := strings.CutPrefix(e.Place, "host:"); ok {
		at = finding.Location{Host: host}
	}
	for _, tool := range e.Tools {
		f.Sightings = append(f.Sightings, finding.Sighting{Tool: tool, Class: e.Class, Title: e.Title, IDs: e.IDs, Location: at, Known: e.Published})
	}
	return f
}
