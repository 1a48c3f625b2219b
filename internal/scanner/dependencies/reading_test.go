package dependencies

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/candlefish/deploy-action/internal/scanner/scannertest/conform"
)

// testdata reads a recorded report, see testdata/SOURCE.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// benchmark reads a report of 100,000 results.
func benchmark(b *testing.B, c conform.Case) {
	b.Helper()
	b.SetBytes(int64(len(c.Report)))
	b.ReportAllocs()
	for b.Loop() {
		if got := len(c.Read(b).Sightings); got != 100_000 {
			b.Fatalf("%d sightings", got)
		}
	}
}

func number(score float64) string { return strconv.FormatFloat(score, 'f', 1, 64) }
