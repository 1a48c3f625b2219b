package jsonrecord

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	Name   string
	Secret string `record:"-"`
}

type outer struct {
	inner
	IDs    []string
	Took   time.Duration
	Floors map[string]float64
	By     map[string]inner
	Last   *inner
	None   *inner
	Low    float64
	High   float64
	At     time.Time `record:"began"`
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	v := outer{
		IDs: []string{"a", "b"}, Took: 1500 * time.Millisecond, Floors: map[string]float64{"x <b>": 0.5, "": 2}, By: map[string]inner{"k": {Name: "n"}},
		Last: &inner{Name: "last"}, Low: math.Inf(-1), High: math.Inf(1), At: time.Unix(1_790_000_000, 0).UTC(),
	}
	raw, err := Marshal([]Entry{{"schema_version", 1}, {"results", map[string]any{}}}, v)
	if err != nil || !json.Valid(raw) {
		t.Fatalf("%v\n%s", err, raw)
	}
	for _, has := range []string{`"took_seconds": 1.5`, `"low": "-inf"`, `"high": "inf"`, `"ids"`, `"schema_version": 1`, `"began": `} {
		if !strings.Contains(string(raw), has) {
			t.Errorf("no %s in\n%s", has, raw)
		}
	}
	var got outer
	if err := Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, got, cmp.AllowUnexported(outer{})); diff != "" {
		t.Error(diff)
	}
	again, err := Marshal([]Entry{{"schema_version", 1}, {"results", map[string]any{}}}, got)
	if err != nil || string(again) != string(raw) {
		t.Errorf("written again it differs: %v", err)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	if raw, err := Marshal(nil, outer{Low: math.NaN()}); err == nil {
		t.Errorf("no number is written: %s", raw)
	}
	if raw, err := Marshal(nil, struct{ C chan int }{make(chan int)}); err == nil {
		t.Errorf("a channel is written: %s", raw)
	}
	for _, text := range []string{``, `[]`, `{"low": "wide"}`, `{"floors": {"a": "b"}}`, `{"ids": "a"}`, `{"took_seconds": true}`} {
		if err := Unmarshal([]byte(text), new(outer)); err == nil {
			t.Errorf("%s is read", text)
		}
	}
}
