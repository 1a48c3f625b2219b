// Package servertime asks Prometheus what the server itself saw of a round: the
// queries of a file, each for one number over the time of the round.
//
// A rate or a quantile over a window needs two scrapes within it, so that a round must
// be at least twice as long as the scrape interval. With fewer Prometheus has no data,
// and no data is a gap, as are a number that is none and more than one series.
package servertime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/source/prometheus/client"
)

// The settings.
const (
	Queries = "queries"        // path of the file, absolute
	URL     = "prometheus-url" // of the server; it may hold a user and a password
)

// Bounds.
const (
	maxFile    = 1 << 20 // bytes
	maxQueries = 200
)

// ServerTime is the meter.
type ServerTime struct{}

var _ meter.Check = ServerTime{}

// About describes it.
func (ServerTime) About() meter.About {
	return meter.About{Name: "servertime", Does: "server timing from Prometheus", Network: true, ByURL: true, Last: true, Time: 2 * time.Minute}
}

// Applies reports whether there are queries.
func (ServerTime) Applies(job meter.Job) (bool, string) {
	if job.Settings[Queries] == "" {
		return false, "no queries"
	}
	return true, "queries to Prometheus"
}

// Problems are a wrong file and no server to ask.
func (ServerTime) Problems(job meter.Job) []error {
	if job.Settings[Queries] == "" {
		return nil
	}
	var all []error
	if _, err := load(job.Settings[Queries]); err != nil {
		all = append(all, fmt.Errorf("input queries: %w", err))
	}
	if _, err := client.New(client.Config{URL: job.Settings[URL]}); err != nil {
		all = append(all, fmt.Errorf("input prometheus-url: %w", err))
	}
	return all
}

// Measure asks all queries over the time since the round began.
func (ServerTime) Measure(ctx context.Context, job meter.Job) (meter.Reading, error) {
	queries, err := load(job.Settings[Queries])
	if err != nil {
		return meter.Reading{}, err
	}
	server, err := client.New(client.Config{URL: job.Settings[URL], Now: job.Now})
	if err != nil {
		return meter.Reading{}, err
	}
	window := job.Now().Sub(job.Began).Truncate(time.Second)
	if job.Began.IsZero() || window < time.Second {
		return meter.Reading{}, errors.New("the round took less than a second: there is nothing to ask Prometheus about")
	}
	var all meter.Reading
	for _, q := range queries {
		answer, err := server.Query(ctx, q.text(window, job.Side), window)
		if err != nil {
			return meter.Reading{}, fmt.Errorf("ask Prometheus for %s of %s: %w", q.Name, q.Subject, err)
		}
		v, err := number(answer)
		if err != nil {
			why := fmt.Sprintf("%v over %v: a rate needs two scrapes within the round", err, window)
			all.Gaps = append(all.Gaps, meter.Gap{Subject: q.Subject, Metric: q.Name, Why: why})
			continue
		}
		all.Values = append(all.Values, meter.Value{Subject: q.Subject, Metric: q.metric(), Value: v})
	}
	return all, nil
}

// number is the one number of an answer.
func number(answer model.Value) (float64, error) {
	var v float64
	switch a := answer.(type) {
	case *model.Scalar:
		v = float64(a.Value)
	case model.Vector:
		switch {
		case len(a) == 0:
			return 0, errors.New("there is no data")
		case len(a) > 1:
			return 0, fmt.Errorf("there are %d series instead of one", len(a))
		case a[0].Histogram != nil:
			return 0, errors.New("there is a histogram instead of a number")
		}
		v = float64(a[0].Value)
	case nil:
		return 0, errors.New("there is no data")
	default:
		return 0, fmt.Errorf("there is a %s instead of a number", answer.Type())
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("the value is %v", v)
	}
	return v, nil
}

// A query is one of the file.
type query struct {
	Name    string         `yaml:"name"`
	Title   string         `yaml:"title"`
	Subject string         `yaml:"subject"`
	Query   string         `yaml:"query"`
	Unit    measure.Unit   `yaml:"unit"`
	Better  measure.Better `yaml:"better"`
	Floor   struct {
		Absolute float64 `yaml:"absolute"`
		Relative float64 `yaml:"relative"`
	} `yaml:"floor"`
}

// text is the query with its placeholders filled in.
func (q query) text(window time.Duration, side measure.Side) string {
	seconds := strconv.Itoa(int(window/time.Second)) + "s"
	return strings.NewReplacer("${window}", seconds, "${side}", string(side)).Replace(q.Query)
}

func (q query) metric() measure.Metric {
	title := q.Title
	if title == "" {
		title = q.Name
	}
	return measure.Metric{
		Name: q.Name, Title: title, Unit: q.Unit, Better: q.Better, Compared: true,
		Floor: measure.Floor{Absolute: q.Floor.Absolute, Relative: q.Floor.Relative},
	}
}

// load reads the file of queries.
func load(name string) ([]query, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s is no regular file of at most %d MiB", name, maxFile>>20)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return parse(raw)
}

func parse(raw []byte) ([]query, error) {
	var file struct {
		Version int     `yaml:"version"`
		Queries []query `yaml:"queries"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one document")
	}
	switch {
	case file.Version != 1:
		return nil, fmt.Errorf("version %d, want 1", file.Version)
	case len(file.Queries) == 0:
		return nil, errors.New("there are no queries")
	case len(file.Queries) > maxQueries:
		return nil, fmt.Errorf("there are %d queries, at most %d are asked", len(file.Queries), maxQueries)
	}
	var wrong []error
	seen := map[[2]string]bool{}
	for i, q := range file.Queries {
		key := [2]string{q.Subject, q.Name}
		if err := q.check(); err != nil {
			wrong = append(wrong, fmt.Errorf("query %d (%s of %s): %w", i+1, q.Name, q.Subject, err))
		} else if seen[key] {
			wrong = append(wrong, fmt.Errorf("query %d: %s of %s is there twice", i+1, q.Name, q.Subject))
		}
		seen[key] = true
	}
	return file.Queries, errors.Join(wrong...)
}

var placeholder = regexp.MustCompile(`\$\{[^}]*\}?`)

func (q query) check() error {
	for key, v := range map[string]string{"name": q.Name, "subject": q.Subject, "query": q.Query, "unit": string(q.Unit)} {
		if strings.TrimSpace(v) == "" || len(v) > 10_000 {
			return fmt.Errorf("%s is empty or too long", key)
		}
	}
	if q.Better != measure.Lower && q.Better != measure.Higher {
		return fmt.Errorf("better is %q, want lower or higher", q.Better)
	}
	if !(q.Floor.Absolute >= 0 && q.Floor.Relative >= 0) || math.IsInf(q.Floor.Absolute+q.Floor.Relative, 0) {
		return errors.New("floor is negative or no number")
	}
	known := map[string]bool{"${window}": true, "${side}": true}
	for _, p := range placeholder.FindAllString(q.Query, -1) {
		if !known[p] {
			return fmt.Errorf("the placeholder %q; there are %s", p, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	return nil
}
