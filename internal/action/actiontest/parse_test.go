package actiontest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseEntries(t *testing.T) {
	t.Parallel()
	got, err := ParseEntries("a=1\nb<<EOF\nx=y\n\nz<<\nEOF\nc=<<d\n")
	want := map[string]string{"a": "1", "b": "x=y\n\nz<<", "c": "<<d"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v; entries (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"a", "a<<", "a<<E\nb\n", "<<E\nb\nE\n"} {
		if got, err := ParseEntries(bad); err == nil {
			t.Errorf("ParseEntries(%q) = %v, want an error", bad, got)
		}
	}
}
