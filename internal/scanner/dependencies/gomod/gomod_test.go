package gomod

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReading(t *testing.T) {
	t.Parallel()
	text := []byte("module m\n\ngo 1.26.0\n\nrequire a.example/one v1.0.0\n\nrequire (\n\tb.example/Two v2.0.0 // indirect\n)\n\n" +
		"replace a.example/one v1.0.0 => ./one\n\nreplace (\n\tb.example/Two => c.example/two v2.1.0 // a fork\n)\n")
	if diff := cmp.Diff(map[string]Required{"a.example/one": {"a.example/one", "v1.0.0", 5, false}, "b.example/Two": {"b.example/Two", "v2.0.0", 8, true}}, Requires(text)); diff != "" {
		t.Errorf("requires (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]Required{"a.example/one": {Name: "./one"}, "b.example/Two": {Name: "c.example/two", Version: "v2.1.0"}}, Replaces(text)); diff != "" {
		t.Errorf("replaces (-want +got):\n%s", diff)
	}
	if got := Escaped("github.com/BurntSushi/toml"); got != "github.com/!burnt!sushi/toml" {
		t.Errorf("escaped: %s", got)
	}
}
