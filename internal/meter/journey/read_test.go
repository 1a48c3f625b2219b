package journey

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/redact"
)

func TestInteractionToNextPaint(t *testing.T) {
	t.Parallel()
	var many document
	for i := range 120 {
		many.Events = append(many.Events, []float64{float64(i), 0, float64(i)})
	}
	fast := many
	fast.Interactions = 250 // of which 130 were too short to be noted
	for name, c := range map[string]struct {
		d    document
		want float64
		ok   bool
	}{
		"none":                       {document{}, 0, false},
		"the longest event of each":  {document{Events: [][]float64{{7, 0, 24}, {7, 0, 80}, {9, 0, 40}}, Interactions: 2}, 80, true},
		"one in 50 is left out":      {many, 117, true},
		"those not noted count, too": {fast, 114, true},
	} {
		if got, ok := c.d.inp(); got != c.want || ok != c.ok {
			t.Errorf("%s: %v, %v, want %v", name, got, ok, c.want)
		}
	}
}

func TestCumulativeLayoutShift(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		shifts [][]float64
		want   float64
	}{
		"none":                       {nil, 0},
		"one window":                 {[][]float64{{100, 0.1}, {900, 0.2}}, 0.3},
		"a second apart":             {[][]float64{{100, 0.1}, {1100, 0.2}}, 0.2},
		"not in order":               {[][]float64{{1100, 0.2}, {100, 0.1}}, 0.2},
		"no window beyond 5 s":       {[][]float64{{0, .1}, {900, .1}, {1800, .1}, {2700, .1}, {3600, .1}, {4500, .1}, {5400, .1}}, 0.6},
		"the largest of the windows": {[][]float64{{0, .3}, {3000, .1}, {3500, .1}}, 0.3},
	} {
		if got := (document{Shifts: c.shifts}).cls(); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestSlope(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{5, 7, 9, 11}, 2}, {[]float64{10, 10, 10, 1000}, 5}, {[]float64{9, 8, 7}, -1}} {
		if got := slope(c.values); got != c.want && !(c.want == 5 && got > 0 && got < 500) {
			t.Errorf("slope(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}

// pureJob is a job that runs nothing.
func pureJob(t *testing.T, file string) meter.Job {
	t.Helper()
	job := meter.Job{
		Side: measure.Head, URL: "http://127.0.0.1:1", Pages: []string{"/"}, Devices: []meter.Device{meter.Desktop}, Header: http.Header{},
		Workspace: t.TempDir(), Scratch: t.TempDir(), Settings: map[string]string{},
		Tools:  map[string]meter.Tool{"playwright": {Command: []string{"/usr/bin/node", "/modules/playwright-core/cli.js"}}},
		Getenv: func(string) string { return "" },
	}
	if file != "" {
		job.Settings[SettingFile] = "journeys.yaml"
		write(t, job.Workspace, "journeys.yaml", file)
	}
	return job
}

// readText reads a report of the job's first journey.
func readText(t *testing.T, job meter.Job, text string) (meter.Reading, error) {
	t.Helper()
	commands, err := Meter{}.Commands(job)
	if err != nil {
		t.Fatal(err)
	}
	return Meter{}.Read(job, commands[0], isolate.Ran{Ending: isolate.Exited, Stdout: []byte(text)})
}

const good = `{"version":1,"browser":"156.0","pages":[{"url":"http://127.0.0.1:1/","ttfb":10,"fcp":100,"lcp":120,"shifts":[[10,0.05]],"tasks":[[80],[51]],"events":[[7,500,40]],"interactions":1},` +
	`{"url":"http://127.0.0.1:1/b","ttfb":12,"fcp":90,"lcp":220,"shifts":[],"tasks":[],"events":[],"interactions":0}],"steps":[],"duration":900.5,"heap":[1000,2000,4000],"whole":false,"lost":0,` +
	`"errors":[{"kind":"exception","text":"x is not\ndefined","url":"http://127.0.0.1:1/b?token=abc"}],"screenshots":[]}`

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := readText(t, pureJob(t, showing), good)
	if err != nil {
		t.Fatal(err)
	}
	values := valued(got)
	for metric, want := range map[string]float64{"inp": 40, "lcp": 220, "fcp": 100, "ttfb": 12, "cls": 0.05, "long-tasks": 31, "duration": 900.5, "heap": 1500, "heap-size": 4000} {
		if values["list desktop "+metric] != want {
			t.Errorf("%s is %v, want %v", metric, values["list desktop "+metric], want)
		}
	}
	if len(values) != len(Metrics()) || len(got.Gaps) != 0 || len(got.Doubts) != 0 || !got.Assertions[0].Holds {
		t.Errorf("%+v", got)
	}
	if want := "list desktop: an exception that no script caught on /b: x is not defined"; !slices.Equal(got.Notes, []string{want}) {
		t.Errorf("notes %q, want %q", got.Notes, want)
	}
}

// What a report lacks is a gap, and says why.
func TestReadGaps(t *testing.T) {
	t.Parallel()
	for change, want := range map[[2]string]string{
		{`[[7,500,40]]`, `[]`}:                    "inp: the browser noted no interaction",
		{`"heap":[1000,2000,4000]`, `"heap":[1]`}: "heap: its memory was measured 1 times, want 3",
		{`"fcp":100,"lcp":120,"`, `"`}:            "",
		{`"screenshots":[]`, `"screenshots":[],"heapFailed":{"step":1,"name":"","why":"locator.click: Timeout","timeout":true,"url":"","saw":"","repetition":2}`}: `heap: repetition 2 failed at step 2 of 3: click #show: there was no such element within 10s`,
	} {
		got, err := readText(t, pureJob(t, showing), strings.Replace(good, change[0], change[1], 1))
		if err != nil {
			t.Errorf("%q: %v", change, err)
			continue
		}
		var gaps []string
		for _, g := range got.Gaps {
			gaps = append(gaps, g.Metric+": "+g.Why)
		}
		if (want == "") != (len(gaps) == 0) || want != "" && !strings.HasPrefix(gaps[0], want) {
			t.Errorf("%q: gaps %q, want %q", change, gaps, want)
		}
	}
}

// A journey may leave the site, as to log in. One that saw nothing of it is doubted.
func TestReadOfAnotherSite(t *testing.T) {
	t.Parallel()
	left := strings.Replace(good, "http://127.0.0.1:1/b\",\"ttfb", "https://login.example/b\",\"ttfb", 1)
	for text, want := range map[string][]string{
		left: nil, strings.Replace(left, "http://127.0.0.1:1/\"", "https://login.example/?token=abc\"", 1): {"list desktop: the journey leads to https://login.example/, so that another site was measured"},
	} {
		if got, err := readText(t, pureJob(t, showing), text); err != nil || !slices.Equal(got.Doubts, want) {
			t.Errorf("doubts %q, %v; want %q", got.Doubts, err, want)
		}
	}
}

// A failed journey has an assertion that does not hold and no value.
func TestReadFailure(t *testing.T) {
	t.Parallel()
	job := pureJob(t, showing)
	job.Header.Set("X-Preview", "s3cret-token")
	for why, want := range map[string]string{
		"page.goto: net::ERR_CONNECTION_REFUSED at http://127.0.0.1:1/":                     "the page is down: nothing accepts connections there (ERR_CONNECTION_REFUSED)",
		"page.goto: net::ERR_TOO_MANY_REDIRECTS at x":                                       "its redirects never end (ERR_TOO_MANY_REDIRECTS)",
		"page.goto: net::ERR_CERT_AUTHORITY_INVALID at x":                                   "nobody whom this machine trusts has signed its certificate",
		"page.goto: net::ERR_SOMETHING_NEW at x":                                            "it could not be loaded (ERR_SOMETHING_NEW)",
		"status 500 of http://127.0.0.1:1/":                                                 "the page answers 500",
		"locator.click: Error: strict mode violation: locator('a') resolved to 3 elements:": "the selector matches 3 elements: want one",
		"locator.click: something with s3cret-token":                                        "something with ***",
	} {
		raw, err := json.Marshal(map[string]any{"version": 1, "browser": "156", "failed": failure{Step: 2, Why: why, URL: "http://127.0.0.1:1/x?y=1", Saw: "Welcome"}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := readText(t, job, string(raw))
		if err != nil {
			t.Errorf("%s: %v", why, err)
			continue
		}
		a := got.Assertions[0]
		if a.Holds || a.Text != "step 3 of 3: wait-for text Table of oak" || !strings.HasPrefix(a.Why, want) || !strings.HasSuffix(a.Why, `; the page was /x, which says "Welcome"`) {
			t.Errorf("%s: %+v, want %q", why, a, want)
		}
		if len(got.Values) != 0 || len(got.Gaps) != len(Metrics()) {
			t.Errorf("%s: %d values, %d gaps", why, len(got.Values), len(got.Gaps))
		}
	}
}

// Each beginning of a report is none, and so is one with a number, a key or a step that
// cannot be.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	job := pureJob(t, showing)
	for n := range len(good) {
		if _, err := readText(t, job, good[:n]); err == nil {
			t.Fatalf("a report cut after %d bytes was read", n)
		}
	}
	for from, to := range map[string]string{
		`"version":1`: `"version":2`, `"duration":900.5`: `"duration":0`, `"ttfb":10`: `"ttfb":-1`, `"fcp":100`: `"fcp":1e300`, `[[80],[51]]`: `[[80,1]]`,
		`"browser":"156.0"`: `"browser":""`, `"lost":0`: `"lost":0,"lost":0`, `"whole":false`: `"whole":false,"Whole":true`, `"steps":[]`: `"steps":[],"more":1`,
		`"screenshots":[]`: `"screenshots":[],"failed":{"step":3,"why":"x"}`, `"interactions":1}`: `"interactions":null,"ttfb":"1"}`,
	} {
		if got, err := readText(t, job, strings.Replace(good, from, to, 1)); err == nil {
			t.Errorf("%s in place of %s was read: %+v", to, from, got)
		}
	}
	for _, ran := range []isolate.Ran{{Ending: isolate.TimedOut, Stdout: []byte(good)}, {Ending: isolate.Exited, Status: 1, Stdout: []byte(good)}, {Ending: isolate.Exited, Truncated: true, Stdout: []byte(good)}} {
		commands, err := Meter{}.Commands(job)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (Meter{}).Read(job, commands[0], ran); err == nil {
			t.Errorf("%s, %d was read", ran.Ending, ran.Status)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"version":1,"browser":"1","failed":{"step":0,"why":"x"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parse(raw)
		if err != nil {
			return
		}
		in := reader{walk: walk{Journey: Journey{Name: "a", Repeat: 3, Steps: make([]Step, 3)}, folder: t.TempDir()}, report: r, hide: redact.New()}
		got, err := in.read()
		if err != nil {
			return
		}
		for _, v := range got.Values {
			if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
				t.Fatalf("%+v", v)
			}
		}
		if len(got.Values)+len(got.Gaps) != len(Metrics()) {
			t.Fatalf("%d values and %d gaps of %d metrics", len(got.Values), len(got.Gaps), len(Metrics()))
		}
	})
}

// The files that the script names are kept only if they are what they should be.
func TestReadFiles(t *testing.T) {
	t.Parallel()
	job := pureJob(t, showing)
	folder := filepath.Join(job.Scratch, "journey-1")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, folder, "a.png", "picture")
	write(t, job.Scratch, "b.png", "picture")
	if err := os.Symlink("/etc/hostname", filepath.Join(folder, "c.png")); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(good, `"screenshots":[]`, `"screenshots":[{"what":"A","file":"a.png"},{"what":"B","file":"../b.png"},{"what":"C","file":"c.png"},{"what":"D","file":"d.png"}],"trace":{"file":"","what":"x","why":"the disk is full"}`, 1)
	got, err := readText(t, job, text)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Files) != 1 || got.Files[0].Path != filepath.Join(folder, "a.png") {
		t.Errorf("files %+v", got.Files)
	}
	if want := "list desktop: there is no trace: the disk is full"; !slices.Contains(got.Notes, want) {
		t.Errorf("notes %q, want %q", got.Notes, want)
	}
}

func TestStrip(t *testing.T) {
	t.Parallel()
	const secret = `pass"word<1>`
	quoted := `{"value":"pass\"word<1>","base":"` + base64.StdEncoding.EncodeToString([]byte(secret)) + `"}` // as JavaScript writes it
	var raw bytes.Buffer
	w := zip.NewWriter(&raw)
	for name, content := range map[string]string{"trace.trace": quoted + "\n" + `{"type":"before"}`, "trace.network": quoted, "resources/a.html": secret, "resources/b.jpeg": "picture"} {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "trace.zip")
	write(t, filepath.Dir(path), "trace.zip", raw.String())
	if err := strip(path, redact.New(secret)); err != nil {
		t.Fatal(err)
	}
	files := unzipped(t, path)
	if len(files) != 3 || files["resources/b.jpeg"] != "picture" || files["trace.network"] != "" || !strings.Contains(files["trace.trace"], `{"type":"before"}`) {
		t.Errorf("%q", files)
	}
	if text := files["trace.trace"]; strings.Contains(text, "word") || strings.Contains(text, "cGFzcy") {
		t.Errorf("the trace has the secret: %s", text)
	}
	write(t, filepath.Dir(path), "trace.zip", "no zip")
	if err := strip(path, redact.New(secret)); err == nil {
		t.Error("what is no trace was stripped")
	}
}

func unzipped(t *testing.T, path string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	files := map[string]string{}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(raw)
	}
	return files
}

func TestProblems(t *testing.T) {
	t.Parallel()
	job := pureJob(t, "version: 1\njourneys:\n- name: a\n  steps: [{goto: /}, {fill: {into: a, value: '${ONE}${TWO}${THREE}'}}]\n- name: b\n  script: b.mjs\n")
	job.Settings[SettingVariables] = "ONE TWO 3"
	job.Getenv = func(name string) string { return map[string]string{"ONE": "abc", "THREE": "long enough"}[name] }
	var got []string
	for _, err := range (Meter{}).Problems(job) {
		got = append(got, err.Error())
	}
	for i, want := range []string{`"3" is not the name`, "ONE is shorter than 4 bytes", "TWO is not set", "has ${THREE}, which journey-variables does not name", "its script b.mjs is no file"} {
		if len(got) != 5 || !strings.Contains(got[i], want) {
			t.Fatalf("problems %q, want %q", got, want)
		}
	}
	job.Settings[SettingFile] = "none.yaml"
	if got := (Meter{}).Problems(job); len(got) != 1 || !strings.Contains(got[0].Error(), "there is no file none.yaml") {
		t.Errorf("%v", got)
	}
}

func TestApplies(t *testing.T) {
	t.Parallel()
	job := pureJob(t, "")
	if ok, why := (Meter{}).Applies(job); !ok {
		t.Error(why)
	}
	job.Pages = nil
	if ok, _ := (Meter{}).Applies(job); ok {
		t.Error("it applies without a page and a file")
	}
	job.URL = ""
	if ok, why := (Meter{}).Applies(job); ok || why != "no URL" {
		t.Error(ok, why)
	}
}
