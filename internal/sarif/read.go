package sarif

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"sync"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/sarif/split"
)

// Read reads a file. An error says what is wrong with it and where; there are no
// results then.
func Read(r io.Reader, o Options) (Log, error) {
	raw, err := load(r, o.MaxBytes)
	if err != nil {
		return Log{}, fmt.Errorf("read SARIF: %w", err)
	}
	runs, err := parts(raw)
	if err != nil {
		return Log{}, fmt.Errorf("read SARIF: %w", err)
	}
	var l Log
	for i, one := range runs {
		run, err := one.read(o)
		if err != nil {
			return Log{}, fmt.Errorf("read SARIF: runs[%d]: %w", i, err)
		}
		l.Runs = append(l.Runs, run)
	}
	return l, nil
}

// load reads the text of a file, in UTF-8, without a byte order mark.
func load(r io.Reader, limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = DefaultBytes
	}
	var b bytes.Buffer
	b.Grow(int(min(size(r), limit)) + bytes.MinRead)
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	raw := bytes.TrimPrefix(b.Bytes(), []byte("\xef\xbb\xbf"))
	switch {
	case n > limit:
		return nil, fmt.Errorf("the file is larger than %d MB", limit>>20)
	case len(bytes.TrimSpace(raw)) == 0:
		return nil, errors.New("the file is empty")
	case bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) || len(raw) > 1 && (raw[0] == 0 || raw[1] == 0):
		return nil, errors.New("the file is in UTF-16, SARIF is in UTF-8 (section 3.1)")
	}
	return raw, nil
}

// size is how much there is to read, 0 if that is not known.
func size(r io.Reader) int64 {
	switch r := r.(type) {
	case interface{ Len() int }:
		return int64(r.Len())
	case interface{ Stat() (fs.FileInfo, error) }:
		if about, err := r.Stat(); err == nil && about.Mode().IsRegular() {
			return about.Size()
		}
	}
	return 0
}

// A part is one run, in pieces.
type part struct {
	header  bytes.Buffer // an object of the members that go-sarif decodes
	listed  bool         // it has a list of results
	results [][]byte
}

// headers are the members of a run that say something about its results.
var headers = map[string]bool{
	"tool": true, "invocations": true, "artifacts": true, "originalUriBaseIds": true, "automationDetails": true,
	"taxonomies": true, "externalPropertyFileReferences": true, "properties": true,
}

// bags are the members whose keys are names of a tool or of a user.
var bags = map[string]bool{
	"properties": true, "partialFingerprints": true, "fingerprints": true, "originalUriBaseIds": true, "messageStrings": true,
	"globalMessageStrings": true, "environmentVariables": true, "hashes": true, "headers": true, "parameters": true,
	"initialState": true, "finalState": true, "immutableState": true, "state": true,
}

// parts walks through all of a file: what follows is a SARIF file as a whole.
func parts(raw []byte) ([]*part, error) {
	s := split.New(raw)
	s.Loose = func(key []byte) bool { return bags[string(key)] }
	var runs []*part
	version, listed := "", false
	err := s.Object(func(key string) (err error) {
		switch key {
		case "version":
			version, err = text(s)
			return err
		case "runs":
			listed = true
			runs, err = list(s)
			return err
		case "inlineExternalProperties":
			return external(s)
		}
		_, err = s.Raw()
		return err
	})
	if err == nil {
		err = s.End()
	}
	switch {
	case err != nil:
		return nil, err
	case version != "2.1.0":
		return nil, fmt.Errorf("the version is %.20q, only 2.1.0 is understood", version)
	case !listed:
		return nil, errors.New("it has no runs")
	}
	return runs, nil
}

// text passes a string.
func text(s *split.Scanner) (string, error) {
	raw, err := s.Raw()
	if err != nil {
		return "", err
	}
	var v string
	if err := json.Unmarshal(raw, &v); err != nil {
		return "", fmt.Errorf("the version is %.20s, want a string", raw)
	}
	return v, nil
}

// external refuses results outside of their runs, which would be lost.
func external(s *split.Scanner) error {
	return s.Array(func(int) error {
		return errors.New("it has inlineExternalProperties, which are not supported: results could be missing")
	})
}

// list passes the runs. They may be null, if no tool was run (section 3.13.4).
func list(s *split.Scanner) ([]*part, error) {
	if s.Next() == 'n' {
		_, err := s.Raw()
		return nil, err
	}
	var runs []*part
	results := 0
	err := s.Array(func(i int) error {
		p, err := run(s, &results)
		runs = append(runs, p)
		if err != nil {
			return fmt.Errorf("runs[%d]: %w", i, err)
		}
		return nil
	})
	return runs, err
}

func run(s *split.Scanner, results *int) (*part, error) {
	p := &part{}
	err := s.Object(func(key string) error {
		if key == "results" && s.Next() != 'n' {
			p.listed = true
			return s.Array(func(i int) error {
				raw, err := s.Raw()
				p.results = append(p.results, raw)
				if *results++; err == nil && *results > MaxResults {
					err = fmt.Errorf("more than %d results", MaxResults)
				}
				if err != nil {
					return fmt.Errorf("results[%d]: %w", i, err)
				}
				return nil
			})
		}
		raw, err := s.Raw()
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if headers[key] {
			fmt.Fprintf(&p.header, ",%q:%s", key, raw)
		}
		return nil
	})
	return p, err
}

// read makes a Run of the pieces.
func (p *part) read(o Options) (Run, error) {
	c, run, err := p.context(o)
	if err != nil {
		return Run{}, err
	}
	sightings := make([]finding.Sighting, len(p.results))
	kept := make([]outcome, len(p.results))
	errs := make([]error, len(p.results))
	workers := min(runtime.GOMAXPROCS(0), 1+len(p.results)/256)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			mine := c.worker()
			for i := w * len(p.results) / workers; i < (w+1)*len(p.results)/workers; i++ {
				sightings[i], kept[i], errs[i] = mine.sighting(p.results[i])
			}
		})
	}
	wg.Wait()
	run.Results = len(p.results)
	run.Sightings = sightings[:0]
	for i, s := range sightings {
		if errs[i] != nil {
			return Run{}, fmt.Errorf("results[%d]: %w", i, errs[i])
		}
		switch kept[i] {
		case noProblem:
			run.Left.NoProblem++
		case absent:
			run.Left.Absent++
		default:
			run.Sightings = append(run.Sightings, s)
		}
	}
	return run, nil
}

// decode decodes JSON that was checked before; errors are about types.
func decode(raw []byte, v any) error {
	err := json.Unmarshal(raw, v)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s is a JSON %s, want %s", orSelf(e.Field), e.Value, e.Type)
	}
	return err
}

func orSelf(field string) string {
	if field == "" {
		return "it"
	}
	return field
}
