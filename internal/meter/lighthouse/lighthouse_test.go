package lighthouse

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
)

// testJob is a job whose tool and browser are not there.
func testJob(t testing.TB) meter.Job {
	t.Helper()
	return meter.Job{
		URL: "http://127.0.0.1:9401", Pages: []string{"/"}, Devices: []meter.Device{meter.Desktop, meter.Mobile}, Rounds: 5, Round: 1,
		Workspace: t.TempDir(), Scratch: t.TempDir(), Chromium: "/usr/bin/chromium",
		Tools: map[string]meter.Tool{Name: {Command: []string{"/tools/node", "/tools/node_modules/lighthouse/cli/index.js"}, Version: "13.5.0", Reads: []string{"/tools"}}},
	}
}

func TestApplies(t *testing.T) {
	t.Parallel()
	job := testJob(t)
	if ok, why := (Lighthouse{}).Applies(job); !ok || why != "1 page on 2 devices" {
		t.Error(ok, why)
	}
	job.URL = ""
	if ok, why := (Lighthouse{}).Applies(job); ok || why != "no URL" {
		t.Error(ok, why)
	}
	job = testJob(t)
	job.Pages = nil
	if ok, _ := (Lighthouse{}).Applies(job); ok {
		t.Error("it applies to no pages")
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*meter.Job)
		says   string // "" for no problem
	}{
		"none":               {func(*meter.Job) {}, ""},
		"a page with query":  {func(j *meter.Job) { j.Pages = []string{"/a?b=c", "/"} }, ""},
		"file":               {func(j *meter.Job) { j.URL = "file:///etc" }, "want http:// or https:// and a host"},
		"no host":            {func(j *meter.Job) { j.URL = "https://" }, "want http:// or https:// and a host"},
		"no slash":           {func(j *meter.Job) { j.Pages = []string{"about"} }, `page "about": want a path`},
		"another host":       {func(j *meter.Job) { j.URL, j.Pages = "https://a.test", []string{".evil.test/"} }, "want a path"},
		"fragment":           {func(j *meter.Job) { j.Pages = []string{"/#a"} }, "want a path"},
		"twice":              {func(j *meter.Job) { j.Pages = []string{"/", "/"} }, "there twice"},
		"device":             {func(j *meter.Job) { j.Devices = []meter.Device{"tablet"} }, `device "tablet"`},
		"header of two":      {func(j *meter.Job) { j.Header = http.Header{"X-A": {"secret\nX-B: c"}} }, "header X-A: its value has more than one line"},
		"header with a word": {func(j *meter.Job) { j.Header = http.Header{"X A": {"secret"}} }, `header "X A"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := testJob(t)
			c.change(&job)
			wrong := Lighthouse{}.Problems(job)
			if c.says == "" && len(wrong) > 0 || c.says != "" && (len(wrong) != 1 || !strings.Contains(wrong[0].Error(), c.says)) {
				t.Errorf("%v, want %q", wrong, c.says)
			}
			if len(wrong) > 0 && strings.Contains(wrong[0].Error(), "secret") {
				t.Errorf("%v tells the secret", wrong)
			}
		})
	}
}

// The first round begins with a visit of each page, which is not measured. Secrets are
// in files that nobody else can read, not on command lines.
func TestCommands(t *testing.T) {
	t.Parallel()
	job := testJob(t)
	job.Pages, job.Header, job.Round = []string{"/", "/a/b?c=d"}, http.Header{"X-Bypass": {"old", "s3cret"}}, 0
	commands, err := Lighthouse{}.Commands(job)
	if err != nil {
		t.Fatal(err)
	}
	var reports []string
	for _, c := range commands {
		reports = append(reports, filepath.Base(c.Report))
		if strings.Contains(strings.Join(slices.Concat(c.Args, c.Env), " "), "s3cret") {
			t.Errorf("%q", c.Args)
		}
		if c.Program != "/tools/node" || !c.Network || c.Memory == 0 || c.Time != 2*time.Minute || !slices.Equal(c.Writes, []string{job.Scratch}) {
			t.Errorf("%+v", c)
		}
		info, err := os.Stat(c.Args[1])
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	want := []string{"visit-0.json", "lighthouse-0-desktop.json", "lighthouse-0-mobile.json", "visit-1.json", "lighthouse-1-desktop.json", "lighthouse-1-mobile.json"}
	if !slices.Equal(reports, want) {
		t.Errorf("%q, want %q", reports, want)
	}
	job.Round, job.Scratch = 1, t.TempDir()
	if commands, err = (Lighthouse{}).Commands(job); err != nil || len(commands) != 4 {
		t.Errorf("%d commands, %v", len(commands), err)
	}
	checkOrder(t, commands[3])
}

// checkOrder looks at what the script is told.
func checkOrder(t *testing.T, c isolate.Command) {
	t.Helper()
	raw, err := os.ReadFile(c.Args[1])
	if err != nil {
		t.Fatal(err)
	}
	var o order
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	f := o.Flags
	if o.URL != "http://127.0.0.1:9401/a/b?c=d" || o.Headers["x-bypass"] != "s3cret" || f == nil || f.FormFactor != "mobile" || f.Throttling.Kbps != 1638.4 || f.Screen.Width != 360 || len(f.Categories) != 4 {
		t.Errorf("%+v", o)
	}
	if strings.Contains(string(raw), "extraHeaders") {
		t.Error("Lighthouse is told the headers")
	}
}

func TestCommandsWithoutATool(t *testing.T) {
	t.Parallel()
	job := testJob(t)
	job.Chromium = ""
	if _, err := (Lighthouse{}).Commands(job); err == nil {
		t.Error("it runs without a browser")
	}
	job = testJob(t)
	job.Tools = nil
	if _, err := (Lighthouse{}).Commands(job); err == nil {
		t.Error("it runs without a tool")
	}
}

// The choice of lighthouse-ci: with an even number the upper median, and 0 for what is
// missing.
func TestRepresentative(t *testing.T) {
	t.Parallel()
	series := func(subject, metric string, values ...float64) measure.Series {
		s := measure.Series{Key: measure.Key{Meter: Name, Subject: subject, Metric: metric}}
		for round, v := range values {
			if v >= 0 {
				s.Head = append(s.Head, measure.Point{Round: round, Value: v})
			}
		}
		return s
	}
	for name, c := range map[string]struct {
		fcp, tti []float64
		want     int
	}{
		"the median of both":     {[]float64{100, 300, 200, 900, 250}, []float64{1000, 3000, 2000, 9000, 2500}, 4},
		"even: the upper median": {[]float64{100, 200, 300, 400}, []float64{1000, 2000, 3000, 4000}, 2},
		"near to both":           {[]float64{100, 200, 300}, []float64{3000, 2100, 2000}, 1},
		"equals":                 {[]float64{5, 5, 5}, []float64{7, 7, 7}, 0},
		"missing counts as 0":    {[]float64{-1, 200, 300}, []float64{-1, 2000, 3000}, 1},
		"one":                    {[]float64{5}, []float64{7}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rounds := make([]float64, len(c.fcp)) // a metric that each round has
			got := Lighthouse{}.Representative([]measure.Series{
				series("/ mobile", "performance", rounds...), series("/ mobile", "first-contentful-paint", c.fcp...), series("/ mobile", "interactive", c.tti...),
			})
			if got["/ mobile"] != c.want || len(got) != 1 {
				t.Errorf("%v, want round %d", got, c.want)
			}
		})
	}
	if got := (Lighthouse{}).Representative([]measure.Series{series("/ mobile", "interactive")}); len(got) != 0 {
		t.Errorf("%v of no rounds", got)
	}
}
