package baseline

import "testing"

// One failed answer is no reason against a release; a share above the limit is. The first
// failure of a limit of 0 % is one too many.
func TestTooMany(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failed, total int64
		limit         float64
		want          bool
	}{
		{0, 20, 5, false}, {1, 20, 5, false}, {2, 20, 5, false}, {5, 20, 5, true}, {20, 20, 5, true},
		{1, 1, 5, false}, {2, 2, 5, true}, {6, 300, 5, false}, {30, 300, 5, true}, {0, 0, 0, false}, {0, 20, 0, false}, {1, 20, 0, true}, {20, 20, 99, false}, {20, 20, 100, false},
	} {
		if got := TooMany(c.failed, c.total, c.limit); got != c.want {
			t.Errorf("TooMany(%d of %d, limit %v %%) = %v, want %v", c.failed, c.total, c.limit, got, c.want)
		}
	}
}
