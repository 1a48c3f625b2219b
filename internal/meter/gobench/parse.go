package gobench

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/candlefish/deploy-action/internal/measure"
)

// A report is what the benchmarks of one package printed. The format is
// https://golang.org/design/14313-benchmark-format, read strictly: a line that begins
// as a result and is none is an error, since a value would be lost without it.
//
// It is our own reader: that of golang.org/x/perf is lenient, and its module needs a
// hundred others.
type report struct {
	pkg     string
	config  map[string]string
	results []result
	skipped []string // names of benchmarks
	units   map[string]map[string]string
}

// A result is one benchmark.
type result struct {
	name   string // "Parse/small-8"
	n      int64  // iterations
	values []value
}

// A value has a base unit: "sec/op", "B/s".
type value struct {
	unit  string
	value float64
}

const (
	maxResults = 20_000
	maxLine    = 1 << 20
	maxUnits   = 50 // of one result
)

// parse reads the output of a test program that ran benchmarks. It must end with PASS.
func parse(out []byte) (report, error) {
	r := report{config: map[string]string{}, units: map[string]map[string]string{}}
	passed := false
	seen := map[string]bool{}
	number := 0
	for line := range bytes.Lines(out) {
		number++
		if len(line) > maxLine {
			return r, fmt.Errorf("line %d is longer than %d bytes", number, maxLine)
		}
		text := strings.TrimRight(string(line), "\r\n")
		if passed = text == "PASS" || passed && strings.TrimSpace(text) == ""; passed {
			continue
		}
		one, is, err := r.line(text)
		if err != nil {
			return r, fmt.Errorf("line %d: %w", number, err)
		}
		if !is {
			continue
		}
		if seen[one.name] {
			return r, fmt.Errorf("line %d: there are two results of %.100s", number, one.name)
		}
		if seen[one.name] = true; len(seen) > maxResults {
			return r, fmt.Errorf("there are more than %d results", maxResults)
		}
		r.results = append(r.results, one)
	}
	if !passed {
		return r, errors.New("the output does not end with PASS: it is not whole, or the program ended itself")
	}
	if r.pkg = r.config["pkg"]; r.pkg == "" {
		return r, errors.New("the output does not say of which package it is (pkg:)")
	}
	return r, nil
}

// line reads one line; is says that it is a result. What benchmarks print for people is
// passed over.
func (r *report) line(text string) (one result, is bool, err error) {
	if rest, ok := strings.CutPrefix(text, "Benchmark"); ok {
		return parseResult(rest)
	}
	if rest, ok := strings.CutPrefix(text, "Unit"); ok && rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
		return result{}, false, r.unit(strings.Fields(rest))
	}
	if _, rest, ok := strings.Cut(text, "--- SKIP: Benchmark"); ok {
		name, _, _ := strings.Cut(rest, " ")
		r.skipped = append(r.skipped, name)
		return result{}, false, nil
	}
	if key, value, ok := strings.Cut(text, ":"); ok && isKey(key) && (value == "" || value[0] == ' ' || value[0] == '\t') {
		value = strings.TrimSpace(value)
		if before := r.config["pkg"]; key == "pkg" && before != "" && before != value {
			return result{}, false, fmt.Errorf("it is of the package %q, and of %q too", before, value)
		}
		if len(r.config) < 1000 {
			r.config[key] = value
		}
	}
	return result{}, false, nil
}

// isKey: a lower case letter, and then neither spaces nor capital letters.
func isKey(key string) bool {
	for i, c := range key {
		if i == 0 && !unicode.IsLower(c) || unicode.IsSpace(c) || unicode.IsUpper(c) {
			return false
		}
	}
	return key != ""
}

func parseResult(rest string) (one result, is bool, err error) {
	fields := strings.Fields(rest)
	if len(fields) == 0 || rest[0] == ' ' || rest[0] == '\t' {
		return one, false, nil // a sentence that begins with the word
	}
	if one.name = fields[0]; len(fields) == 1 {
		return one, false, nil // with -v the name comes before the result
	}
	broken := func(why string) error {
		return fmt.Errorf("%.100s: %s: does the benchmark print to standard output?", one.name, why)
	}
	if one.n, err = strconv.ParseInt(fields[1], 10, 64); err != nil || one.n < 0 {
		return result{}, false, broken("no number of iterations")
	}
	pairs := fields[2:]
	if len(pairs) == 0 || len(pairs)%2 != 0 || len(pairs) > 2*maxUnits {
		return result{}, false, broken("no pairs of a value and a unit")
	}
	for pair := range slices.Chunk(pairs, 2) {
		v, err := strconv.ParseFloat(pair[0], 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return result{}, false, broken(fmt.Sprintf("%.40q is no value", pair[0]))
		}
		unit, factor := tidy(pair[1])
		if slices.ContainsFunc(one.values, func(v value) bool { return v.unit == unit }) {
			return result{}, false, broken(fmt.Sprintf("two values in %.40s", unit))
		}
		one.values = append(one.values, value{unit, v * factor})
	}
	return one, true, nil
}

// unit takes what a line says of a unit: "better=higher", "assume=exact".
func (r *report) unit(fields []string) error {
	if len(fields) == 0 {
		return errors.New("a line of Unit has no unit")
	}
	unit, _ := tidy(fields[0])
	for _, field := range fields[1:] {
		key, v, ok := strings.Cut(field, "=")
		if !ok || key == "" {
			return fmt.Errorf("unit %.40s: %.40q is not KEY=VALUE", unit, field)
		}
		if before, known := r.units[unit][key]; known && before != v {
			return fmt.Errorf("unit %.40s: %.40s is %.40q and %.40q", unit, key, before, v)
		}
		if r.units[unit] == nil {
			r.units[unit] = map[string]string{}
		}
		r.units[unit][key] = v
	}
	return nil
}

// scaled are the units that are not base units.
var scaled = regexp.MustCompile(`\b(ns|MB)\b`)

// tidy returns the base unit, and by what its values are multiplied: seconds for
// nanoseconds, bytes for megabytes, above the line of a fraction.
func tidy(unit string) (string, float64) {
	over, under, fraction := strings.Cut(unit, "/")
	factor := 1.0
	over = scaled.ReplaceAllStringFunc(over, func(name string) string {
		if name == "ns" {
			factor /= 1e9
			return "sec"
		}
		factor *= 1e6
		return "B"
	})
	if fraction {
		over += "/" + under
	}
	return over, factor
}

// metric is what a unit means. A unit that nobody knows, and of which no line says
// which direction is better, is shown and not compared.
func (r report) metric(unit string) measure.Metric {
	m := measure.Metric{Name: unit, Title: unit, Unit: measure.Unit(unit), Better: measure.Lower, Exact: r.units[unit]["assume"] == "exact"}
	switch unit {
	case "sec/op":
		m.Title, m.Compared, m.Floor = "Time", true, measure.Floor{Absolute: .5e-9, Relative: .05}
	case "B/op":
		m.Title, m.Compared, m.Floor = "Allocated bytes", true, measure.Floor{Absolute: 16, Relative: .02}
	case "allocs/op":
		m.Title, m.Compared, m.Floor = "Allocations", true, measure.Floor{Absolute: .5, Relative: .01}
	case "B/s":
		m.Title, m.Better = "Throughput", measure.Higher // it says what the time says
	}
	switch r.units[unit]["better"] {
	case "lower":
		m.Better, m.Compared = measure.Lower, true
	case "higher":
		m.Better, m.Compared = measure.Higher, true
	}
	if m.Compared && m.Floor == (measure.Floor{}) {
		m.Floor.Relative = .05
	}
	return m
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
