package client

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/prometheus/common/model"
)

// An answer is read as it comes, so that its text is never in memory as a whole: the
// library's client holds it three times over, and a server that is asked too wide a
// question answers with megabytes every two seconds.

// maxSeries bounds how many series an answer may have. What is kept of an empty one is
// several times its text.
const maxSeries = 50_000

// A reply is what the API answers to an instant query.
type reply struct {
	status, errorType, err string
	warnings               []string
	kind                   string // matrix, vector, scalar or string
	series                 []*model.SampleStream
	gauge                  bool               // the series have one value each
	number                 []model.SamplePair // of a scalar; none or one
}

// readReply reads one, whatever the order of its keys. Keys that nobody knows are
// skipped; one that is there twice is an error.
func readReply(r io.Reader) (reply, error) {
	var a reply
	d := json.NewDecoder(r)
	err := object(d, func(key string) error {
		switch key {
		case "status":
			return d.Decode(&a.status)
		case "errorType":
			return d.Decode(&a.errorType)
		case "error":
			return d.Decode(&a.err)
		case "warnings":
			return d.Decode(&a.warnings)
		case "data":
			return a.data(d)
		}
		return skip(d)
	})
	if err != nil {
		return a, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return a, cmp.Or(err, errors.New("more than one JSON value"))
	}
	return a, nil
}

func (a *reply) data(d *json.Decoder) error {
	return objectOrNull(d, func(key string) error {
		switch key {
		case "resultType":
			return d.Decode(&a.kind)
		case "result":
			return a.result(d)
		}
		return skip(d)
	})
}

// result is a list of series, or a time and a text.
func (a *reply) result(d *json.Decoder) error {
	if err := delim(d, '['); err != nil {
		return err
	}
	for d.More() {
		token, err := d.Token()
		switch {
		case err != nil:
			return err
		case token == json.Delim('{'):
			if err := a.one(d); err != nil {
				return err
			}
		case len(a.series) == 0 && len(a.number) == 0:
			return a.scalar(d, token)
		default:
			return fmt.Errorf("%v among the series", token)
		}
	}
	_, err := d.Token() // the end of the list
	return err
}

// scalar reads what follows the time of a scalar or a string.
func (a *reply) scalar(d *json.Decoder, at json.Token) error {
	seconds, ok := at.(float64)
	if !ok {
		return fmt.Errorf("%v, want a series or a time", at)
	}
	var text string
	if err := d.Decode(&text); err != nil {
		return err
	}
	if err := delim(d, ']'); err != nil {
		return err
	}
	if a.kind == "string" {
		return nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return err
	}
	a.number = []model.SamplePair{{Timestamp: model.Time(seconds*1000 + .5), Value: model.SampleValue(v)}}
	return nil
}

// one reads a series; its { was read.
func (a *reply) one(d *json.Decoder) error {
	if len(a.series) == maxSeries {
		return fmt.Errorf("%w: more than %d series", ErrTooLarge, maxSeries)
	}
	s := &model.SampleStream{}
	a.series = append(a.series, s)
	return rest(d, func(key string) error {
		switch key {
		case "metric":
			s.Metric = model.Metric{}
			return object(d, func(label string) error {
				var v string
				err := d.Decode(&v)
				s.Metric[model.LabelName(label)] = model.LabelValue(v)
				return err
			})
		case "values":
			return list(d, func() error {
				var p pair
				err := d.Decode(&p)
				s.Values = append(s.Values, model.SamplePair(p))
				return err
			})
		case "value":
			var p pair
			err := d.Decode(&p)
			s.Values, a.gauge = []model.SamplePair{model.SamplePair(p)}, true
			return err
		case "histogram", "histograms":
			s.Histograms = []model.SampleHistogramPair{{}} // that there are some is enough to refuse them
		}
		return skip(d)
	})
}

// value is the answer in the library's types.
func (a reply) value() (model.Value, error) {
	switch a.kind {
	case "":
		return nil, nil
	case "matrix":
		if a.gauge || len(a.number) > 0 {
			return nil, errors.New("a matrix with a single value")
		}
		return model.Matrix(a.series), nil
	case "vector":
		return a.vector()
	case "scalar":
		if len(a.number) != 1 {
			return nil, errors.New("a scalar without a number")
		}
		return &model.Scalar{Timestamp: a.number[0].Timestamp, Value: a.number[0].Value}, nil
	case "string":
		return &model.String{}, nil
	}
	return nil, fmt.Errorf("a result of the type %.40q", a.kind)
}

func (a reply) vector() (model.Value, error) {
	all := model.Vector{}
	for _, s := range a.series {
		one := &model.Sample{Metric: s.Metric}
		switch {
		case len(s.Histograms) > 0:
			one.Histogram = &model.SampleHistogram{}
		case len(s.Values) == 1:
			one.Timestamp, one.Value = s.Values[0].Timestamp, s.Values[0].Value
		default:
			return nil, fmt.Errorf("%s has %d values, want one", s.Metric, len(s.Values))
		}
		all = append(all, one)
	}
	if len(a.number) > 0 {
		return nil, errors.New("a vector with a single number")
	}
	return all, nil
}

// A pair is a time in seconds and a value as text: [1700000000.5,"12"].
type pair model.SamplePair

// UnmarshalJSON implements json.Unmarshaler. The JSON is known to be valid.
func (p *pair) UnmarshalJSON(b []byte) error {
	inner, found := bytes.CutPrefix(bytes.TrimSpace(b), []byte("["))
	inner, closed := bytes.CutSuffix(inner, []byte("]"))
	at, value, two := bytes.Cut(inner, []byte(","))
	value = bytes.TrimSpace(value)
	if !found || !closed || !two || len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return fmt.Errorf("%.60q, want a time and a value as text", b)
	}
	seconds, err := strconv.ParseFloat(string(bytes.TrimSpace(at)), 64)
	if err != nil || seconds < 0 || seconds > 1e11 {
		return fmt.Errorf("%.60q is no time", at)
	}
	v, err := strconv.ParseFloat(string(value[1:len(value)-1]), 64)
	if err != nil {
		return err
	}
	p.Timestamp, p.Value = model.Time(seconds*1000+.5), model.SampleValue(v)
	return nil
}

// object reads the keys of an object; each reads the value of one.
func object(d *json.Decoder, each func(key string) error) error {
	if err := delim(d, '{'); err != nil {
		return err
	}
	return rest(d, each)
}

// objectOrNull takes null for an object without keys.
func objectOrNull(d *json.Decoder, each func(key string) error) error {
	token, err := d.Token()
	switch {
	case err != nil:
		return err
	case token == nil:
		return nil
	case token != json.Delim('{'):
		return fmt.Errorf("%v, want an object", token)
	}
	return rest(d, each)
}

// rest is object whose { was read.
func rest(d *json.Decoder, each func(key string) error) error {
	var seen []string // they are few
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		for _, k := range seen {
			if k == key {
				return fmt.Errorf("the key %.60q is there twice", key)
			}
		}
		if seen = append(seen, key); len(seen) > 1000 {
			return errors.New("an object of more than 1,000 keys")
		}
		if err := each(key); err != nil {
			return err
		}
	}
	return delim(d, '}')
}

// list reads the items of a list.
func list(d *json.Decoder, item func() error) error {
	if err := delim(d, '['); err != nil {
		return err
	}
	for d.More() {
		if err := item(); err != nil {
			return err
		}
	}
	return delim(d, ']')
}

func delim(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err == nil && token != want {
		err = fmt.Errorf("%v, want %v", token, want)
	}
	return err
}

// skip reads over a value.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > 1000 {
				return errors.New("the values are nested too deep")
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
