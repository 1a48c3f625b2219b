package samples_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/samples"
)

const (
	own = `{"version":1,"samples":[
 {"name":"frame-time","subject":"map","unit":"ms","better":"lower","floor":{"absolute":1,"relative":0.05},"head":[16.1,16.4],"base":[15.9,16]},
 {"name":"frames","subject":"map","unit":"/s","better":"higher","head":[60]}]}`
	smaller = `[{"name":"Memory used","unit":"MB","value":100,"range":"3","extra":"x"},{"name":"CPU","unit":"percent","value":0}]`
	// in the format of hyperfine --export-json; written by hand.
	fine = `{"results":[{"command":"sleep 0.01","mean":0.0113,"stddev":0.0001,"median":0.0113,"user":0.0005,"system":0.0004,"min":0.0112,"max":0.0115,"times":[0.0112,0.0113,0.0115],"exit_codes":[0,0,0]}]}`
)

func job(t *testing.T, setting string, files map[string]string) meter.Job {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return meter.Job{Side: measure.Head, Rounds: 1, Workspace: dir, Settings: map[string]string{samples.Setting: setting}}
}

// lines are values as people write them.
func lines(r meter.Reading) []string {
	var all []string
	for _, v := range r.Values {
		all = append(all, fmt.Sprintf("%s %s %v %s %s", v.Subject, v.Metric.Name, v.Value, v.Metric.Unit, v.Metric.Better))
	}
	return all
}

func TestEachFormat(t *testing.T) {
	t.Parallel()
	files := map[string]string{"own.json": own, "custom.json": smaller, "fine.json": fine, "before.json": strings.ReplaceAll(fine, "0.0112,", "0.0100,")}
	for setting, want := range map[string]map[measure.Side][]string{
		"own.json": {
			measure.Head: {"map frame-time 16.1 ms lower", "map frame-time 16.4 ms lower", "map frames 60 /s higher"},
			measure.Base: {"map frame-time 15.9 ms lower", "map frame-time 16 ms lower"},
		},
		"customSmallerIsBetter:custom.json": {measure.Head: {"Memory used value 100 MB lower", "CPU value 0 percent lower"}},
		"customBiggerIsBetter:custom.json":  {measure.Head: {"Memory used value 100 MB higher", "CPU value 0 percent higher"}},
		"fine.json, before.json": {
			measure.Head: {"sleep 0.01 time 0.0112 s lower", "sleep 0.01 time 0.0113 s lower", "sleep 0.01 time 0.0115 s lower"},
			measure.Base: {"sleep 0.01 time 0.01 s lower", "sleep 0.01 time 0.0113 s lower", "sleep 0.01 time 0.0115 s lower"},
		},
	} {
		for _, side := range []measure.Side{measure.Head, measure.Base, measure.Head} { // the second time as the first
			j := job(t, setting, files)
			j.Side = side
			if p := (samples.Samples{}).Problems(j); len(p) > 0 {
				t.Errorf("%s: %v", setting, p)
			}
			r, err := samples.Samples{}.Measure(t.Context(), j)
			if err != nil {
				t.Errorf("%s: %v", setting, err)
			}
			if diff := cmp.Diff(want[side], lines(r)); diff != "" {
				t.Errorf("%s of %s (-want +got):\n%s", setting, side, diff)
			}
		}
	}
}

// The base has a checkout of its own, or none; the files are where head's are.
func TestBaseWithoutAWorkspace(t *testing.T) {
	t.Parallel()
	j := job(t, "own.json", map[string]string{"own.json": own})
	j.Settings[samples.Dir], j.Workspace, j.Side = j.Workspace, t.TempDir(), measure.Base
	if r, err := (samples.Samples{}).Measure(t.Context(), j); err != nil || len(r.Values) != 2 {
		t.Errorf("%v, %v", lines(r), err)
	}
}

// The examples of the document are taken as they are.
func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/performance-samples.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```json\n")[1:]
	for i, want := range [][2]string{{"", "6"}, {"customSmallerIsBetter:", "2"}} {
		block, _, _ := strings.Cut(blocks[i], "```")
		r, err := samples.Samples{}.Measure(t.Context(), job(t, want[0]+"f.json", map[string]string{"f.json": block}))
		if err != nil || fmt.Sprint(len(r.Values)) != want[1] {
			t.Errorf("example %d: %v, %v", i+1, lines(r), err)
		}
	}
}

// Several files are several rounds.
func TestFilesOfSeveralRuns(t *testing.T) {
	t.Parallel()
	j := job(t, "customSmallerIsBetter:1.json\ncustomSmallerIsBetter:2.json\n", map[string]string{"1.json": smaller, "2.json": smaller})
	r, err := samples.Samples{}.Measure(t.Context(), j)
	if err != nil || len(r.Values) != 4 {
		t.Errorf("%v, %v", lines(r), err)
	}
	j = job(t, "customSmallerIsBetter:1.json\ncustomBiggerIsBetter:2.json\n", map[string]string{"1.json": smaller, "2.json": smaller})
	if _, err := (samples.Samples{}).Measure(t.Context(), j); err == nil || !strings.Contains(err.Error(), "another unit") {
		t.Errorf("one metric with two directions: %v", err)
	}
}

// What is missing is said, and is no value.
func TestGapsAndDoubts(t *testing.T) {
	t.Parallel()
	j := job(t, "own.json\nfine.json", map[string]string{
		"own.json": strings.Replace(own, "[60]", "[]", 1), "fine.json": strings.Replace(fine, "[0,0,0]", "[0,1,null]", 1),
	})
	r, err := samples.Samples{}.Measure(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	if want := []meter.Gap{{Subject: "map", Metric: "frames", Why: "own.json has no values of it"}}; !cmp.Equal(want, r.Gaps) {
		t.Errorf("gaps %v, want %v", r.Gaps, want)
	}
	if want := []string{`"sleep 0.01" failed in 2 of 3 runs`}; !cmp.Equal(want, r.Doubts) {
		t.Errorf("doubts %v, want %v", r.Doubts, want)
	}
	j.Side = measure.Base
	if r, err = (samples.Samples{}).Measure(t.Context(), j); err != nil || len(r.Notes) != 1 || len(r.Gaps) != 1 {
		t.Errorf("the base: %+v, %v", r, err)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	change := func(old, by string) string { return strings.Replace(own, old, by, 1) }
	many := `{"version":1,"samples":[` + strings.TrimSuffix(strings.Repeat(`{"name":"a","subject":"s","unit":"ms","better":"lower","head":[1]},`, 2001), ",") + `]}`
	for want, c := range map[string][2]string{
		"no samples":               {"f.json", `{"version":1,"samples":[]}`},
		"version 2, want 1":        {"f.json", change(`"version":1`, `"version":2`)},
		"unknown field":            {"f.json", change(`"unit":"ms"`, `"unit":"ms","p95":1`)},
		"key":                      {"f.json", change(`"unit":"ms"`, `"unit":"ms","Unit":"s"`)},
		"is there twice":           {"f.json", change(`"frames"`, `"frame-time"`)},
		"null instead of a number": {"f.json", change(`[16.1,`, `[null,`)},
		"cannot unmarshal":         {"f.json", change(`[16.1,`, `["16",`)},
		"want lower or higher":     {"f.json", change(`"better":"lower"`, `"better":"faster"`)},
		"its unit is empty":        {"f.json", change(`"unit":"ms"`, `"unit":""`)},
		"its subject is empty":     {"f.json", change(`"subject":"map"`, `"subject":"a\u0007"`)},
		"its floor is negative":    {"f.json", change(`"absolute":1`, `"absolute":-1`)},
		"at most 2000":             {"f.json", many},
		"no JSON object":           {"f.json", smaller},
		"has no value":             {"customSmallerIsBetter:f.json", `[{"name":"a","unit":"b"}]`},
		"1e999":                    {"customSmallerIsBetter:f.json", `[{"name":"a","unit":"b","value":1e999}]`},
		"has the format \"tap\"":   {"tap:f.json", own},
		"want [FORMAT:]HEAD":       {"f.json,", own},
		"is there twice ":          {"f.json\nf.json", own},
		"no such file":             {"g.json", own},
	} {
		_, err := samples.Samples{}.Measure(t.Context(), job(t, c[0], map[string]string{"f.json": c[1]}))
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%s: error = %v", want, err)
		}
	}
	if p := (samples.Samples{}).Problems(job(t, "g.json", nil)); len(p) != 1 {
		t.Errorf("a file that is not there: %v", p)
	}
	if ok, _ := (samples.Samples{}).Applies(job(t, " \n", nil)); ok {
		t.Error("it applies without files")
	}
}

// Half a file is an error, wherever it ends.
func TestCut(t *testing.T) {
	t.Parallel()
	for setting, text := range map[string]string{"f.json": own, "hyperfine:f.json": fine, "customSmallerIsBetter:f.json": smaller} {
		for n := range len(text) {
			if _, err := (samples.Samples{}).Measure(t.Context(), job(t, setting, map[string]string{"f.json": text[:n]})); err == nil {
				t.Fatalf("%s: %d of %d bytes are taken", setting, n, len(text))
			}
		}
	}
}

func FuzzMeasure(f *testing.F) {
	for _, text := range []string{own, smaller, fine} {
		f.Add([]byte(text), "")
		f.Add([]byte(text), "customSmallerIsBetter:")
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, prefix string) {
		name := filepath.Join(dir, fmt.Sprintf("%d.json", os.Getpid()))
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, side := range []measure.Side{measure.Head, measure.Base} {
			r, err := samples.Samples{}.Measure(t.Context(), meter.Job{Side: side, Settings: map[string]string{samples.Setting: prefix + name}})
			if err != nil && len(r.Values) > 0 {
				t.Error("values beside an error")
			}
			for _, v := range r.Values {
				if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) || v.Subject == "" || v.Metric.Name == "" {
					t.Errorf("the value %+v of %q", v, bytes.TrimSpace(text))
				}
			}
		}
	})
}
