package previewbench

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

func TestPeakOf(t *testing.T) {
	t.Parallel()
	if got := PeakOf(strings.NewReader("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t    2048 kB\n")); got != 2<<20 {
		t.Errorf("%d", got)
	}
	if got := PeakOf(strings.NewReader("Name:\tx\n")); got != 0 {
		t.Errorf("%d without a line of it", got)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	total, largest := 0, 0
	for _, n := range sizes() {
		total += n
		largest = max(largest, n)
	}
	if len(sizes()) != files || math.Abs(float64(total)-size) > .01*size || largest < 4*size/files {
		t.Errorf("%d files, %d bytes, the largest %d", len(sizes()), total, largest)
	}
}

// The program that is measured, with an environment that makes the client's library
// print all that it sends.
func TestPublisherKeepsTheToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "publish")
	if said, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./publish").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	site := filepath.Join(dir, "site")
	if err := os.Mkdir(site, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(site, "index.html"), []byte("hi"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := netlifytest.NewT(t, netlifytest.Options{Token: token})
	for _, c := range []struct {
		site string
		ok   bool
	}{{"site", true}, {"nothing", false}} {
		cmd := exec.CommandContext(t.Context(), program, s.URL(), c.site, site, "pr-1")
		cmd.Env = []string{"NETLIFY_AUTH_TOKEN=" + token, "DEBUG=1", "SWAGGER_DEBUG=1"}
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if (err == nil) != c.ok {
			t.Errorf("site %s: %v: %s", c.site, err, errs.String())
		}
		if strings.Contains(string(out)+errs.String(), token) {
			t.Errorf("site %s: the token is in %s%s", c.site, out, errs.String())
		}
		if !c.ok {
			continue
		}
		var r Report
		if err := json.Unmarshal(out, &r); err != nil || r.Stats.Uploads != 1 || r.PeakBytes == 0 || r.Seconds == 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}
