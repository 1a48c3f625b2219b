package baseline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/jsonkeys"
)

const (
	schema  = 1
	maxSize = 100 << 20 // of a file, in bytes
)

// A document is the file.
type document struct {
	Schema   int           `json:"schema"`
	Level    verdict.Level `json:"level"`
	Commit   string        `json:"commit,omitempty"`
	At       time.Time     `json:"at"`
	Tools    []string      `json:"tools"`
	Findings []record      `json:"findings"`
}

type record struct {
	Fingerprints []string      `json:"fingerprints"`
	Commits      []string      `json:"commits,omitempty"`
	IDs          []string      `json:"ids,omitempty"`
	Tools        []string      `json:"tools"`
	Class        finding.Class `json:"class"`
	Severity     string        `json:"severity"`
	Title        string        `json:"title"`
	Place        string        `json:"place,omitempty"`
	FirstSeen    time.Time     `json:"first_seen"`
	Published    *time.Time    `json:"published,omitempty"`
}

// Write writes a baseline as a file, the same bytes for the same baseline.
func Write(w io.Writer, b Baseline) error {
	d := document{Schema: schema, Level: b.Level, Commit: b.Commit, At: b.At.UTC(), Tools: append([]string{}, b.Tools...), Findings: []record{}}
	for _, e := range b.Entries {
		r := record{Fingerprints: e.Fingerprints, Commits: e.Commits, IDs: e.IDs, Tools: e.Tools, Class: e.Class, Severity: e.Severity.String(),
			Title: e.Title, Place: e.Place, FirstSeen: e.FirstSeen.UTC()}
		if at := e.Published.UTC(); !at.IsZero() {
			r.Published = &at
		}
		d.Findings = append(d.Findings, r)
	}
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return fmt.Errorf("write the baseline: %w", err)
	}
	if _, err := w.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write the baseline: %w", err)
	}
	return nil
}

// Read reads a file that [Write] wrote. What is not whole, or has a key, a class or
// a form that this version does not know, is an error: a baseline that is read in
// part would make old findings new, or hide new ones.
func Read(r io.Reader) (Baseline, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return Baseline{}, fmt.Errorf("read the baseline: %w", err)
	}
	if len(text) > maxSize {
		return Baseline{}, fmt.Errorf("read the baseline: it is larger than %d MiB", maxSize>>20)
	}
	b, err := parse(text)
	if err != nil {
		return Baseline{}, fmt.Errorf("read the baseline: %w", err)
	}
	return b, nil
}

func parse(text []byte) (Baseline, error) {
	if err := jsonkeys.UniqueFold(text); err != nil {
		return Baseline{}, err
	}
	var version struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return Baseline{}, err
	}
	if version.Schema != schema {
		return Baseline{}, fmt.Errorf("its schema is %d, want %d: make it again with this version", version.Schema, schema)
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return Baseline{}, err
	}
	return d.baseline()
}

var (
	print24 = regexp.MustCompile(`^[0-9a-f]{24}$`)
	commit  = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})?$`)
	name    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,60}$`)
)

// baseline checks what the file says.
func (d document) baseline() (Baseline, error) {
	b := Baseline{Level: d.Level, Commit: d.Commit, At: d.At.UTC(), Tools: d.Tools}
	switch {
	case depth(d.Level) < 0:
		return b, fmt.Errorf("level %.40q is not one of quick, standard, deep", d.Level)
	case !commit.MatchString(d.Commit):
		return b, fmt.Errorf("commit %.80q is not a commit's full name", d.Commit)
	case d.At.IsZero():
		return b, errors.New("it has no time of its scan")
	case d.Findings == nil:
		return b, errors.New("it has no list of findings")
	}
	if err := names(d.Tools); err != nil {
		return b, err
	}
	seen := map[string]bool{}
	for i, r := range d.Findings {
		e, err := r.entry(seen)
		if err != nil {
			return b, fmt.Errorf("finding %d: %w", i+1, err)
		}
		b.Entries = append(b.Entries, e)
	}
	return b, nil
}

// names checks a list of tools.
func names(tools []string) error {
	for i, tool := range tools {
		if !name.MatchString(tool) {
			return fmt.Errorf("%.80q is not the name of a tool", tool)
		}
		if i > 0 && tools[i-1] >= tool {
			return fmt.Errorf("the tools %q and %q are not in order", tools[i-1], tool)
		}
	}
	return nil
}

// entry checks one finding. Seen has the fingerprints of those before it.
func (r record) entry(seen map[string]bool) (Entry, error) {
	e := Entry{Fingerprints: r.Fingerprints, Commits: r.Commits, IDs: r.IDs, Tools: r.Tools, Class: r.Class, Title: r.Title, Place: r.Place, FirstSeen: r.FirstSeen.UTC()}
	if r.Published != nil {
		e.Published = r.Published.UTC()
	}
	severity := slices.IndexFunc(finding.Severities(), func(s finding.Severity) bool { return s.String() == r.Severity })
	switch {
	case len(r.Fingerprints) == 0:
		return e, errors.New("it has no fingerprint")
	case severity < 0:
		return e, fmt.Errorf("severity %.40q is not known", r.Severity)
	case !slices.Contains(finding.Classes(), r.Class):
		return e, fmt.Errorf("class %.40q is not known", r.Class)
	case r.FirstSeen.IsZero():
		return e, errors.New("it has no time at which it was first seen")
	case len(r.Title) > maxTitle || strings.ContainsAny(r.Title, "\r\n"):
		return e, errors.New("its title is not one line")
	case len(r.Tools) == 0:
		return e, errors.New("it has no tool")
	}
	e.Severity = finding.Severities()[severity]
	if err := names(r.Tools); err != nil {
		return e, err
	}
	for _, p := range slices.Concat(r.Fingerprints, r.Commits) {
		if !print24.MatchString(p) {
			return e, fmt.Errorf("%.40q is not a fingerprint", p)
		}
		if seen[p] {
			return e, fmt.Errorf("fingerprint %s is there twice", p)
		}
		seen[p] = true
	}
	return e, nil
}
