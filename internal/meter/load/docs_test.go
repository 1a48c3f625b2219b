package load

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The tables of the document are those of the scripts and of the code.
func TestTheDocument(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../../docs/performance-load.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, name := range Names() {
		s, err := ShapeOf(name)
		if err != nil {
			t.Fatal(err)
		}
		var stages []string
		for _, stage := range s.Stages {
			stages = append(stages, fmt.Sprintf("%.0f → %d", stage.Took.Seconds(), stage.Users))
		}
		took := strings.TrimSuffix(s.Took().String(), "0s")
		if s.Took().Seconds() != float64(int(s.Took().Minutes()))*60 {
			took = s.Took().String()
		}
		row := fmt.Sprintf("| `%s` | %d | %s | %s |", name, s.Users, strings.Join(stages, ", "), took)
		if !strings.Contains(text, row) {
			t.Errorf("it does not have the row\n%s", row)
		}
	}
	for status := range exits {
		if !strings.Contains(text, fmt.Sprint(status)) {
			t.Errorf("it does not have the status %d", status)
		}
	}
	for _, m := range metrics {
		if _, stat, ok := strings.Cut(m.Name, "."); !strings.Contains(text, m.Name) && (!ok || !strings.Contains(text, "`."+stat+"`")) {
			t.Errorf("it does not have the metric %s", m.Name)
		}
	}
	for _, figure := range []string{fmt.Sprintf("%.0f %%", busy*100), fmt.Sprintf("%.0f ms too late", late), fmt.Sprintf("Under %.0f seconds", few.Seconds())} {
		if !strings.Contains(text, figure) {
			t.Errorf("it does not say %q", figure)
		}
	}
}

// shown is the script that the document shows.
func shown(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../../docs/performance-load.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "```javascript\n")
	script, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the document shows no script")
	}
	return script
}
