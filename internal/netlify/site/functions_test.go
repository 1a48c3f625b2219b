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
		{map[string]string{"a.ts": "", "b.js": ""}, `"a.ts"`},
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
		if _, err := listFunctions(root); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.files, err, c.want)
		}
		if err := root.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
