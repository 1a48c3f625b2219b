package main

import (
	"io"
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"up", "down"}, {"restart"}} {
		if err := run(t.Context(), io.Discard, args); err == nil || !strings.Contains(err.Error(), "down") {
			t.Errorf("run(%q) = %v, want what it takes", args, err)
		}
	}
}
