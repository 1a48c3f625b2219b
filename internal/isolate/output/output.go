// Package output decides whether what a tool printed is a whole report of it.
//
// A tool that crashed prints half a report, or nothing with exit status 0. Neither
// is an empty report: each is an error.
package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/isolate"
)

// Whole returns an error unless a tool ended by itself, with one of the statuses,
// and printed something that fitted into the limit.
func Whole(ran isolate.Ran, statuses ...int) error {
	switch {
	case ran.Ending != isolate.Exited:
		return fmt.Errorf("it %s%s", ending(ran.Ending), said(ran))
	case !slices.Contains(statuses, ran.Status):
		return fmt.Errorf("it exited with status %d%s", ran.Status, said(ran))
	case ran.Truncated:
		return errors.New("its report is longer than the limit, and its end is not known")
	case len(bytes.TrimSpace(ran.Stdout)) == 0:
		return fmt.Errorf("it exited with status %d and reported nothing, not even an empty report%s", ran.Status, said(ran))
	}
	return nil
}

// JSON decodes a report that is one JSON document and nothing else.
func JSON(report []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(report))
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("its report is not the JSON that was expected: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more in its report than one JSON document")
	}
	return nil
}

// List decodes a report that is one JSON list and nothing else, and calls each with
// one of its elements after the other. It ends at the first error.
func List[T any](report []byte, each func(T) error) error {
	decoder := json.NewDecoder(bytes.NewReader(report))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('[') {
		return fmt.Errorf("its report is not a JSON list: it begins with %q", Cut(string(bytes.TrimSpace(report)), 20))
	}
	for decoder.More() {
		var one T
		if err := decoder.Decode(&one); err != nil {
			return fmt.Errorf("its report is not the JSON that was expected: %w", err)
		}
		if err := each(one); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return fmt.Errorf("its report has no end: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more in its report than one JSON document")
	}
	return nil
}

// ending says how a program ended, after "it".
func ending(e isolate.Ending) string {
	switch e {
	case isolate.Signalled:
		return "was ended by a signal"
	case isolate.TimedOut:
		return "did not end in its time"
	case isolate.OutOfMemory:
		return "needed more memory than its limit"
	default:
		return "did not run to its end"
	}
}

// said is the last line that a tool wrote about itself, for people.
func said(ran isolate.Ran) string {
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(ran.Stderr), "")), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if last == "" {
		last = ran.Why
	}
	if last == "" {
		return ""
	}
	return ": " + Cut(last, 200)
}

// Cut shortens text to at most n bytes, between characters.
func Cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "..."
}

// Some returns "3 files could not be parsed: a, b, c" for what and names, with at
// most five of the names; "" if there are none.
func Some(format string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	shown, more := names, ""
	if len(names) > 5 {
		shown, more = names[:5], fmt.Sprintf(" and %d more", len(names)-5)
	}
	return fmt.Sprintf(format, len(names)) + ": " + strings.Join(shown, ", ") + more
}
