package rollout

import "fmt"

// A Side is one of the versions between which a rollout moves traffic.
type Side string

// The sides. The zero value and SideUnattributed are what no version put its
// name to: a gateway's own error page, a connection that was refused.
const (
	SideStable       Side = "stable"
	SideCanary       Side = "canary"
	SidePrevious     Side = "previous" // the old version, kept warm after a promotion
	SideUnattributed Side = "unattributed"
)

// UnmarshalText reads a side's name. Recordings of version 1.0 say unsigned
// where this one says unattributed.
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
