package pace

import (
	"testing"
	"time"
)

// Large answers are asked for less often.
func TestThePaceOfAConfirmation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ judging, size, answers, want int }{
		{20, 0, 100, 100},
		{20, 0, 5000, MaxRate},
		{500, 0, 100, 500},
		{20, 1 << 20, 100, 20},
		{5, 1 << 20, 100, 8},
		{20, 64 << 10, 300, 128},
	} {
		if got := (Pace{Judging: test.judging, Size: test.size}).Confirming(test.answers); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
		bounded := Pace{Judging: test.judging, Size: test.size, Most: 50}
		if got := bounded.Confirming(test.answers); got != max(test.judging, min(test.want, 50)) {
			t.Errorf("%+v, bounded to 50: %d", test, got)
		}
	}
}

func TestAStepThatCannotBeSeenInTimeIsKnownBefore(t *testing.T) {
	t.Parallel()
	if takes := ConfirmTime(1, 2, 50, 1); takes < 10*time.Second || takes > 30*time.Second {
		t.Errorf("1 to 2 %% takes %s to be seen, want the time of thousands of answers at 400/s", takes)
	}
	if takes := ConfirmTime(0, 5, 50, 1); takes > 2*time.Second {
		t.Errorf("5 %% takes %s to be seen, want about a second", takes)
	}
	if slow, fast := ConfirmTime(1, 2, 50, 1), ConfirmTime(1, 2, 1000, 1); fast >= slow {
		t.Errorf("a higher probe rate does not help: %s, then %s", slow, fast)
	}
}
