package release

import "github.com/candlefish/deploy-action/internal/rollout"

// The colours of the two slots of blue-green releases.
const (
	Blue  = "blue"
	Green = "green"
)

// Colours are the slots of a release: Previous has the traffic before it, New after
// it. They alternate from one blue-green release to the next; another strategy has
// one slot, whose colour it keeps.
type Colours struct {
	Previous string `json:"previous"`
	New      string `json:"new"`
}

// ColoursOf returns the colours of the next release after r, nil for the first one.
// label is the colour that the user's objects have, which counts as long as no
// record says more; blue is the first one of all.
func ColoursOf(r *Record, label string, strategy rollout.Strategy) Colours {
	active := r.Active()
	if active == "" {
		active = label
	}
	if active != Green {
		active = Blue
	}
	c := Colours{Previous: active, New: active}
	if strategy == rollout.StrategyBlueGreen {
		c.New = other(active)
	}
	return c
}

func other(colour string) string {
	if colour == Green {
		return Blue
	}
	return Green
}

// Active returns the colour of the slot that has all traffic by the record's state,
// "" if no colour is recorded. Before the new version was seen in the answers, that
// is the previous one.
func (r *Record) Active() string {
	if r == nil {
		return ""
	}
	if r.State.Switched() {
		return r.Colours.New
	}
	return r.Colours.Previous
}

// ColourBefore returns the colour that the user's objects have by their version label,
// "" if it is none.
func (r *Record) ColourBefore() string {
	values := []string{}
	if r.VersionBefore != nil {
		values = append(values, *r.VersionBefore)
	}
	for _, s := range r.Services {
		values = append(values, s.Selector["version"], s.Selector[r.VersionLabel])
	}
	for _, v := range values {
		if v == Blue || v == Green {
			return v
		}
	}
	return ""
}
