package release

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

func full() *Record {
	before := "blue"
	return &Record{
		Schema: Schema, Token: 7, Run: Run{ID: "12.1", URL: "https://ci.example/12", Started: time.Unix(1000, 0).UTC()},
		Namespace: "shop", Deployment: "web", Container: "app", Service: "web", VersionLabel: "version", VersionBefore: &before,
		Image: "registry.example/web:2", Replicas: 3,
		Stable:    Revision{ReplicaSet: "web-1", UID: "u1", Hash: "1", Image: "registry.example/web:1", Digests: []string{"sha256:aa"}, Pods: []Pod{{"web-1-x", "p1", 2}}},
		Canary:    Revision{ReplicaSet: "web-canary-2", UID: "u2", Hash: "2"},
		Services:  []Service{{Name: "web", Selector: map[string]string{"app": "web"}}},
		Router:    "gateway-api",
		Routes:    []Route{{Name: "web", Rules: json.RawMessage(`[{"index":0,"backendRefs":[{"name":"web","weight":5000000000}]}]`)}},
		WarmUntil: time.Unix(2000, 0).UTC(),
		Markers:   &Markers{Marker: "header:X-Version", Stable: []string{"v1"}, Status: 200},
		Baselines: Baselines{0: {config.ProbeMetric: nil}},
		Preflight: "secret",
		Plan:      rollout.Plan{Steps: []rollout.Step{{Weight: 100, Dwell: time.Minute}}, Rollback: true},
		State:     rollout.State{Phase: rollout.PhasePromoted, Stage: rollout.StageEnd, Weight: 100},
	}
}

func TestARecordComesBackAsItWas(t *testing.T) {
	t.Parallel()
	data, err := Encode(full())
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	// The route's content is the router's: its meaning stays, not its spaces.
	rules := cmp.Transformer("rules", func(m json.RawMessage) any {
		var v any
		d := json.NewDecoder(strings.NewReader(string(m)))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Error(err)
		}
		return v
	})
	if diff := cmp.Diff(full(), back, rules); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if data["phase"] != "Promoted" || data["weight"] != "100" || data["run"] != "12.1 (https://ci.example/12)" {
		t.Errorf("people read %q", data)
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, says string }{
		"nothing":         {"", "decode record.json"},
		"half":            {`{"schema":1`, "decode record.json"},
		"a newer version": {`{"schema":2}`, "schema 2, this version reads 1"},
	} {
		if _, err := Decode(map[string]string{dataKey: c.text}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error that says %q", name, err, c.says)
		}
	}
}

func FuzzDecode(f *testing.F) {
	data, err := Encode(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[dataKey])
	f.Add(`{"schema":1,"routes":[{"rules":null}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Decode(map[string]string{dataKey: text})
		if err != nil {
			return
		}
		if _, err := Encode(r); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}

func TestWhatTheNextRunHasToDo(t *testing.T) {
	t.Parallel()
	at := func(change func(*Record)) *Record { r := full(); change(r); return r }
	for name, c := range map[string]struct {
		record           *Record
		unfinished, warm bool
	}{
		"no record":          {nil, false, false},
		"promoted and warm":  {full(), false, true},
		"promoted, all done": {at(func(r *Record) { r.WarmUntil = time.Time{} }), false, false},
		"in progress":        {at(func(r *Record) { r.State.Phase = rollout.PhaseProgressing }), true, false},
		"aborted":            {at(func(r *Record) { r.State.Phase = rollout.PhaseAborted }), false, false},
		"aborted in a hurry": {at(func(r *Record) { r.State.Phase, r.State.Leftover = rollout.PhaseAborted, rollout.LeftoverCanary }), true, false},
	} {
		if c.record.Unfinished() != c.unfinished || c.record.Warm() != c.warm {
			t.Errorf("%s: unfinished %t, warm %t, want %t, %t", name, c.record.Unfinished(), c.record.Warm(), c.unfinished, c.warm)
		}
	}
}
