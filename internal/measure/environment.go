package measure

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// An Environment is what values depend on beside the version that is measured. Values
// of different environments are not compared.
type Environment struct {
	Runner string            // image and version of the runner, or the operating system: "ubuntu24 20261115.1.0"
	CPU    string            // model, as the system names it
	Cores  int               // that this process may use
	Tools  map[string]string // versions: lighthouse, chrome, node, k6, go
}

// Key identifies the environment in a baseline. Two environments with the same key
// have comparable values.
func (e Environment) Key() string {
	parts := []string{e.Runner, e.CPU, fmt.Sprint(e.Cores, " cores")}
	for _, name := range slices.Sorted(maps.Keys(e.Tools)) {
		parts = append(parts, name+" "+e.Tools[name])
	}
	return strings.Join(parts, " · ")
}

// Differences says in what two environments differ: "chrome 155 instead of 156".
func (e Environment) Differences(other Environment) []string {
	var all []string
	differ := func(name, mine, theirs string) {
		if mine != theirs {
			all = append(all, fmt.Sprintf("%s%s instead of %s", name, cmp.Or(mine, "none"), cmp.Or(theirs, "none")))
		}
	}
	differ("", e.Runner, other.Runner)
	differ("", e.CPU, other.CPU)
	differ("", fmt.Sprint(e.Cores, " cores"), fmt.Sprint(other.Cores, " cores"))
	names := slices.Compact(slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(e.Tools)), slices.Collect(maps.Keys(other.Tools))))))
	for _, name := range names {
		differ(name+" ", e.Tools[name], other.Tools[name])
	}
	return all
}
