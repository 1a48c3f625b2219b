package rollout

import "fmt"

// A Side is one of the versions of a rollout, or unattributed.
type Side string

// The sides. The zero value and SideUnattributed are for answers without a
// version: a gateway's own error page, a refused connection.
const (
	SideStable       Side = "stable"
	SideCanary       Side = "canary"
	SidePrevious     Side = "previous" // the old version, kept warm after a promotion
	SideUnattributed Side = "unattributed"
)

// Written reports whether a release writes s as the value of the version label.
func (s Side) Written() bool { return s == SideStable || s == SideCanary || s == SidePrevious }

// UnmarshalText parses a side's name. Recordings of version 1.0 have unsigned
// for unattributed.
func (s *Side) UnmarshalText(b []byte) error {
	switch side := Side(b); side {
	case SideStable, SideCanary, SidePrevious, SideUnattributed:
		*s = side
	case "unsigned":
		*s = SideUnattributed
	default:
		return fmt.Errorf("side %q: want stable, canary, previous or unattributed", b)
	}
	return nil
}
