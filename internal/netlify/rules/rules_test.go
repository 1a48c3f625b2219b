package rules

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The warnings and errors name the line or the entry.
func TestMessages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		redirects, headers, config string
		warning, err               string
	}{
		{"\nblog /b", "", "", `_redirects, line 2: "blog /b": "blog" begins neither`, ""},
		{"/a /b 301 x", "", "", `"x" is not of the form name=value`, ""},
		{"/a x=1 x=2 /b", "", "", `"x" is given twice`, ""},
		{"/a x= /b", "", "", `"x=" has no value`, ""},
		{"/a /b 30", "", "", `the status "30" is taken for 30`, ""},
		{"/a /b 301 Country=at,,de", "", "", "empty item", ""},
		{"/\xff /b", "", "", "not UTF-8", ""},
		{"\n/a", "", "", "", `_redirects, line 2: "/a": the destination is missing`},
		{strings.Repeat("/long", 999), "", "", "", "..."},
		{"", "/a\nword\nA: b", "", "_headers, line 2", ""},
		{"", "/a\nA b: c", "", `"A b" is not a header name`, ""},
		{"", "\nA: b", "", "", "_headers, line 2"},
		{"", "", "[[redirects]]\nfrom='/a'\nto='/b'\ncomment='x'", `x.toml: redirects, entry 1: unknown key "comment"`, ""},
		{"", "", "[[redirects]]\nfrom='/a'\norigin='/b'\nto='/c'", "from and origin are the same: from counts", ""},
		{"", "", "[[edge_functions]]\npath='/x'\nfunction='y'", `edge function "y" of /x is not deployed`, ""},
		{"", "", "[[context.production.redirects]]\nfrom='/x'", "context.production.redirects is not published", ""},
		{"", "", "\n\na = = 1", "", "x.toml: line 3"},
		{"", "", "[[redirects]]\nfrom='/a'\nto='/b'\n[[redirects]]", "", "x.toml: redirects, entry 2"},
	} {
		got, err := Merge(c.redirects, c.headers, c.config, "x.toml")
		if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: error %v", c, err)
		}
		if all := strings.Join(got.Warnings, "\n"); !strings.Contains(all, c.warning) || c.warning == "" && all != "" {
			t.Errorf("%+v: warnings %q", c, all)
		}
	}
	_, err := Merge("/a\n/b /c\nx y", "A: b", "redirects=1", "x.toml")
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("not all errors together: %v", err)
	}
}

// What is understood of _redirects is a netlify.toml that says the same.
func FuzzRedirects(f *testing.F) {
	for _, s := range []string{"/a /b 301!", "/a x=:x /b 200 Country=at,de", "/x/* 200", "https://a.b/* /c\n#x", "/a \"\\ \u2028/b", "/a /b Sign=k"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, _, err := ParseRedirects(text)
		if err != nil {
			return
		}
		again := encoded(t, Rules{Redirects: lastOfEqual(got)})
		if diff := cmp.Diff(asJSON(t, lastOfEqual(got)), asJSON(t, again.Redirects)); diff != "" {
			t.Errorf("%q (-file +toml):\n%s", text, diff)
		}
	})
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// The same of _headers.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{"/*\n A: b", "/a\nA: b\nA: c , d\n/b", "/\"\\\nX: \"'", "# c\n/a\n\n\tX:y:z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, _, err := ParseHeaders(text)
		if err != nil {
			return
		}
		again := encoded(t, Rules{Headers: lastOfEqual(got)})
		if diff := cmp.Diff(lastOfEqual(got), again.Headers, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-file +toml):\n%s", text, diff)
		}
	})
}

// encoded writes rules and reads them again, as a netlify.toml of somebody's.
func encoded(t *testing.T, r Rules) Rules {
	t.Helper()
	var out strings.Builder
	if err := toml.NewEncoder(&out).Encode(r); err != nil {
		t.Fatal(err)
	}
	again, err := ParseConfig(out.String())
	if err != nil {
		t.Fatalf("%s\n%v", out.String(), err)
	}
	return again
}

func FuzzConfig(f *testing.F) {
	f.Add("[[redirects]]\nfrom='/a'\nto='/b'\nstatus='301!'\n[[headers]]\nfor='/'\nvalues={a='b'}")
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := ParseConfig(text); err == nil {
			encoded(t, r)
		}
	})
}
