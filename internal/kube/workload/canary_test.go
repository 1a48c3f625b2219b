package workload

import "testing"

func TestCanaryReplicas(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		live   int32
		weight int
		want   int32
	}{{3, 5, 1}, {3, 25, 1}, {3, 50, 2}, {3, 100, 3}, {40, 5, 2}, {1, 100, 1}, {10, 25, 3}} {
		if got := canaryReplicas(test.live, test.weight); got != test.want {
			t.Errorf("canaryReplicas(%d, %d) = %d, want %d", test.live, test.weight, got, test.want)
		}
	}
}
