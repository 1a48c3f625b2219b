package rules

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

// differences are the cases in which we do not do as netlify-cli does, and why. The
// documentation of previews lists them too.
var differences = map[string]string{
	"r condition proto": "the cli loses it to JavaScript's prototypes",

	"t force text":      wrongType,
	"t force number":    wrongType,
	"t to number":       wrongType,
	"t query array":     wrongType,
	"t query text":      wrongType,
	"t conditions text": wrongType,
	"t signed number":   wrongType,
	"t rate limit text": wrongType,
	"t images number":   wrongType,
	"t date":            wrongType,

	"t dev context":    contexts,
	"t branch context": contexts,
}

const (
	wrongType = "the cli publishes a value of the wrong type unread, which Netlify cannot use: we refuse it"
	contexts  = "the cli takes context.dev and that of git's branch, which say nothing of a preview: we warn and take none"
)

// A recorded case is a site's rules, and what the parsers of netlify-cli made of them.
type recorded struct {
	Name                     string
	Redirects, Headers, TOML string
	Want                     map[string]any // with "error" if one of them refused it
}

// Rules mean what they mean to netlify-cli.
func TestAsNetlifyCLI(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		var c recorded
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if seen[c.Name] {
			t.Errorf("two cases are named %q", c.Name)
		}
		seen[c.Name] = true
		got, err := published(t, c)
		if err != nil {
			got = map[string]any{"error": "refused"}
		}
		if c.Want["error"] != nil {
			c.Want = map[string]any{"error": "refused"}
		}
		diff := cmp.Diff(c.Want, got)
		if why := differences[c.Name]; (diff != "") != (why != "") {
			t.Errorf("%q differs %t, expected %q: %v\n(-netlify-cli +ours)\n%s", c.Name, diff != "", why, err, diff)
		}
	}
	for name := range differences {
		if !seen[name] {
			t.Errorf("there is no case %q", name)
		}
	}
	if len(seen) < 174 {
		t.Errorf("only %d cases", len(seen))
	}
}

// published returns what a case publishes, as the recorder writes it.
func published(t *testing.T, c recorded) (map[string]any, error) {
	t.Helper()
	all, err := Merge(c.Redirects, c.Headers, c.TOML, ConfigName)
	if err != nil {
		return nil, err
	}
	text, err := all.TOML()
	if err != nil {
		return nil, err
	}
	var v map[string]any
	if _, err := toml.Decode(string(text), &v); err != nil {
		t.Fatal(err)
	}
	if build, ok := v["build"].(map[string]any); ok {
		v["processing"] = build["processing"]
		delete(v, "build")
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	return out, json.Unmarshal(raw, &out)
}
