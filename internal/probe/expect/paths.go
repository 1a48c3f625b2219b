// Package expect says what answers to probes should be: the pages that are asked for,
// what the user expects of them, and what stable answered before a release.
//
// All of it is pure. A failed request is not its business (see package probe): it
// classifies answers that are no errors and still not what they should be.
package expect

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The bounds of what a user can ask for.
const (
	maxPaths        = 20
	maxWeight       = 1000
	maxExpectations = 50
)

// Paths describes what a line of probe-paths may be.
const Paths = "one path a line, each with a weight from 1 to 1000 or none for 1, such as: /api/health 3"

// A Path is one page that the probes ask for.
type Path struct {
	Path string // with a query, if any
	// Weight is its share of the probes, relative to the other paths.
	Weight int
	// Expectations of its answers.
	Expectations []Expectation
}

// A LineError is what is wrong with one line of an input.
type LineError struct {
	Line int // from 1
	Text string
	Why  string
}

// Error names the line, without its text.
func (e LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Why) }

var validPath = regexp.MustCompile(`^/[!-~]*$`)

// ParsePaths parses the lines of the input probe-paths. It returns everything that is
// wrong.
func ParsePaths(text string) ([]Path, []LineError) {
	var paths []Path
	wrong := lines(text, func(line string) error {
		path, err := parsePath(line)
		switch {
		case err != nil:
			return err
		case index(paths, path.Path) >= 0:
			return fmt.Errorf("path %s is there twice", path.Path)
		case len(paths) == maxPaths:
			return fmt.Errorf("more than %d paths", maxPaths)
		}
		paths = append(paths, path)
		return nil
	})
	return paths, wrong
}

func parsePath(line string) (Path, error) {
	fields := strings.Fields(line)
	p := Path{Path: fields[0], Weight: 1}
	if !validPath.MatchString(p.Path) {
		return p, fmt.Errorf("%q is no path: it starts with '/'", p.Path)
	}
	if len(fields) > 2 {
		return p, errors.New("more than a path and a weight")
	}
	if len(fields) == 1 {
		return p, nil
	}
	var err error
	if p.Weight, err = strconv.Atoi(fields[1]); err != nil || p.Weight < 1 || p.Weight > maxWeight {
		return p, fmt.Errorf("weight %q is no whole number from 1 to %d", fields[1], maxWeight)
	}
	return p, nil
}

// lines calls parse with every line that is not blank, and returns its errors.
func lines(text string, parse func(line string) error) []LineError {
	var wrong []LineError
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := parse(line); err != nil {
			wrong = append(wrong, LineError{Line: n, Text: line, Why: err.Error()})
		}
	}
	return wrong
}

// index returns the place of a path in the list, -1 if it is not there.
func index(paths []Path, path string) int {
	return slices.IndexFunc(paths, func(p Path) bool { return p.Path == path })
}
