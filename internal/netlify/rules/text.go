package rules

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// isSpace is JavaScript's idea of white space, by which netlify-cli splits lines.
func isSpace(r rune) bool {
	switch r {
	case '\t', '\n', '\v', '\f', '\r', ' ', 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff:
		return true
	}
	return r >= 0x2000 && r <= 0x200a
}

// comma is a comma with white space around it, as isSpace says.
var comma = regexp.MustCompile(`[\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]*,[\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]*`)

func trim(s string) string { return strings.TrimFunc(s, isSpace) }

// leadingInteger reads the integer at the beginning of a text as JavaScript's parseInt
// does: 301, 301!, 301x and 0x12d are all 301.
func leadingInteger(text string) (int, bool) {
	text = strings.TrimLeftFunc(text, isSpace)
	sign, base := 1, 10
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		sign, text = -1, rest
	} else {
		text = strings.TrimPrefix(text, "+")
	}
	if len(text) > 1 && strings.EqualFold(text[:2], "0x") {
		base, text = 16, text[2:]
	}
	end := 0
	for end < len(text) && strings.IndexByte("0123456789abcdefABCDEF"[:base+base/16*6], text[end]) >= 0 {
		end++
	}
	n, err := strconv.ParseInt(text[:end], base, 54) // beyond, JavaScript's integers are not exact
	return sign * int(n), err == nil
}

// A lineError is the line of a file that cannot be parsed.
type lineError struct {
	file string
	line int
	text string
	why  error
}

// maxQuoted is how much of a line a message quotes, in bytes.
const maxQuoted = 300

// Error implements error.
func (e *lineError) Error() string {
	text := e.text
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted], "") + "..."
	}
	return fmt.Sprintf("%s, line %d: %q: %v", e.file, e.line, text, e.why)
}

// Unwrap returns the cause.
func (e *lineError) Unwrap() error { return e.why }

var errNotText = errors.New("not UTF-8: what is not is replaced")

// lines calls each with every line that is neither empty nor a comment. It joins the
// errors, and returns the warnings that each gives to warn.
func lines(file, text string, each func(line string, warn func(format string, args ...any)) error) ([]string, error) {
	var errs []error
	var warnings []string
	for i, line := range strings.Split(text, "\n") {
		warn := func(format string, args ...any) {
			warnings = append(warnings, (&lineError{file, i + 1, line, fmt.Errorf(format, args...)}).Error())
		}
		if !utf8.ValidString(line) {
			line = strings.ToValidUTF8(line, "\uFFFD")
			warn("%w", errNotText)
		}
		line = trim(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := each(line, warn); err != nil {
			errs = append(errs, &lineError{file, i + 1, line, err})
		}
	}
	return warnings, errors.Join(errs...)
}
