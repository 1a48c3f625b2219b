package judgebench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// A small run of all scenarios: what is broken is stopped, what is healthy is
// not. The figures themselves are the benchmark's.
func TestSmallRun(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "figures.json")
	if err := run(t.Context(), t.Output(), 1, "", file); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var figures []Figure
	if err := json.Unmarshal(raw, &figures); err != nil {
		t.Fatal(err)
	}
	if want := len(judges) * len(scenarios(1)); len(figures) != want {
		t.Errorf("%d figures, want %d", len(figures), want)
	}
	for _, f := range figures {
		if f.Judge != judges[0] {
			continue
		}
		if f.Healthy && f.Stopped > .5 || f.Scenario == "30 % errors against 0.1 %" && f.Stopped < 1 {
			t.Errorf("%+v", f)
		}
	}
}
