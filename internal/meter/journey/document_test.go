package journey

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/devtools/perfsite"
	"github.com/candlefish/deploy-action/internal/meter"
)

// shown returns the blocks of a language in the document about journeys.
func shown(t *testing.T, language string) []string {
	t.Helper()
	raw, err := os.ReadFile("../../../docs/performance-journeys.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, found := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		blocks = append(blocks, found[1])
	}
	return blocks
}

// The document's files can be read, and have each step that there is.
func TestDocumentedFiles(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	blocks := shown(t, "yaml")
	for _, text := range blocks {
		journeys, err := Parse("journeys.yaml", []byte(text))
		if err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
		for _, j := range journeys {
			for _, s := range j.Steps {
				used[s.Kind] = true
			}
		}
	}
	for _, kind := range kinds {
		if !used[kind] {
			t.Errorf("no file of the document has the step %s", kind)
		}
	}
	if len(blocks) != 2 {
		t.Errorf("%d files", len(blocks))
	}
}

// The document's table is of the metrics that there are.
func TestDocumentedMetrics(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../../docs/performance-journeys.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range Metrics() {
		row := regexp.MustCompile("(?m)^\\| [^|]*`" + m.Name + "`.*\\| (yes|no) \\|$").FindStringSubmatch(string(raw))
		if len(row) != 2 || (row[1] == "yes") != m.Compared {
			t.Errorf("%s, compared %v: the table says %q", m.Name, m.Compared, row)
		}
	}
}

// The document's first file does on the sample website what it says, on mobile, with its
// picture and its trace; and so does its program.
func TestDocumentedJourney(t *testing.T) {
	t.Parallel()
	job := realJob(t, site(t, perfsite.Options{}), shown(t, "yaml")[0])
	job.Round, job.Devices = 0, []meter.Device{meter.Mobile}
	got := measured(t, Meter{}, job)
	if values := valued(got); len(values) != len(Metrics()) {
		t.Errorf("%v, gaps %v", values, got.Gaps)
	}
	if !got.Assertions[0].Holds || len(got.Notes)+len(got.Doubts) != 0 {
		t.Errorf("%+v", got)
	}
	var files []string
	for _, f := range got.Files {
		files = append(files, f.What+" "+filepath.Base(f.Path))
	}
	if want := []string{"screenshot thanks thanks.png", "trace of the journey, made once more trace.zip"}; !slices.Equal(files, want) {
		t.Fatalf("files %q, want %q", files, want)
	}
	names := unzipped(t, got.Files[1].Path)
	if !strings.Contains(names["trace.trace"], `"method"`) || names["trace.network"] == "" {
		t.Errorf("the trace has neither actions nor requests: %d files", len(names))
	}
}
