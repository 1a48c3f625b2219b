package expect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/theory/jsonpath"
)

// Expectations describes what a line of probe-expect may be.
const Expectations = `one a line, each for a path that is asked for: PATH status CODE[,CODE]; PATH header NAME; PATH header NAME == VALUE; PATH header NAME /PATTERN/; PATH body /PATTERN/; PATH json $QUERY; PATH json $QUERY == VALUE, or != VALUE, with VALUE in JSON`

// An Expectation is what the user expects of the answers to one path.
type Expectation struct {
	text string
	// miss returns what an answer has instead, "" if it meets the expectation.
	miss func(Answer) string
	// whole: it needs the whole body.
	whole bool
}

// String returns the line that the user typed.
func (e Expectation) String() string { return e.text }

// Miss returns what an answer has instead of what is expected, "" if it is as
// expected. An answer whose body is too long to be read misses nothing that needs
// all of it.
func (e Expectation) Miss(a Answer) string {
	if e.whole && a.cut() {
		return ""
	}
	return e.miss(a)
}

// ParseExpectations parses the lines of the input probe-expect and adds them to their
// paths. It returns everything that is wrong.
func ParseExpectations(text string, paths []Path) []LineError {
	n := 0
	return lines(text, func(line string) error {
		path, rest, _ := strings.Cut(line, " ")
		i := index(paths, path)
		if i < 0 {
			return fmt.Errorf("%s is not asked for: the paths are %s", path, names(paths))
		}
		e, err := parseExpectation(strings.TrimSpace(rest))
		if err != nil {
			return err
		}
		if n++; n > maxExpectations {
			return fmt.Errorf("more than %d expectations", maxExpectations)
		}
		e.text = line
		paths[i].Expectations = append(paths[i].Expectations, e)
		return nil
	})
}

func names(paths []Path) string {
	list := make([]string, len(paths))
	for i, p := range paths {
		list[i] = p.Path
	}
	return strings.Join(list, ", ")
}

func parseExpectation(text string) (Expectation, error) {
	kind, arg, _ := strings.Cut(text, " ")
	arg = strings.TrimSpace(arg)
	if arg == "" && slices.Contains([]string{"status", "header", "body", "json"}, kind) {
		return Expectation{}, fmt.Errorf("nothing follows %s", kind)
	}
	switch kind {
	case "status":
		return parseStatus(arg)
	case "header":
		return parseHeader(arg)
	case "body":
		pattern, err := parsePattern(arg)
		return Expectation{miss: func(a Answer) string {
			if pattern.Match(a.Body) {
				return ""
			}
			return "its body does not match"
		}}, err
	case "json":
		return parseJSON(arg)
	}
	return Expectation{}, fmt.Errorf("%q is not status, header, body or json", kind)
}

func parseStatus(arg string) (Expectation, error) {
	var codes []int
	for text := range strings.SplitSeq(arg, ",") {
		code, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || code < 200 || code > 599 {
			return Expectation{}, fmt.Errorf("%q is no status from 200 to 599", strings.TrimSpace(text))
		}
		codes = append(codes, code)
	}
	return Expectation{miss: func(a Answer) string {
		if slices.Contains(codes, a.Status) {
			return ""
		}
		return fmt.Sprintf("its status is %d", a.Status)
	}}, nil
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func parseHeader(arg string) (Expectation, error) {
	name, rest, _ := strings.Cut(arg, " ")
	if !headerName.MatchString(name) {
		return Expectation{}, fmt.Errorf("%q is no name of a header", name)
	}
	key := textproto.CanonicalMIMEHeaderKey(name)
	fits, err := parseValue(strings.TrimSpace(rest))
	return Expectation{miss: func(a Answer) string {
		values := a.Header[key]
		switch {
		case len(values) == 0:
			return "it has no header " + key
		case !slices.ContainsFunc(values, fits):
			return fmt.Sprintf("its header %s is %q", key, clip(values[0]))
		}
		return ""
	}}, err
}

// parseValue parses what a header has to be.
func parseValue(text string) (func(string) bool, error) {
	want, equal := strings.CutPrefix(text, "==")
	switch want = strings.TrimSpace(want); {
	case text == "":
		return func(string) bool { return true }, nil
	case equal && want == "":
		return nil, errors.New("nothing follows ==")
	case equal:
		if unquoted, err := strconv.Unquote(want); err == nil {
			want = unquoted
		}
		return func(have string) bool { return have == want }, nil
	}
	pattern, err := parsePattern(text)
	if err != nil {
		return nil, err
	}
	return pattern.MatchString, nil
}

// parsePattern parses /PATTERN/.
func parsePattern(text string) (*regexp.Regexp, error) {
	if len(text) < 3 || text[0] != '/' || text[len(text)-1] != '/' {
		return nil, fmt.Errorf("%q is no pattern between two slashes", text)
	}
	re, err := regexp.Compile(text[1 : len(text)-1])
	if err != nil {
		return nil, fmt.Errorf("the pattern does not compile: %w", err)
	}
	return re, nil
}

// parseJSON parses a query, and what it has to select.
func parseJSON(arg string) (Expectation, error) {
	query, operator, value := splitComparison(arg)
	path, err := jsonpath.Parse(query)
	if err != nil {
		return Expectation{}, fmt.Errorf("%q is no JSONPath query: %w", query, err)
	}
	var want any
	if operator != "" {
		if err := json.Unmarshal([]byte(value), &want); err != nil {
			return Expectation{}, fmt.Errorf("%s is no value in JSON: a text needs quotes", value)
		}
	}
	return Expectation{whole: true, miss: func(a Answer) string {
		var document any
		if err := json.NewDecoder(bytes.NewReader(a.Body)).Decode(&document); err != nil {
			return "its body is no JSON"
		}
		return missing(path.Select(document), operator, want)
	}}, nil
}

// splitComparison cuts "QUERY == VALUE" and "QUERY != VALUE" at an operator outside of
// a filter: the first before a value in JSON, else the first.
func splitComparison(arg string) (query, operator, value string) {
	query = arg
	for i := range len(arg) - 1 {
		left, op, right := arg[:i], arg[i:i+2], strings.TrimSpace(arg[i+2:])
		if op != "==" && op != "!=" || strings.Count(left, "[") != strings.Count(left, "]") {
			continue
		}
		valid := json.Valid([]byte(right))
		if operator == "" || valid {
			query, operator, value = strings.TrimSpace(left), op, right
		}
		if valid {
			break
		}
	}
	return query, operator, value
}

// missing returns what a query selects instead of what it should, "" for nothing.
func missing(selected []any, operator string, want any) string {
	if len(selected) == 0 {
		return "its body has nothing there"
	}
	for _, have := range selected {
		if operator != "" && reflect.DeepEqual(have, want) != (operator == "==") {
			text, _ := json.Marshal(have) // it was decoded from JSON
			return "its body has " + clip(string(text)) + " there"
		}
	}
	return ""
}

// clip bounds text from outside.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
