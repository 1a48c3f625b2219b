package scope

import (
	"slices"
	"testing"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/security/inputs"
)

// Whoever gives SARIF files wants them to count: without them the scan is not whole.
func TestGivenFilesAreNeeded(t *testing.T) {
	t.Parallel()
	const what = "the SARIF files that were given"
	for name, test := range map[string]struct {
		args            []string
		needed, without bool
	}{
		"none":     {nil, false, false},
		"one":      {[]string{"--sarif-files=a.sarif"}, true, false},
		"optional": {[]string{"--sarif-files=a.sarif", "--optional-tools=sarif"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := inputs.Spec().Parse(test.args, func(string) string { return "" })
			if err != nil {
				t.Fatal(err)
			}
			s := Scope{Values: v, Occasion: inputs.Occasion{Level: verdict.Quick}}
			needs, without := s.Needs()
			if got := slices.ContainsFunc(needs, func(n verdict.Need) bool { return n.What == what }); got != test.needed {
				t.Errorf("needed %v: %v", got, needs)
			}
			if got := slices.Contains(without, what); got != test.without {
				t.Errorf("without %v", without)
			}
		})
	}
}
