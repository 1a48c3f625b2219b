package securitybench

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/sarif"
)

// The files are SARIF, with as many results as were asked for, and the same for the
// same seed.
func TestFiles(t *testing.T) {
	t.Parallel()
	var before []string
	for range 2 {
		b := &bench{dir: t.TempDir(), out: io.Discard, results: 103, seed: 5}
		names, size, err := b.files("x", 20)
		if err != nil {
			t.Fatal(err)
		}
		var logs []sarif.Log
		var texts []string
		for _, name := range names {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			l, err := sarif.Read(strings.NewReader(string(raw)), sarif.Options{})
			if err != nil {
				t.Fatal(err)
			}
			logs, texts, size = append(logs, l), append(texts, string(raw)), size-int64(len(raw))
		}
		all := sarif.Merge(logs...)
		if len(all.Runs) != len(shapes) || len(all.Sightings()) != 103 || len(all.Doubts()) > 0 || size != 0 {
			t.Errorf("%d runs, %d results, %q, %d bytes more", len(all.Runs), len(all.Sightings()), all.Doubts(), size)
		}
		if before != nil && cmp.Diff(before, texts) != "" {
			t.Error("the same seed makes other files")
		}
		before = texts
	}
}

func TestMedians(t *testing.T) {
	t.Parallel()
	got := medians([]row{{wall: 3 * time.Second, cpu: 1, peak: 5}, {wall: time.Second, cpu: 9, peak: 7}, {wall: 2 * time.Second, cpu: 4, peak: 6}})
	if got.wall != 2*time.Second || got.cpu != 4 || got.peak != 7 {
		t.Errorf("%+v", got)
	}
	text := section{title: "T", intro: "I", rows: []row{got}, notes: []string{"N"}}.markdown()
	if !strings.Contains(text, "| 2.00 s |") || !strings.HasSuffix(text, "\nN\n") {
		t.Error(text)
	}
}
