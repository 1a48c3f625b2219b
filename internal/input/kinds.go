package input

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// parse parses text by the definition's kind.
func (d Def) parse(text string) (any, error) {
	if d.Kind != List && strings.ContainsFunc(text, unicode.IsControl) {
		return nil, errors.New("contains control characters or line breaks")
	}
	switch d.Kind {
	case Int:
		return d.parseInt(text)
	case Float:
		return d.parseFloat(text)
	case Bool:
		return parseBool(text)
	case Duration:
		return d.parseDuration(text)
	case List:
		return parseList(text), nil
	case Enum:
		return d.parseEnum(text)
	case Steps:
		return ParseSteps(text)
	case URL:
		return parseURL(text)
	case Regexp:
		return parseRegexp(text)
	default:
		return d.parseString(text)
	}
}

func (d Def) parseString(text string) (any, error) {
	if d.Form != nil && !d.Form.match(text) {
		return nil, errors.New("invalid format")
	}
	return text, nil
}

func (d Def) parseInt(text string) (any, error) {
	n, err := strconv.Atoi(d.trimUnit(text))
	if err != nil {
		return nil, errors.New("not a whole number")
	}
	return n, d.inRange(float64(n))
}

func (d Def) parseFloat(text string) (any, error) {
	f, err := strconv.ParseFloat(d.trimUnit(text), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errors.New("not a number")
	}
	return f, d.inRange(f)
}

// trimUnit accepts the unit that the tables show.
func (d Def) trimUnit(text string) string {
	if d.Unit == "" {
		return text
	}
	return strings.TrimSpace(strings.TrimSuffix(text, d.Unit))
}

func (d Def) inRange(f float64) error {
	if d.Range != nil && (f < d.Range.Min || f > d.Range.Max) {
		return errors.New("out of range")
	}
	return nil
}

// parseBool accepts only true and false: tools disagree about YAML's yes, on
// and 1.
func parseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("not a boolean")
}

func (d Def) parseDuration(text string) (any, error) {
	v, err := ParseDuration(text, d.Bare)
	if err != nil {
		return nil, err
	}
	return v, d.inRange(v.Seconds())
}

// ParseDuration parses a duration with Go's units (30s, 5m, 1h30m) or a whole
// number in units of bare (zero: a second). A negative duration is an error.
func ParseDuration(text string, bare time.Duration) (time.Duration, error) {
	if bare == 0 {
		bare = time.Second
	}
	v, err := time.ParseDuration(text)
	if n, intErr := strconv.ParseInt(text, 10, 64); intErr == nil {
		if n > int64(math.MaxInt64/bare) {
			return 0, errors.New("too long")
		}
		v, err = time.Duration(max(n, -1))*bare, nil
	}
	if err != nil {
		return 0, errors.New("not a duration")
	}
	if v < 0 {
		return 0, errors.New("negative")
	}
	return v, nil
}

func parseList(text string) []string {
	var items []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			items = append(items, line)
		}
	}
	return items
}

func (d Def) parseEnum(text string) (any, error) {
	if slices.Contains(d.Later, text) {
		return nil, fmt.Errorf("%s is planned, not available yet", text)
	}
	if !slices.Contains(d.Allowed, text) {
		return nil, errors.New("unknown value")
	}
	return text, nil
}

// A Step is one weight of a plan.
type Step struct {
	Weight int // whole percent
	// Pause is the wait after the step; UntilPromoted waits for a person instead.
	Pause         time.Duration
	UntilPromoted bool
}

// ParseSteps parses the steps of a plan, separated by commas: whole percents
// from 1 to 100, rising, the last one 100. ":pause" after a weight waits until a
// person promotes, ":pause=1h" for a time.
func ParseSteps(text string) ([]Step, error) {
	var steps []Step
	for part := range strings.SplitSeq(text, ",") {
		step, err := parseStep(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if n := len(steps); n > 0 && step.Weight <= steps[n-1].Weight {
			return nil, fmt.Errorf("the weights do not rise: %d follows %d", step.Weight, steps[n-1].Weight)
		}
		steps = append(steps, step)
	}
	if last := steps[len(steps)-1].Weight; last != 100 {
		return nil, fmt.Errorf("the last weight is %d, not 100", last)
	}
	return steps, nil
}

func parseStep(text string) (Step, error) {
	weight, pause, paused := strings.Cut(text, ":")
	w, err := strconv.Atoi(strings.TrimSuffix(weight, "%"))
	if err != nil {
		return Step{}, fmt.Errorf("%q is not a whole percent", weight)
	}
	if w < 1 || w > 100 {
		return Step{}, fmt.Errorf("weight %d is not within 1 to 100", w)
	}
	step := Step{Weight: w}
	if !paused {
		return step, nil
	}
	word, limit, timed := strings.Cut(pause, "=")
	if word != "pause" {
		return Step{}, fmt.Errorf("%q is not pause or pause=DURATION", pause)
	}
	if step.UntilPromoted = !timed; !timed {
		return step, nil
	}
	step.Pause, err = ParseDuration(limit, time.Second)
	if err == nil && step.Pause <= 0 {
		err = errors.New("it is not positive")
	}
	if err != nil {
		return Step{}, fmt.Errorf("pause %q: %w", limit, err)
	}
	return step, nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, errors.New("not an absolute http or https URL")
	}
	return u, nil
}

func parseRegexp(text string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, errors.New("not a regular expression")
	}
	return re, nil
}

// Allows describes the allowed values.
func (d Def) Allows() string {
	switch d.Kind {
	case Int:
		return "a whole number" + d.rangeWords()
	case Float:
		return "a number" + d.rangeWords()
	case Bool:
		return "true or false"
	case Duration:
		return "a duration such as 30s or 5m, or a whole number of " + d.bareWords() + d.rangeWords()
	case List:
		return "one item a line"
	case Enum:
		return strings.Join(d.Allowed, ", ")
	case Steps:
		return "rising whole percents from 1 to 100 that end at 100, such as 5,25,50,100; a pause may follow one: 25:pause or 25:pause=1h"
	case URL:
		return "an absolute http or https URL"
	case Regexp:
		return "a regular expression in Go's syntax"
	case String:
	}
	if d.Form != nil {
		return d.Form.Want
	}
	return "any text on one line"
}

func (d Def) rangeWords() string {
	if d.Range == nil {
		return ""
	}
	if d.Kind == Duration {
		return fmt.Sprintf(", from %v to %v", seconds(d.Range.Min), seconds(d.Range.Max))
	}
	return fmt.Sprintf(" from %v to %v", d.Range.Min, d.Range.Max)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (d Def) bareWords() string {
	if d.Bare == time.Millisecond {
		return "milliseconds"
	}
	return "seconds"
}
