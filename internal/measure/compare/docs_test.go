package compare

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/measure/quantity"
	"github.com/candlefish/deploy-action/internal/stat/twosample"
)

// The table of docs/performance-statistics.md is computed.
func TestTableOfRounds(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/performance-statistics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{3, 4, 5, 6, 7, 8, 10} {
		p := 1 / twosample.Splits(n, n)
		most := func(strata int) int {
			families := 0
			for atMost(p, .05/float64((families+1)*strata)) {
				families++
			}
			return families
		}
		row := fmt.Sprintf("| %d | %.3g | %d | %d | %d |\n", n, p, most(1), most(2), most(8))
		if !strings.Contains(string(text), row) {
			t.Errorf("the table has no row %s", row)
		}
	}
	for unit, floor := range defaultFloors {
		row := "| " + string(unit) + " | "
		if floor.Absolute > 0 && (floor.Relative > 0 || unit == "ms" || unit == "B") {
			row += quantity.Exact("", floor.Absolute)
		}
		if !strings.Contains(string(text), row) {
			t.Errorf("the table of floors has no row %q", row)
		}
	}
}
