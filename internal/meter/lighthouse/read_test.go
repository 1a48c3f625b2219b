package lighthouse

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// readReport reads a report of the job's first page on a device.
func readReport(job meter.Job, device meter.Device, raw []byte) (meter.Reading, error) {
	v := view{page: job.Pages[0], device: device}
	return Lighthouse{}.Read(job, isolate.Command{Report: v.path(job, ".json")}, isolate.Ran{Ending: isolate.Exited, Stdout: raw})
}

// Real reports of all major versions, of one page with Chromium 156, whose traces
// Lighthouse 11 cannot read whole.
func TestRecordedReports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		device meter.Device
		want   map[string]float64
		gaps   []string // metrics
		not    []string // metrics that the version does not have
	}{
		"10.4.0-mobile": {meter.Mobile, map[string]float64{
			"first-contentful-paint": 683.96, "largest-contentful-paint": 683.96, "total-blocking-time": 19, "interactive": 1030.64,
			"cumulative-layout-shift": 0, "performance": 1, "seo": 0.92, "resource-summary:script:size": 466,
			"image-alt.score": 1, "unused-javascript.bytes": 0, "benchmark-index": 830, "pwa": 0.33,
			"uses-text-compression.score": 1, "dom-size": 6,
		}, nil, nil},
		"11.7.1-mobile": {meter.Mobile, map[string]float64{
			"first-contentful-paint": 854.53, "largest-contentful-paint": 971.91, "total-blocking-time": 133.24, "interactive": 1301.53,
			"cumulative-layout-shift": 0, "performance": 0.99, "seo": 0.92, "resource-summary:script:size": 752,
			"image-alt.score": 1, "unused-javascript.bytes": 0, "benchmark-index": 1036.5, "pwa": 0.38,
			"uses-text-compression.score": 0.5, "dom-size": 6,
		}, []string{"largest-contentful-paint-element.score", "layout-shift-elements.score", "layout-shifts.score", "lcp-lazy-loaded.score", "non-composited-animations.score", "prioritize-lcp-image.score"}, nil},
		"12.8.2-mobile": {meter.Mobile, map[string]float64{
			"first-contentful-paint": 899.79, "largest-contentful-paint": 1060.33, "total-blocking-time": 41, "interactive": 1141.03,
			"cumulative-layout-shift": 0, "performance": 1, "seo": 0.92, "resource-summary:script:size": 752,
			"image-alt.score": 1, "unused-javascript.bytes": 0, "benchmark-index": 1763.5, "uses-text-compression.score": 0.5,
			"dom-size": 6,
		}, nil, []string{"pwa"}},
		"13.5.0-mobile": {meter.Mobile, map[string]float64{
			"first-contentful-paint": 1037.24, "largest-contentful-paint": 1266.63, "total-blocking-time": 146, "interactive": 1496.02,
			"cumulative-layout-shift": 0, "performance": 0.99, "seo": 0.92, "resource-summary:script:size": 752,
			"image-alt.score": 1, "unused-javascript.bytes": 0, "benchmark-index": 881, "dom-size-insight": 8,
		}, nil, []string{"pwa", "uses-text-compression.score"}},
		"13.5.0-desktop": {meter.Desktop, map[string]float64{
			"first-contentful-paint": 304.43, "largest-contentful-paint": 311.88, "total-blocking-time": 0, "interactive": 311.88,
			"cumulative-layout-shift": 0, "performance": 1, "seo": 0.92, "resource-summary:script:size": 752,
			"image-alt.score": 1, "unused-javascript.bytes": 0, "benchmark-index": 1327, "dom-size-insight": 8,
		}, nil, []string{"pwa", "uses-text-compression.score"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := readReport(testJob(t), c.device, recorded(t, name))
			if err != nil {
				t.Fatal(err)
			}
			subject := "/ " + string(c.device)
			for metric, want := range c.want {
				if got, ok := valueOf(r, subject, metric); !ok || math.Abs(got-want) > 0.005 {
					t.Errorf("%s is %v (%v), want %v", metric, got, ok, want)
				}
			}
			var gaps []string
			for _, g := range r.Gaps {
				gaps = append(gaps, g.Metric)
			}
			slices.Sort(gaps)
			if !slices.Equal(gaps, c.gaps) {
				t.Errorf("gaps %q, want %q", gaps, c.gaps)
			}
			for _, metric := range c.not {
				if v, ok := valueOf(r, subject, metric); ok {
					t.Errorf("it has %s: %v", metric, v)
				}
			}
			version, _, _ := strings.Cut(name, "-")
			if r.Versions[Name] != version || !strings.HasPrefix(r.Versions["chrome"], "156.") || len(r.Doubts) > 0 {
				t.Errorf("versions %v, doubts %q", r.Versions, r.Doubts)
			}
			checkValues(t, r)
		})
	}
}

// checkValues looks at what holds for the values of every report.
func checkValues(t *testing.T, r meter.Reading) {
	t.Helper()
	seen := map[string]bool{}
	var compared []string
	for _, v := range r.Values {
		m := v.Metric
		if seen[m.Name] || m.Name == "" || m.Title == "" || m.Unit == "" || m.Better == "" || math.IsNaN(v.Value) || math.IsInf(v.Value, 0) || v.Value < 0 {
			t.Errorf("%+v", v)
		}
		seen[m.Name] = true
		if m.Compared {
			compared = append(compared, m.Name)
		}
		if m.Unit == measure.Score && (v.Value > 1 || m.Better != measure.Higher) {
			t.Errorf("%+v", v)
		}
	}
	slices.Sort(compared)
	want := []string{"cumulative-layout-shift", "first-contentful-paint", "largest-contentful-paint", "speed-index", "total-blocking-time"}
	if !slices.Equal(compared, want) {
		t.Errorf("compared %q, want %q", compared, want)
	}
}

// Half a report is none, wherever it ends.
func TestHalfAReport(t *testing.T) {
	t.Parallel()
	raw := []byte(strings.TrimSpace(string(recorded(t, "13.5.0-desktop"))))
	for i := range 50 {
		cut := len(raw) * i / 50
		if _, err := readReport(testJob(t), meter.Desktop, raw[:cut]); err == nil {
			t.Errorf("cut at %d of %d", cut, len(raw))
		}
	}
	if _, err := readReport(testJob(t), meter.Desktop, raw[:len(raw)-1]); err == nil {
		t.Error("its last byte is missing")
	}
}

func TestForeignReports(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"null", "[]", "{}", "true", "7", `"13.5.0"`, "\x00", "<html>", `{"lighthouseVersion":"13.5.0"}`, `{"lighthouseVersion":null,"audits":{}}`,
		`[{"lighthouseVersion":"13.5.0"}]`, `{"metrics":{"http_req_duration":{}}}`, `{"version":"2.1.0","runs":[]}`, "{} {}",
	} {
		for _, device := range []meter.Device{meter.Desktop, meter.Mobile} {
			if r, err := readReport(testJob(t), device, []byte(text)); err == nil {
				t.Errorf("%q is read: %+v", text, r)
			}
		}
	}
}

// changed is a recorded report in which one thing is different.
func changed(t testing.TB, change func(r, audits map[string]any)) []byte {
	t.Helper()
	var r map[string]any
	if err := json.Unmarshal(recorded(t, "13.5.0-desktop"), &r); err != nil {
		t.Fatal(err)
	}
	change(r, r["audits"].(map[string]any))
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func inner(m map[string]any, name string) map[string]any { return m[name].(map[string]any) }

// A report that is not of what was asked for is an error.
func TestRefusedReports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(r, audits map[string]any)
		says   string
	}{
		"another page":        {func(r, _ map[string]any) { r["requestedUrl"] = "http://127.0.0.1:9401/other" }, `is of "http://127.0.0.1:9401/other"`},
		"another port":        {func(r, _ map[string]any) { r["requestedUrl"] = "http://127.0.0.1:9402/" }, "is of"},
		"another query":       {func(r, _ map[string]any) { r["requestedUrl"] = "http://127.0.0.1:9401/?a" }, "is of"},
		"no address":          {func(r, _ map[string]any) { delete(r, "requestedUrl") }, "no requestedUrl"},
		"another device":      {func(r, _ map[string]any) { inner(r, "configSettings")["formFactor"] = "mobile" }, `form factor "mobile"`},
		"another method":      {func(r, _ map[string]any) { inner(r, "configSettings")["throttlingMethod"] = "provided" }, `throttling "provided"`},
		"another screen":      {func(r, _ map[string]any) { inner(inner(r, "configSettings"), "screenEmulation")["width"] = 412 }, "a screen of 412x940"},
		"another network":     {func(r, _ map[string]any) { inner(inner(r, "configSettings"), "throttling")["rttMs"] = 1 }, "a network with 1 ms"},
		"another language":    {func(r, _ map[string]any) { inner(r, "configSettings")["locale"] = "de" }, `language "de"`},
		"headers":             {func(r, _ map[string]any) { inner(r, "configSettings")["extraHeaders"] = map[string]any{"a": "b"} }, "which headers were sent"},
		"version 9":           {func(r, _ map[string]any) { r["lighthouseVersion"] = "9.6.8" }, "version 9.6.8; those of 10 to 13 are known"},
		"version 14":          {func(r, _ map[string]any) { r["lighthouseVersion"] = "14.0.0" }, "version 14.0.0"},
		"half a version":      {func(r, _ map[string]any) { r["lighthouseVersion"] = "13." }, `version "13."`},
		"no version":          {func(r, _ map[string]any) { r["lighthouseVersion"] = nil }, `version ""`},
		"no audits":           {func(r, _ map[string]any) { delete(r, "audits") }, "no audits"},
		"audits in a list":    {func(r, _ map[string]any) { r["audits"] = []any{} }, "wrong audits"},
		"a number as text":    {func(_, a map[string]any) { inner(a, "speed-index")["numericValue"] = "3" }, "wrong audits"},
		"a strange audit":     {func(_, a map[string]any) { a["<b>"] = map[string]any{} }, `an audit "<b>"`},
		"nothing was painted": {func(r, _ map[string]any) { r["runtimeError"] = map[string]any{"code": "NO_FCP", "message": "no paint"} }, "the page painted nothing (NO_FCP: no paint)"},
		"an unknown error":    {func(r, _ map[string]any) { r["runtimeError"] = map[string]any{"code": "NEW", "message": "x"} }, "could not measure the page (NEW: x)"},
		"another site":        {func(r, _ map[string]any) { r["mainDocumentUrl"] = "https://login.test/?token=secret" }, "leads to https://login.test/, so that another site"},
		"https":               {func(r, _ map[string]any) { r["mainDocumentUrl"] = "https://127.0.0.1:9401/" }, "another site"},
		"another site later":  {func(r, _ map[string]any) { r["finalDisplayedUrl"] = "http://elsewhere.test/" }, "another site"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := readReport(testJob(t), meter.Desktop, changed(t, c.change))
			if err == nil || !strings.Contains(err.Error(), c.says) || len(r.Values) > 0 || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, %d values, want %q", err, len(r.Values), c.says)
			}
		})
	}
	twice := strings.Replace(string(recorded(t, "13.5.0-desktop")), `"lighthouseVersion"`, `"audits":{},"lighthouseVersion"`, 1)
	if _, err := readReport(testJob(t), meter.Desktop, []byte(twice)); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a key twice: %v", err)
	}
}

// What a report lacks is a gap, and what speaks against its values a doubt.
func TestGapsAndDoubts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change    func(r, audits map[string]any)
		gap, says string // says is of the gap, or of the doubt if there is no gap
	}{
		"no audit":         {func(_, a map[string]any) { delete(a, "largest-contentful-paint") }, "largest-contentful-paint", "no audit largest-contentful-paint"},
		"no value":         {func(_, a map[string]any) { delete(inner(a, "speed-index"), "numericValue") }, "speed-index", "has no value"},
		"a failed audit":   {func(_, a map[string]any) { fail(inner(a, "total-blocking-time")) }, "total-blocking-time", "did not run: it broke"},
		"its score":        {func(_, a map[string]any) { fail(inner(a, "image-alt")) }, "image-alt.score", "did not run: it broke"},
		"no score":         {func(_, a map[string]any) { inner(a, "document-title")["score"] = nil }, "document-title.score", "no score"},
		"a score of 2":     {func(_, a map[string]any) { inner(a, "document-title")["score"] = 2 }, "document-title.score", "is 2"},
		"an unknown mode":  {func(_, a map[string]any) { inner(a, "document-title")["scoreDisplayMode"] = "vote" }, "document-title.score", `"vote"`},
		"below zero":       {func(_, a map[string]any) { inner(a, "speed-index")["numericValue"] = -1 }, "speed-index", "is -1"},
		"beyond all":       {func(_, a map[string]any) { inner(a, "speed-index")["numericValue"] = 1e300 }, "speed-index", "is 1e+300"},
		"no category":      {func(r, _ map[string]any) { delete(inner(r, "categories"), "seo") }, "seo", "no category seo"},
		"a null category":  {func(r, _ map[string]any) { inner(inner(r, "categories"), "performance")["score"] = nil }, "performance", "no score for performance"},
		"no sizes":         {func(_, a map[string]any) { delete(a, "resource-summary") }, "resource-summary:script:size", "does not have it"},
		"a redirect":       {func(r, _ map[string]any) { r["mainDocumentUrl"] = "http://127.0.0.1:9401/login" }, "", "/ leads to /login"},
		"too slow":         {func(r, _ map[string]any) { r["runWarnings"] = []any{"The page loaded too slowly to finish"} }, "", "too slowly"},
		"an error's page":  {func(r, _ map[string]any) { r["runWarnings"] = []any{"Lighthouse was unable to reliably load the page"} }, "", "reliably"},
		"an unknown alarm": {func(r, _ map[string]any) { r["runWarnings"] = []any{"News of version 13.6"} }, "", "News"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := readReport(testJob(t), meter.Desktop, changed(t, c.change))
			if err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(r.Gaps, func(g meter.Gap) bool {
				return g.Metric == c.gap && g.Subject == "/ desktop" && strings.Contains(g.Why, c.says)
			})
			doubted := slices.ContainsFunc(r.Doubts, func(d string) bool { return strings.Contains(d, c.says) })
			if c.gap != "" && !found || c.gap == "" && !doubted {
				t.Errorf("gaps %v, doubts %q", r.Gaps, r.Doubts)
			}
			if v, ok := valueOf(r, "/ desktop", c.gap); ok {
				t.Errorf("%s has the value %v", c.gap, v)
			}
		})
	}
}

func fail(audit map[string]any) {
	audit["scoreDisplayMode"], audit["score"], audit["errorMessage"] = "error", nil, "it broke"
	delete(audit, "numericValue")
}

// What changes no value is a note.
func TestNotes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(r, audits map[string]any)
		says   string
	}{
		"a slash": {func(r, _ map[string]any) {
			r["requestedUrl"], r["mainDocumentUrl"] = "http://127.0.0.1:9401/a", "http://127.0.0.1:9401/a/"
			r["finalDisplayedUrl"] = nil
		}, "/a became /a/"},
		"a script": {func(r, _ map[string]any) { r["finalDisplayedUrl"] = "http://127.0.0.1:9401/home" }, "/ became /home"},
		"slow":     {func(r, _ map[string]any) { inner(r, "environment")["benchmarkIndex"] = 300 }, "slow or busy"},
		"slow, said": {func(r, _ map[string]any) {
			r["runWarnings"] = []any{"The tested device appears to have a slower CPU than"}
		}, "slower CPU"},
		"no speed": {func(r, _ map[string]any) { delete(inner(r, "environment"), "benchmarkIndex") }, "how fast"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := testJob(t)
			if name == "a slash" {
				job.Pages = []string{"/a"}
			}
			r, err := readReport(job, meter.Desktop, changed(t, c.change))
			if err != nil || len(r.Doubts)+len(r.Gaps) > 0 || !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, c.says) }) {
				t.Errorf("%v, doubts %q, gaps %v, notes %q, want %q", err, r.Doubts, r.Gaps, r.Notes, c.says)
			}
		})
	}
}

// The scores of audits that do not apply or only inform are as in lighthouse-ci.
func TestScoresWithoutOne(t *testing.T) {
	t.Parallel()
	r, err := readReport(testJob(t), meter.Desktop, changed(t, func(_, a map[string]any) {
		for id, mode := range map[string]string{"image-alt": "notApplicable", "document-title": "informative", "html-has-lang": "manual"} {
			inner(a, id)["score"], inner(a, id)["scoreDisplayMode"] = nil, mode
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	for metric, want := range map[string]float64{"image-alt.score": 1, "document-title.score": 0} {
		if got, ok := valueOf(r, "/ desktop", metric); !ok || got != want {
			t.Errorf("%s is %v, %v, want %v", metric, got, ok, want)
		}
	}
	if v, ok := valueOf(r, "/ desktop", "html-has-lang.score"); ok || len(r.Gaps) > 0 {
		t.Errorf("a manual audit has the score %v, gaps %v", v, r.Gaps)
	}
}

func TestVisits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"status":200,"url":"http://127.0.0.1:9401/","version":"v7","tries":2}`: "",
		`{"status":200,"url":"http://127.0.0.1:9401/login","tries":1}`:           "",
		`{"status":503,"url":"http://127.0.0.1:9401/","tries":3}`:                "status 503",
		`{"status":200,"url":"http://127.0.0.2:9401/","tries":1}`:                "another site",
		`{"error":"net::ERR_TOO_MANY_REDIRECTS at http://a","tries":1}`:          "in a circle",
		`{"error":"net::ERR_CERT_DATE_INVALID at https://a","tries":1}`:          "certificate",
		`{"error":"net::ERR_NAME_NOT_RESOLVED at https://a","tries":1}`:          "name is not known",
		`{"error":"Navigation timeout of 45000 ms exceeded","tries":1}`:          "in its time",
		`{"error":"net::ERR_CONNECTION_REFUSED at https://a","tries":3}`:         "could not be loaded",
		`{"status":200}`: "no address",
		`{"status":200,"url":"http://127.0.0.1:9401/","error":"x","Error":""}`: "twice",
		`{}`: "status 0", `null`: "status 0", `[]`: "what the visit saw", `{"status":2`: "not whole",
	} {
		job := testJob(t)
		job.Round = 0
		v := view{page: "/"}
		ran := isolate.Ran{Ending: isolate.Exited, Stdout: []byte(text)}
		r, err := Lighthouse{}.Read(job, isolate.Command{Report: v.path(job, ".json")}, ran)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if strings.Contains(text, "v7") && (len(r.Notes) != 2 || !strings.Contains(r.Notes[0], `version "v7"`)) {
			t.Errorf("notes %q", r.Notes)
		}
		if strings.Contains(text, "/login") && len(r.Doubts) != 1 {
			t.Errorf("doubts %q", r.Doubts)
		}
	}
}

// An ending that was not good is an error, whatever was written before.
func TestBadEndings(t *testing.T) {
	t.Parallel()
	whole := recorded(t, "13.5.0-desktop")
	job := testJob(t)
	command := isolate.Command{Report: view{page: "/", device: meter.Desktop}.path(job, ".json")}
	for name, ran := range map[string]isolate.Ran{
		"status":    {Ending: isolate.Exited, Status: 1, Stdout: whole, Stderr: []byte("start the browser: no")},
		"time":      {Ending: isolate.TimedOut, Stdout: whole},
		"memory":    {Ending: isolate.OutOfMemory, Stdout: whole},
		"signal":    {Ending: isolate.Signalled, Stdout: whole},
		"start":     {Ending: isolate.NotStarted, Stdout: whole},
		"no report": {Ending: isolate.Exited},
	} {
		if _, err := (Lighthouse{}).Read(job, command, ran); err == nil || !strings.HasPrefix(err.Error(), "/ desktop: it ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	command.Report += "x"
	if _, err := (Lighthouse{}).Read(job, command, isolate.Ran{Ending: isolate.Exited, Stdout: whole}); err == nil {
		t.Error("the report of no page is read")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(changed(f, func(_, audits map[string]any) { // a short one
		maps.DeleteFunc(audits, func(id string, _ any) bool { return !slices.Contains(must, id) && id != "resource-summary" })
	}))
	f.Add([]byte(`{"lighthouseVersion":"13.5.0","requestedUrl":"http://127.0.0.1:9401/","runWarnings":[],"environment":{},"configSettings":{},"audits":{"a":{"details":{"items":[1]}}},"categories":{}}`))
	job := testJob(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := readReport(job, meter.Desktop, raw)
		if err != nil && len(r.Values) > 0 {
			t.Error("an error with values")
		}
		for _, v := range r.Values {
			if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) || v.Value < 0 {
				t.Errorf("%+v", v)
			}
		}
	})
}
