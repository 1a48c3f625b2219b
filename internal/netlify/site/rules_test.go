package site

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	got, err := ParseRedirects("\uFEFF# a comment\r\n\r\n" +
		"/home /  # the rest\r\n" +
		"\t/blog/*\thttps://blog.example.com/:splat 301!\n" +
		"/articles id=:id tag=a=b /posts/:tag/:id 200\n" +
		"/* /de/:splat 302 Language=de,de-AT Country=at Cookie=seen Sign=KEY\n" +
		"https://old.example.com/* /new/:splat\n" +
		"/forward/* 200\n" +
		"/api/* /x Role=admin,editor")
	if err != nil {
		t.Fatal(err)
	}
	want := []Redirect{
		{From: "/home", To: "/"},
		{From: "/blog/*", To: "https://blog.example.com/:splat", Status: 301, Force: true},
		{From: "/articles", Query: map[string]string{"id": ":id", "tag": "a=b"}, To: "/posts/:tag/:id", Status: 200},
		{From: "/*", To: "/de/:splat", Status: 302, Signed: "KEY", Conditions: map[string]any{
			"Language": []string{"de", "de-AT"}, "Country": []string{"at"}, "Cookie": "seen"}},
		{From: "https://old.example.com/*", To: "/new/:splat"},
		{From: "/forward/*", To: "/forward/:splat", Status: 200},
		{From: "/api/*", To: "/x", Conditions: map[string]any{"Role": []string{"admin", "editor"}}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBadRedirects(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"/a":                         "destination is missing",
		"/a # /b":                    "destination is missing",
		"/a b c":                     "destination must begin",
		"a /b":                       `"a" must begin`,
		"/a /b 30":                   `status "30"`,
		"/a /b 999":                  `status "999"`,
		"/a /b 301 x":                `"x" is not of the form`,
		"/a x= /b":                   `"x=" is not of the form`,
		"/a x=1 x=2 /b":              "twice",
		"/a 301":                     "destination is missing",
		"/a/* 301":                   "destination is missing",
		"/.netlify/x /b":             "reserved by Netlify",
		"https://x.y/.netlify/a /b":  "reserved by Netlify",
		"/a /b 301 Country=":         "not of the form",
		"/a /b 301 Country=at,,de":   "empty item",
		strings.Repeat("/long", 999): "...",
	} {
		_, err := ParseRedirects("\n" + line)
		if err == nil {
			t.Errorf("%q: no error", line)
			continue
		}
		has(t, err.Error(), "_redirects, line 2", want)
	}
	if _, err := ParseRedirects("/a\n/b /c\nx y"); err == nil || !strings.Contains(err.Error(), "line 1") || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("two bad lines: %v", err)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	got, err := ParseHeaders("# c\n/*\n  X-Frame-Options: DENY\n  Link: <a>; rel=preload\n  Link: <b>\n/empty\n/img/*\n\tCache-Control: public ,max-age=1\n  X-Url: https://a.b/c")
	if err != nil {
		t.Fatal(err)
	}
	want := []Header{
		{For: "/*", Values: map[string]string{"X-Frame-Options": "DENY", "Link": "<a>; rel=preload, <b>"}},
		{For: "/img/*", Values: map[string]string{"Cache-Control": "public, max-age=1", "X-Url": "https://a.b/c"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{
		"A: b":         "no path above",
		"/a\nA":        `neither a path`,
		"/a\n: b":      "is not a header name",
		"/a\nA b: c":   "is not a header name",
		"/a\nA:":       "value is missing",
		"/a\n\n\n A: ": "line 4",
	} {
		if _, err := ParseHeaders(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	got, err := ParseConfig(`
[build]
command = "make"
[images]
remote_images = ["https://a.example/.*"]
[[redirects]]
origin = "/a"
destination = "/b"
status = "302"
force = true
params = {id = ":id", n = 1}
conditions = {language = ["de"], Country = "at, de", Cookie = ["x"]}
signed = "KEY"
[redirects.headers]
X-From = "here"
[redirects.rate_limit]
window_limit = 3
[[redirects]]
from = "/f/*"
status = 200
[[headers]]
for = " /* "
[headers.values]
Cache-Control = '''
max-age=0,
no-cache'''
Link = ["<a>", "<b>"]
[[headers]]
for = "/nothing"`)
	if err != nil {
		t.Fatal(err)
	}
	want := Rules{
		Images: map[string]any{"remote_images": []any{"https://a.example/.*"}},
		Redirects: []Redirect{
			{From: "/a", To: "/b", Status: 302, Force: true, Query: map[string]string{"id": ":id", "n": "1"}, Signed: "KEY",
				Conditions: map[string]any{"Language": []any{"de"}, "Country": []string{"at", "de"}, "Cookie": []any{"x"}},
				Headers:    map[string]string{"X-From": "here"}, RateLimit: map[string]any{"window_limit": int64(3)}},
			{From: "/f/*", To: "/f/:splat", Status: 200},
		},
		Headers: []Header{{For: "/*", Values: map[string]string{"Cache-Control": "max-age=0, no-cache", "Link": "<a>, <b>"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBadConfigs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a = ":                                             "line 1",
		"\n\na = = 1":                                      "line 3",
		"redirects = 1":                                    "[[redirects]]",
		"redirects = [1]":                                  "tables",
		"images = 1":                                       "images",
		"[[edge_functions]]\npath = \"/x\"":                "edge_functions are not supported",
		"[[redirects]]\nto = \"/b\"":                       "redirects, entry 1: the path to redirect from is missing",
		"[[redirects]]\nfrom = 1":                          "want a text",
		"[[redirects]]\nform = \"/a\"":                     `unknown key "form"`,
		"[[redirects]]\nstatus = 1":                        "three digits",
		"[[redirects]]\nforce = 1":                         "true or false",
		"[[redirects]]\nquery = [1]":                       "a table",
		"[[redirects]]\nquery = {a = [1]}":                 "query.a",
		"[[redirects]]\nfrom=''\norigin=''":                "are the same",
		"[[headers]]\nvalues = {A = \"b\"}":                `"for" is missing`,
		"[[headers]]\nfor = 1":                             "want a text",
		"[[headers]]\nfor='/'\nvalues={A=1}":               "values.A",
		"[[headers]]\nfor='/'\nx=1":                        `unknown key "x"`,
		"[[headers]]\nfor='/'\nvalues={'a b'='c'}":         "is not a header name",
		"[[headers]]\nfor='/'\nvalues={A=[1]}":             "want texts",
		"[[redirects]]\nfrom='/a'\nto='/b'\n[[redirects]]": "entry 2",
	} {
		if _, err := ParseConfig(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestGenerated(t *testing.T) {
	t.Parallel()
	made := func(files map[string]string, config string) string {
		r, err := os.OpenRoot(netlifytest.Folder(t, files))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		out, err := generate(r, config)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if got := made(map[string]string{"index.html": "", "_redirects": "# none"}, ""); got != "" {
		t.Errorf("of nothing: %q", got)
	}
	got := made(map[string]string{
		"_redirects":   "/a /b\n/c /d",
		"netlify.toml": "[[redirects]]\nfrom = \"/c\"\nto = \"/d\"\n[[redirects]]\nfrom = \"/e\"\nto = \"/f\"",
	}, "")
	want := "[[redirects]]\n  from = \"/a\"\n  to = \"/b\"\n\n[[redirects]]\n  from = \"/c\"\n  to = \"/d\"\n\n[[redirects]]\n  from = \"/e\"\n  to = \"/f\"\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	named := netlifytest.Folder(t, map[string]string{"netlify.toml": "[[redirects]]\nfrom = \"/named\"\nto = \"/f\""})
	if got := made(map[string]string{"netlify.toml": "["}, named+"/netlify.toml"); !strings.Contains(got, "/named") {
		t.Errorf("the named one: %q", got)
	}
}

// What is understood of _redirects is a netlify.toml that says the same.
func FuzzRedirects(f *testing.F) {
	for _, s := range []string{"/a /b 301!", "/a x=:x /b 200 Country=at,de", "/x/* 200", "https://a.b/* /c\n#x", "/a \"\\ \u2028/b", "/a /b Sign=k"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseRedirects(text)
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
		got, err := ParseHeaders(text)
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
