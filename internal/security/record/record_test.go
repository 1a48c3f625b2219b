package record

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// fill sets every field to a value of its own, so that one that the file loses is seen.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Type() {
	case reflect.TypeFor[time.Duration]():
		v.SetInt(int64(time.Duration(*n) * time.Millisecond))
		return
	case reflect.TypeFor[finding.Severity]():
		v.SetInt(int64(*n % 5))
		return
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(int64(1_790_000_000+*n), 0).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d <b>\u202e", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 8)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	default:
		panic(v.Type())
	}
}

func full() verdict.Result {
	var r verdict.Result
	n := 0
	fill(reflect.ValueOf(&r).Elem(), &n)
	r.Verdict = verdict.Refused
	return r
}

func TestEveryFieldComesBack(t *testing.T) {
	t.Parallel()
	r := full()
	raw, err := Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unmarshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	noHash := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Hash" }, cmp.Ignore())
	if diff := cmp.Diff(r, got, noHash); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	if again, err := Marshal(got); err != nil || string(again) != string(raw) {
		t.Errorf("written again it differs: %v", err)
	}
	for _, has := range []string{`"schema_version": 1`, `"took_seconds"`, `"files_expected"`, `"verdict": "refused"`, `"only_new"`, `"epss"`, `"line_hash"`, `"ids"`} {
		if !strings.Contains(string(raw), has) {
			t.Errorf("no %s", has)
		}
	}
	if hash := r.Findings[0].Sightings[0].Secret.Hash; strings.Contains(string(raw), `"hash"`) || hash == "" {
		t.Error("the hash of a secret is in the file")
	}
}

func TestEmptyResult(t *testing.T) {
	t.Parallel()
	for _, r := range []verdict.Result{
		{Verdict: verdict.Inconclusive},
		{Verdict: verdict.Inconclusive, Needs: []verdict.Answered{{}, {Met: true}}, Tools: []verdict.Tool{{}}, Findings: []finding.Finding{{}}},
	} {
		raw, err := Marshal(r)
		if err != nil || !json.Valid(raw) {
			t.Fatalf("%v\n%s", err, raw)
		}
		got, err := Unmarshal(raw)
		if diff := cmp.Diff(r, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
}

func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	raw, err := Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ text, want string }{
		"empty":            {"", "unexpected end"},
		"truncated":        {string(raw[:len(raw)/2]), "unexpected end"},
		"another schema":   {`{"schema_version": 2, "verdict": "pass"}`, "schema_version is 2"},
		"no schema":        {`{"verdict": "pass"}`, "schema_version is 0"},
		"no verdict":       {`{"schema_version": 1}`, `"" is no verdict`},
		"another verdict":  {`{"schema_version": 1, "verdict": "green"}`, `"green" is no verdict`},
		"another type":     {`{"schema_version": 1, "verdict": "pass", "score": "100"}`, "score"},
		"unknown severity": {`{"schema_version": 1, "verdict": "pass", "findings": [{"severity": "awful"}]}`, "findings: 0: severity"},
	} {
		if r, err := Unmarshal([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) || r.Verdict != "" {
			t.Errorf("%s: %+v, %v", name, r.Verdict, err)
		}
	}
	more := strings.Replace(string(raw), `"verdict"`, `"later": {"a": [1]}, "verdict"`, 1)
	if _, err := Unmarshal([]byte(more)); err != nil {
		t.Errorf("a new field: %v", err)
	}
}

func BenchmarkMarshal(b *testing.B) {
	r := full()
	one := r.Findings[0]
	r.Findings = make([]finding.Finding, 30000)
	for i := range r.Findings {
		r.Findings[i] = one
	}
	for b.Loop() {
		raw, err := Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(raw))/1e6, "MB")
	}
}
