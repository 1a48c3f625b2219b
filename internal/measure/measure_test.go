package measure

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1}, 5}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := Median(c.values); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}

func TestEnvironmentsDiffer(t *testing.T) {
	t.Parallel()
	a := Environment{Runner: "ubuntu24 1", CPU: "EPYC", Cores: 4, Tools: map[string]string{"chrome": "156", "k6": "2.2.0"}}
	b := Environment{Runner: "ubuntu24 1", CPU: "Xeon", Cores: 4, Tools: map[string]string{"chrome": "155"}}
	if a.Key() == b.Key() {
		t.Errorf("both have the key %q", a.Key())
	}
	want := []string{"EPYC instead of Xeon", "chrome 156 instead of 155", "k6 2.2.0 instead of none"}
	if diff := cmp.Diff(want, a.Differences(b)); diff != "" {
		t.Error(diff)
	}
	if got := a.Differences(a); got != nil {
		t.Errorf("an environment differs from itself: %v", got)
	}
}
