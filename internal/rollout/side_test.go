package rollout

import (
	"encoding/json"
	"testing"
)

func TestSideText(t *testing.T) {
	t.Parallel()
	for _, s := range []Side{SideUnattributed, SideStable, SideCanary, SidePrevious} {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Side
		if err := json.Unmarshal(b, &back); err != nil || back != s {
			t.Errorf("%v -> %s -> %v, %v", s, b, back, err)
		}
	}
	var s Side
	if err := s.UnmarshalText([]byte("blue")); err == nil {
		t.Error("UnmarshalText(blue): want an error")
	}
	if err := s.UnmarshalText([]byte("unsigned")); err != nil || s != SideUnattributed {
		t.Errorf("an older recording's unsigned is %q, %v", s, err)
	}
}
