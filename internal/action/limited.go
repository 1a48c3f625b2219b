package action

import (
	"fmt"
	"strings"
)

// Limited returns as many annotations of each level as the runner shows, in their order,
// and how many there are more of each level.
func Limited(all []Annotation) (shown []Annotation, more map[Level]int) {
	kept, more := map[Level]int{}, map[Level]int{}
	for _, a := range all {
		if kept[a.Level]++; kept[a.Level] > AnnotationLimit {
			more[a.Level]++
			continue
		}
		shown = append(shown, a)
	}
	return shown, more
}

// More says how many annotations there are more, "" for none.
func More(more map[Level]int, number func(int) string) string {
	var parts []string
	for _, l := range []Level{Error, Warning, Notice} {
		if more[l] > 0 {
			parts = append(parts, fmt.Sprintf("%s more of level %s", number(more[l]), l))
		}
	}
	return strings.Join(parts, ", ")
}
