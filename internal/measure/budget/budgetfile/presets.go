package budgetfile

import (
	_ "embed" // the presets
	"slices"
	"strconv"
	"strings"
	"sync"
)

// presetList has a line for each audit of lighthouse-ci 0.15.1's presets: its name, and
// what the presets all, recommended and no-pwa assert of it, with the most items that it
// may list after a comma.
//
//go:embed presets.txt
var presetList string

// presetNames are the presets, in the order of the columns of presetList.
var presetNames = []string{"lighthouse:all", "lighthouse:recommended", "lighthouse:no-pwa"}

// An assertion is what is asserted of one audit or category.
type assertion struct {
	level           string
	minScore        *float64
	maxLength       *float64
	maxNumericValue *float64
	aggregation     string
	line            int // 0 for one of a preset
}

var presets = sync.OnceValue(func() map[string][]assertion {
	all := map[string][]assertion{}
	for line := range strings.Lines(presetList) {
		fields := strings.Fields(line)
		for _, field := range fields[1:] {
			level, items, limited := strings.Cut(field, ",")
			a := assertion{level: level}
			if n, err := strconv.ParseFloat(items, 64); limited && err == nil {
				a.maxLength = &n
			}
			all[fields[0]] = append(all[fields[0]], a)
		}
	}
	return all
})

// preset returns the assertions of a preset by audit.
func preset(name string) map[string]assertion {
	column := slices.Index(presetNames, name)
	all := map[string]assertion{}
	if column < 0 {
		return all
	}
	for audit, columns := range presets() {
		if a := columns[column]; a.level != "-" {
			all[audit] = a
		}
	}
	return all
}
