package jsonkeys

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestUnique(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, exact, fold string // what the errors say; empty for none
	}{
		{`{}`, "", ""},
		{`3`, "", ""},
		{`{"a": 1, "b": {"a": [{"a": 2}, {"a": 3}]}, "c": [1, "a", "a"]}`, "", ""},
		{`{"a": "a", "b": "a"}`, "", ""},
		{`{"a": 1e999}`, "", ""},
		{`{"a": 1, "a": 1}`, `"a" is there twice`, `"a" is there twice`},
		{`{"a": 1, "A": 2}`, "", `"A" is there twice`},
		{`{"x": [{"a": {}, "a": {}}]}`, `"a" is there twice`, `"a" is there twice`},
		{`{"a": 1, "\u0061": 1}`, `"a" is there twice`, `"a" is there twice`},
		{``, "empty", "empty"},
		{`{"a": 1`, "no JSON", "no JSON"},
		{`{"a": 1} {}`, "more than one", "more than one"},
		{`{} x`, "more than one", "more than one"},
		{strings.Repeat("[", 5000), "nested too deep", "nested too deep"},
	} {
		for name, one := range map[string]struct {
			err  error
			want string
		}{"Unique": {Unique([]byte(c.text)), c.exact}, "UniqueFold": {UniqueFold([]byte(c.text)), c.fold}} {
			if (one.err == nil) != (one.want == "") || one.err != nil && !strings.Contains(one.err.Error(), one.want) {
				t.Errorf("%s(%.60s) = %v, want %q", name, c.text, one.err, one.want)
			}
		}
	}
}

func FuzzUnique(f *testing.F) {
	f.Add(`{"a": [1, {"b": null}], "c": "d"}`)
	f.Add(`[{"a": 1, "a": 2}]`)
	f.Fuzz(func(t *testing.T, text string) {
		if err := Unique([]byte(text)); err == nil && !json.Valid([]byte(text)) {
			t.Errorf("it takes %q, which is no JSON", text)
		}
	})
}
