package history

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Merge returns what two files have together, for two jobs that stored at once. It does
// not matter which file is the first, in what order several are merged, and whether
// one is merged twice. A run is known by its time, commit and link; the anchor that
// was changed last counts. All environments stay: only [File.Add] drops some.
func Merge(a, b File) File {
	all := map[string]Environment{}
	for _, e := range slices.Concat(a.Environments, b.Environments) {
		before, ok := all[e.Key]
		if !ok {
			before = Environment{Key: e.Key, Environment: e.Environment}
		}
		all[e.Key] = before.with(e)
	}
	f := File{Version: Version, Environments: []Environment{}}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		f.Environments = append(f.Environments, all[key])
	}
	return f
}

// with merges two of the same key.
func (e Environment) with(other Environment) Environment {
	merged := Environment{Key: e.Key, Environment: larger(e.Environment, other.Environment), Anchor: e.Anchor, PinnedAt: e.PinnedAt}
	switch c := e.PinnedAt.Compare(other.PinnedAt); {
	case c < 0:
		merged.Anchor, merged.PinnedAt = other.Anchor, other.PinnedAt
	case c == 0:
		merged.Anchor = larger(e.Anchor, other.Anchor)
	}
	merged.Runs = slices.Concat(e.Runs, other.Runs)
	slices.SortFunc(merged.Runs, func(a, b Run) int {
		if c := a.order(b); c != 0 {
			return c
		}
		return bytes.Compare(text(b), text(a)) // the larger one of both stays
	})
	merged.Runs = slices.CompactFunc(merged.Runs, func(a, b Run) bool { return a.order(b) == 0 })
	merged.Runs = slices.Clone(merged.Runs[max(0, len(merged.Runs)-Kept):])
	return merged
}

// larger chooses one of two by their text: either may be the first.
func larger[T any](a, b T) T {
	if bytes.Compare(text(a), text(b)) < 0 {
		return b
	}
	return a
}

// text is the same for the same value. Values of a file that was checked have one.
func text(v any) []byte {
	raw, _ := json.Marshal(v)
	return raw
}
