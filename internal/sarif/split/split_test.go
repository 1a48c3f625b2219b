package split

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// raw passes the one value of a text.
func raw(text string) error {
	s := New([]byte(text))
	s.Loose = func(key []byte) bool { return string(key) == "bag" }
	if _, err := s.Raw(); err != nil {
		return err
	}
	return s.End()
}

func TestRaw(t *testing.T) {
	t.Parallel()
	many := func(last string) string {
		var b strings.Builder
		for i := range 100 {
			fmt.Fprintf(&b, `"k%d": %d, `, i, i)
		}
		return "{" + b.String() + last + "}"
	}
	for _, c := range []struct{ text, want string }{ // want is part of the error, "" for none
		{`{}`, ""}, {` [ ] `, ""}, {`[1, -0.5e+3, "a\u00e9\n", true, false, null, {"a": {"a": 1}}]`, ""},
		{`{"a": 1, "b": 2, "c": {"a": 1}}`, ""},
		{`{"bag": {"a": 1, "A": {"x": 1, "X": 2}}, "b": 1}`, ""},
		{many(`"last": 1`), ""},
		{many(`"K7": 1`), `"K7" is there twice`},
		{`{"a": 1, "a": 2}`, `"a" is there twice`},
		{`{"level": 1, "LEVEL": 2}`, `"LEVEL" is there twice`},
		{`{"s": 1, "ſ": 2}`, `is there twice`},
		{`{"bag": {"a": 1, "a": 2}}`, `"a" is there twice`},
		{`{"bag": {}, "b": 1, "B": 2}`, `"B" is there twice`},
		{`{"a": 1, "\u0061": 2}`, `"a" is there twice`},
		{`[1, 2`, "not whole"}, {`[1, 2,`, "not whole"}, {`{"a"`, "not whole"}, {`{"a":`, "not whole"}, {`"a`, "not whole"}, {`"a\`, "not whole"}, {`tru`, "not whole"}, {``, "not whole"},
		{`[1 2]`, "want a comma"}, {`{"a" 1}`, "want a colon"}, {`{a: 1}`, "want a key"}, {`[1,]`, "want a value"}, {`{"a":1,}`, "want a key"}, {`{} {}`, "something follows"},
		{`01`, "something follows"}, {`-`, "not whole"}, {`[-]`, "want a digit"}, {`[1.]`, "behind the point"}, {`[1e]`, "exponent"}, {`[+1]`, "want a value"},
		{"\"a\nb\"", "control character"}, {`"\x"`, "unknown escape"}, {`"\u12g4"`, "hexadecimal"}, {`[nul]`, "want null"},
		{strings.Repeat("[", 5000), "nested"}, {strings.Repeat(`{"a":`, 5000), "nested"},
	} {
		err := raw(c.text)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %q", c.text, err, c.want)
		}
		if (c.want == "not whole") != errors.Is(err, ErrTruncated) {
			t.Errorf("%.60q: %v", c.text, err)
		}
	}
}

// What it takes is JSON, and whatever else is JSON it refuses for one of its own
// reasons. A beginning of what it takes is never taken for something else.
func FuzzRaw(f *testing.F) {
	for _, seed := range []string{`{"a": [1, {"b": null}], "c": "d\n"}`, `[1e5, -0.1, true]`, `{"a": 1, "A": 2}`, `"\ud800"`, `[[[]]]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := raw(text)
		switch {
		case err == nil && !json.Valid([]byte(text)):
			t.Errorf("it takes %q, which is no JSON", text)
		case err != nil && json.Valid([]byte(text)) && !strings.Contains(err.Error(), "twice") && !strings.Contains(err.Error(), "nested"):
			t.Errorf("it refuses %q: %v", text, err)
		}
		if err == nil && len(text) > 2 && (text[0] == '[' || text[0] == '{') {
			cut := strings.TrimRight(text, " \t\r\n")
			if raw(cut[:len(cut)-1]) == nil {
				t.Errorf("it takes %q without its end", text)
			}
		}
	})
}
