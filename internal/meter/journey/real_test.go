package journey

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/perfsite"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/toolbox/toolboxtest"
)

// site starts the sample website.
func site(t *testing.T, o perfsite.Options) string {
	t.Helper()
	s, err := perfsite.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.URL
}

// realJob is a job in the machine's Chromium; file is the text of the journeys.
func realJob(t *testing.T, url, file string) meter.Job {
	t.Helper()
	tool := toolboxtest.Need(t, "playwright")["playwright"]
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("the tests of pages need Chromium: %v", err)
	}
	job := meter.Job{
		Side: measure.Head, Round: 1, Rounds: 5, URL: url, Pages: []string{"/"}, Devices: []meter.Device{meter.Desktop},
		Header: http.Header{}, Workspace: t.TempDir(), Scratch: t.TempDir(), Chromium: chromium,
		Tools:    map[string]meter.Tool{"playwright": {Command: append([]string{tool.Program}, tool.Args...), Version: tool.Version, Reads: tool.Reads}},
		Getenv:   func(string) string { return "" },
		Settings: map[string]string{},
	}
	if file != "" {
		job.Settings[SettingFile] = "journeys.yaml"
		write(t, job.Workspace, "journeys.yaml", file)
	}
	return job
}

func write(t *testing.T, folder, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// measured runs all of a job's journeys, isolated, and returns what they gave together.
func measured(t *testing.T, m Meter, job meter.Job) meter.Reading {
	t.Helper()
	if problems := m.Problems(job); len(problems) > 0 {
		t.Fatal(problems)
	}
	commands, err := m.Commands(job)
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := isolate.Open(job.Workspace, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all meter.Reading
	for _, command := range commands {
		ran := sandbox.Run(t.Context(), command)
		reading, err := m.Read(job, command, ran)
		if err != nil {
			t.Fatalf("%v\n%s", err, ran.Stderr)
		}
		all.Values = append(all.Values, reading.Values...)
		all.Gaps = append(all.Gaps, reading.Gaps...)
		all.Assertions = append(all.Assertions, reading.Assertions...)
		all.Files = append(all.Files, reading.Files...)
		all.Doubts, all.Notes = append(all.Doubts, reading.Doubts...), append(all.Notes, reading.Notes...)
		all.Versions = reading.Versions
	}
	return all
}

// valued returns the values of a reading by "SUBJECT METRIC".
func valued(r meter.Reading) map[string]float64 {
	all := map[string]float64{}
	for _, v := range r.Values {
		all[v.Subject+" "+v.Metric.Name] = v.Value
	}
	return all
}

const showing = `version: 1
journeys:
  - name: list
    repeat: 2
    steps:
      - goto: /
      - click: "#show"
      - wait-for: {text: Table of oak}
`

// Each planted defect worsens its own metric by many times of what the machine's noise
// is. Of the others, those that hang on no time stay.
func TestPlantedDefects(t *testing.T) {
	t.Parallel()
	clean := valued(measured(t, Meter{}, realJob(t, site(t, perfsite.Options{}), showing)))
	t.Logf("clean: %v", clean)
	for _, m := range Metrics() {
		if _, ok := clean["list desktop "+m.Name]; !ok {
			t.Errorf("the clean site has no %s", m.Name)
		}
	}
	for _, c := range []struct {
		site         perfsite.Options
		worse, stays []measure.Metric
	}{
		{perfsite.Options{LayoutShift: true, MemoryLeak: true}, []measure.Metric{cls, heap}, nil},
		{perfsite.Options{SlowHandler: time.Second, BlockingScript: 300 << 10}, []measure.Metric{inp, longTasks}, []measure.Metric{cls, heap}},
	} {
		sick := valued(measured(t, Meter{}, realJob(t, site(t, c.site), showing)))
		t.Logf("%+v: %v", c.site, sick)
		worse := func(m measure.Metric) bool {
			return sick["list desktop "+m.Name]-clean["list desktop "+m.Name] > 4*m.Floor.Absolute
		}
		for _, m := range c.worse {
			if !worse(m) {
				t.Errorf("%+v: %s is not worse", c.site, m.Name)
			}
		}
		for _, m := range c.stays {
			if worse(m) {
				t.Errorf("%+v: %s is worse", c.site, m.Name)
			}
		}
	}
}
