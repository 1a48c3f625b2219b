package rollout

import "errors"

// ErrFenced is the error (wrapped, naming the other run) after another run has
// taken the lease. The run must not change anything after it.
var ErrFenced = errors.New("another run holds the lease")

// A DriftError says that another writer changed what this rollout wrote. The
// rollout pauses instead of overwriting it.
type DriftError struct {
	What string // the object and the field
	Who  string // the field manager, if known
}

func (e *DriftError) Error() string { return e.Who + " changed " + e.What }
