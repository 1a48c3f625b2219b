package stack

import (
	"strings"
	"testing"
)

func TestSetName(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]string{"42-1": "run-42-1", "a_b.c/d": "run-a-b-c-d", strings.Repeat("9", 200): "run-" + strings.Repeat("9", 76)} {
		if got := setName(token); got != want {
			t.Errorf("setName(%q) = %q, want %q", token, got, want)
		}
	}
}
