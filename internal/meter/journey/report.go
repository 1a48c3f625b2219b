package journey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/candlefish/deploy-action/internal/jsonkeys"
)

// Limits of a report. The script keeps to smaller ones.
const (
	maxReport  = 32 << 20
	maxPages   = 500
	maxEntries = 25000
	maxNumber  = 1e12 // of a time in milliseconds, or a size in bytes
)

// A report is what the script writes.
type report struct {
	Version     int         `json:"version"`
	Browser     string      `json:"browser"`
	Pages       []document  `json:"pages"`
	Steps       []string    `json:"steps"` // names, of a module
	Duration    float64     `json:"duration"`
	Heap        []float64   `json:"heap"`  // after the visit and each repetition
	Whole       bool        `json:"whole"` // each repetition loaded its documents again
	Lost        float64     `json:"lost"`  // entries beyond the limit
	Errors      []pageError `json:"errors"`
	Screenshots []shot      `json:"screenshots"`
	Failed      *failure    `json:"failed"`
	HeapFailed  *failure    `json:"heapFailed"`
	Trace       *trace      `json:"trace"`
}

// A pageError is what a page's scripts did wrong.
type pageError struct {
	Kind string `json:"kind"` // exception or console
	Text string `json:"text"`
	URL  string `json:"url"`
}

type shot struct {
	What string `json:"what"`
	File string `json:"file"`
}

// A failure is a step that failed.
type failure struct {
	Step       int    `json:"step"` // from 0
	Name       string `json:"name"` // of a module's step
	Why        string `json:"why"`
	Timeout    bool   `json:"timeout"`
	Late       bool   `json:"late"` // the whole journey's time was over
	URL        string `json:"url"`
	Saw        string `json:"saw"`        // the beginning of the page's text
	Repetition int    `json:"repetition"` // of a failure after the visit
}

type trace struct {
	File   string   `json:"file"` // "" for none
	What   string   `json:"what"`
	Bytes  float64  `json:"bytes"`
	Passed bool     `json:"passed"`
	Failed *failure `json:"failed"`
	Why    string   `json:"why"` // there is none
}

// parse reads a whole report; anything else is an error.
func parse(raw []byte) (report, error) {
	var r report
	if len(raw) > maxReport {
		return r, fmt.Errorf("its report has %d bytes: want at most %d", len(raw), maxReport)
	}
	if err := jsonkeys.UniqueFold(raw); err != nil {
		return r, fmt.Errorf("its report: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("its report is not the JSON that was expected: %w", err)
	}
	return r, r.check()
}

// check returns what contradicts the script's own rules.
func (r report) check() error {
	switch {
	case r.Version != 1:
		return fmt.Errorf("its report has version %d, want 1", r.Version)
	case r.Browser == "":
		return errors.New("its report does not name the browser's version")
	case len(r.Pages) > maxPages:
		return fmt.Errorf("its report has %d documents: want at most %d", len(r.Pages), maxPages)
	case r.Failed == nil && len(r.Pages) == 0:
		return errors.New("its report has no document, and no step that failed")
	case r.Failed == nil && r.Duration <= 0:
		return errors.New("its report has no duration")
	}
	for _, f := range []*failure{r.Failed, r.HeapFailed} {
		if f != nil && (f.Step < 0 || f.Step > 10000 || f.Why == "") {
			return errors.New("its report has a failure without a step or a reason")
		}
	}
	numbers := slices.Concat([]float64{r.Duration, r.Lost}, r.Heap)
	for _, d := range r.Pages {
		more, err := d.numbers()
		if err != nil {
			return err
		}
		numbers = append(numbers, more...)
	}
	for _, n := range numbers {
		if math.IsNaN(n) || n < 0 || n > maxNumber {
			return fmt.Errorf("its report has the number %v: want 0 to %v", n, maxNumber)
		}
	}
	return nil
}

// numbers returns all numbers of a document, or an error if entries have not their form.
func (d document) numbers() ([]float64, error) {
	all := []float64{d.Interactions}
	for _, v := range []*float64{d.TTFB, d.FCP, d.LCP} {
		if v != nil {
			all = append(all, *v)
		}
	}
	if len(d.Shifts)+len(d.Tasks)+len(d.Events) > maxEntries {
		return nil, fmt.Errorf("its report has a document with more than %d entries", maxEntries)
	}
	for _, kind := range []struct {
		entries [][]float64
		width   int
	}{{d.Shifts, 2}, {d.Tasks, 1}, {d.Events, 3}} {
		for _, e := range kind.entries {
			if len(e) != kind.width {
				return nil, fmt.Errorf("its report has an entry of %d numbers: want %d", len(e), kind.width)
			}
			all = append(all, e...)
		}
	}
	return all, nil
}
