package site

import (
	"os"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

// has fails unless text holds all parts.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not hold %q", text, p)
		}
	}
}

func TestBadFunctions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{map[string]string{"a.ts": "", "b.js": ""}, `"a.ts"; bundle them in the job that builds`},
		{map[string]string{"dir/index.js": ""}, `"dir"`},
		{map[string]string{"a b.js": ""}, `"a b.js"`},
		{map[string]string{"a.js": "", "a.zip": ""}, "two functions"},
		{map[string]string{"manifest.json": `{"functions": [{"name": "a", "path": "a.zip"}]}`}, `no file "a.zip"`},
		{map[string]string{"manifest.json": "{"}, "manifest.json"},
	} {
		root, err := os.OpenRoot(netlifytest.Folder(t, c.files))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := listFunctions(root, t.Logf); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.files, err, c.want)
		}
		if err := root.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A source that says how it is routed is published, with a warning; a name that ends in
// -background is one of a background function.
func TestFunctionsOfOneFile(t *testing.T) {
	t.Parallel()
	s, err := Open(Source{
		Dir: netlifytest.Folder(t, map[string]string{"index.html": ""}),
		Functions: netlifytest.Folder(t, map[string]string{
			"a.mjs": "export default () => 1", "b.mjs": "export const config = {path: '/b'}", "c-background.js": "x", "d.js": "exports.handler = schedule('@daily', h)",
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if len(s.Functions) != 4 || s.Functions[2].Mode != "background" || s.Functions[0].Mode != "" {
		t.Errorf("%+v", s.Functions)
	}
	if len(s.Warnings) != 2 || !strings.Contains(s.Warnings[0], `"b"`) || !strings.Contains(s.Warnings[1], `"d"`) {
		t.Errorf("%q", s.Warnings)
	}
}

// What the manifest says is published, or named.
func TestManifest(t *testing.T) {
	t.Parallel()
	s, err := Open(Source{
		Dir: netlifytest.Folder(t, map[string]string{"index.html": ""}),
		Functions: netlifytest.Folder(t, map[string]string{"a.zip": "zip", "manifest.json": `{"functions": [{"name": "a", "path": "/x/a.zip", "runtime": "js", "memory": 2048,
			"trafficRules": {"action": {"type": "rate_limit", "config": {"rateLimitConfig": {"algorithm": "sliding_window", "windowSize": 60, "windowLimit": 5}, "aggregate": {"keys": [{"type": "ip"}]}}}}}]}`}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if rules := s.Functions[0].Config.TrafficRules; rules == nil || rules.Action.Config.RateLimitConfig.WindowLimit != 5 || rules.Action.Config.Aggregate.Keys[0].Type != "ip" {
		t.Errorf("%+v", rules)
	}
	has(t, strings.Join(s.Warnings, ""), `function "a": its region, memory`)
}

func FuzzManifest(f *testing.F) {
	f.Add(`{"functions": [{"name": "a", "path": "/x/a.zip", "runtime": "js", "routes": [{"pattern": "/a"}], "trafficRules": {}}]}`)
	f.Add("null")
	f.Fuzz(func(t *testing.T, text string) {
		root, err := os.OpenRoot(netlifytest.Folder(t, map[string]string{"a.zip": "zip", "manifest.json": strings.TrimPrefix(text, "->")}))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = root.Close() }()
		got, err := listFunctions(root, func(string, ...any) {})
		if err == nil && len(got) != 1 {
			t.Errorf("%+v", got)
		}
	})
}
