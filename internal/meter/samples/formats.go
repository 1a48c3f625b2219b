package samples

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/jsonkeys"
	"github.com/candlefish/deploy-action/internal/measure"
)

// A sample has all values of one metric of one subject in one file.
type sample struct {
	subject    string
	metric     measure.Metric
	head, base []float64
	doubts     []string
}

// A format reads a file whose keys are known to be unique.
type format struct {
	name string
	read func(raw []byte) ([]sample, error)
}

// formats that a line can name. A file of one of the first two can do without, since
// it says itself what it is.
var formats = map[string]format{
	"samples":               {"samples", own},
	"hyperfine":             {"hyperfine", hyperfine},
	"customSmallerIsBetter": {"customSmallerIsBetter", func(raw []byte) ([]sample, error) { return custom(raw, measure.Lower) }},
	"customBiggerIsBetter":  {"customBiggerIsBetter", func(raw []byte) ([]sample, error) { return custom(raw, measure.Higher) }},
}

var detect = format{"", func(raw []byte) ([]sample, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw, &top); err != nil {
		return nil, errors.New("it is no JSON object: a list is of customSmallerIsBetter or customBiggerIsBetter, and the line must say of which")
	}
	if _, ok := top["results"]; ok {
		return hyperfine(raw)
	}
	return own(raw)
}}

func names() []string { return slices.Sorted(maps.Keys(formats)) }

// parse reads a file of the format and checks what all formats have in common.
func (f format) parse(raw []byte) ([]sample, error) {
	if err := jsonkeys.UniqueFold(raw); err != nil {
		return nil, err
	}
	found, err := f.read(raw)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errors.New("it has no samples")
	}
	if len(found) > maxSamples {
		return nil, fmt.Errorf("it has %d samples, at most %d are read", len(found), maxSamples)
	}
	seen := map[measure.Key]bool{}
	for _, s := range found {
		key := measure.Key{Subject: s.subject, Metric: s.metric.Name}
		if seen[key] {
			return nil, fmt.Errorf("%q of %q is there twice", s.metric.Name, s.subject)
		}
		seen[key] = true
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("%q of %q: %w", s.metric.Name, s.subject, err)
		}
	}
	return found, nil
}

func (s sample) check() error {
	for what, text := range map[string]string{"name": s.metric.Name, "subject": s.subject, "unit": string(s.metric.Unit)} {
		if text == "" || len(text) > maxName || strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) {
			return fmt.Errorf("its %s is empty, longer than %d bytes, or has control characters", what, maxName)
		}
	}
	if s.metric.Better != measure.Lower && s.metric.Better != measure.Higher {
		return fmt.Errorf("its better is %q, want lower or higher", s.metric.Better)
	}
	if s.metric.Floor.Absolute < 0 || s.metric.Floor.Relative < 0 {
		return errors.New("its floor is negative")
	}
	if len(s.head) > maxValues || len(s.base) > maxValues {
		return fmt.Errorf("it has more than %d values", maxValues)
	}
	return nil
}

// A number is a JSON number: null is none, although encoding/json takes it for 0.
type number float64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(raw []byte) error {
	if bytes.Equal(raw, []byte("null")) {
		return errors.New("null instead of a number")
	}
	return json.Unmarshal(raw, (*float64)(n))
}

func floats(all []number) []float64 {
	var values []float64
	for _, n := range all {
		values = append(values, float64(n))
	}
	return values
}

// own reads our own format.
func own(raw []byte) ([]sample, error) {
	var file struct {
		Version int
		Samples []struct {
			Name, Title, Subject string
			Unit                 measure.Unit
			Better               measure.Better
			Floor                struct{ Absolute, Relative number }
			Exact                bool
			Head, Base           []number
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one JSON value")
	}
	if file.Version != 1 {
		return nil, fmt.Errorf("version %d, want 1", file.Version)
	}
	var all []sample
	for _, s := range file.Samples {
		all = append(all, sample{subject: s.Subject, head: floats(s.Head), base: floats(s.Base), metric: measure.Metric{
			Name: s.Name, Title: cmp.Or(s.Title, s.Name), Unit: s.Unit, Better: s.Better, Compared: true, Exact: s.Exact,
			Floor: measure.Floor{Absolute: float64(s.Floor.Absolute), Relative: float64(s.Floor.Relative)},
		}})
	}
	return all, nil
}

// custom reads the custom formats of github-action-benchmark, one value each. Source:
// https://github.com/benchmark-action/github-action-benchmark#examples
func custom(raw []byte, better measure.Better) ([]sample, error) {
	var list []struct {
		Name  string
		Unit  measure.Unit
		Value *number
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	var all []sample
	for _, one := range list {
		if one.Value == nil {
			return nil, fmt.Errorf("%q has no value", one.Name)
		}
		all = append(all, sample{
			subject: one.Name, head: []float64{float64(*one.Value)},
			metric: measure.Metric{Name: "value", Title: "Value", Unit: one.Unit, Better: better, Compared: true, Floor: measure.Floor{Relative: .05}},
		})
	}
	return all, nil
}

// hyperfine reads what hyperfine --export-json writes: all times of each command.
// Its source is src/benchmark/benchmark_result.rs of https://github.com/sharkdp/hyperfine.
func hyperfine(raw []byte) ([]sample, error) {
	var file struct {
		Results []struct {
			Command   string
			Times     []number
			ExitCodes []*int `json:"exit_codes"`
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, err
	}
	var all []sample
	for _, r := range file.Results {
		s := sample{subject: r.Command, head: floats(r.Times), metric: measure.Metric{
			Name: "time", Title: "Time", Unit: "s", Better: measure.Lower, Compared: true, Floor: measure.Floor{Absolute: .001, Relative: .05},
		}}
		failed := 0
		for _, code := range r.ExitCodes {
			if code == nil || *code != 0 { // null: a signal ended it
				failed++
			}
		}
		if failed > 0 {
			s.doubts = []string{fmt.Sprintf("%q failed in %d of %d runs", r.Command, failed, len(r.ExitCodes))}
		}
		all = append(all, s)
	}
	return all, nil
}
