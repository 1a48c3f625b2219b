package release

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

func full() *Record {
	before := "blue"
	return &Record{
		Schema: Schema, Token: 7, Run: Run{ID: "12.1", URL: "https://ci.example/12", Started: time.Unix(1000, 0).UTC()},
		Namespace: "shop", Deployment: "web", Container: "app", Service: "web", VersionLabel: "version", VersionBefore: &before,
		Image: "registry.example/web:2", Replicas: 3,
		Containers: []Container{{Name: "app", Image: "registry.example/web:2", Previous: "registry.example/web:1"}, {Name: "migrate", Init: true, Image: "registry.example/db:1"}},
		Template:   json.RawMessage(`{"spec":{"containers":[{"name":"app"}]}}`),
		Stable:     Revision{ReplicaSet: "web-1", UID: "u1", Hash: "1", Image: "registry.example/web:1", Digests: []string{"sha256:aa"}, Pods: []Pod{{"web-1-x", "p1", 2}}},
		Canary:     Revision{ReplicaSet: "web-canary-2", UID: "u2", Hash: "2"},
		Services:   []Service{{Name: "web", Selector: map[string]string{"app": "web"}}},
		Router:     "gateway-api",
		Routes:     []Route{{Name: "web", Rules: json.RawMessage(`[{"index":0,"backendRefs":[{"name":"web","weight":5000000000}]}]`)}},
		WarmUntil:  time.Unix(2000, 0).UTC(),
		Colours:    Colours{Previous: Blue, New: Green}, Smoke: json.RawMessage(`{"tests":[{"path":"/health"}]}`),
		Markers:   &Markers{Marker: "header:X-Version", Stable: []string{"v1"}, Status: 200},
		Rises:     analysis.Rises{config.ProbeMetric: {{From: 50, To: 100, Log: .01}}},
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
	left := func(phase rollout.Phase, leftover rollout.Leftover) *Record {
		return at(func(r *Record) { r.State.Phase, r.State.Leftover = phase, leftover })
	}
	for name, c := range map[string]struct {
		record           *Record
		unfinished, warm bool
	}{
		"no record":          {nil, false, false},
		"promoted and warm":  {full(), false, true},
		"promoted, all done": {at(func(r *Record) { r.WarmUntil = time.Time{} }), false, false},
		"in progress":        {at(func(r *Record) { r.State.Phase = rollout.PhaseProgressing }), true, false},
		"aborted":            {at(func(r *Record) { r.State.Phase = rollout.PhaseAborted }), false, false},
		"aborted in a hurry": {left(rollout.PhaseAborted, rollout.LeftoverCanary), true, false},
		"promoted, warm":     {left(rollout.PhasePromoted, rollout.LeftoverPrevious), false, true},
		"hand-over cut off":  {left(rollout.PhasePromoted, rollout.LeftoverPromotion), true, false},
		"promoting":          {left(rollout.PhasePromoting, ""), true, false},
		"baking":             {left(rollout.PhaseBaking, ""), true, false},
		"reverting":          {left(rollout.PhaseReverting, ""), true, false},
		"cleaning":           {left(rollout.PhaseCleaning, ""), true, false},
		"paused in the rise": {left(rollout.PhasePaused, rollout.LeftoverCanary), true, false},
		"paused in the bake": {left(rollout.PhasePaused, rollout.LeftoverPrevious), true, false},
		"revert cut off":     {left(rollout.PhaseAborted, rollout.LeftoverPrevious), true, false},
		"failed revert":      {left(rollout.PhaseFailed, rollout.LeftoverPromotion), true, false},
	} {
		if c.record.Unfinished() != c.unfinished || c.record.Warm() != c.warm {
			t.Errorf("%s: unfinished %t, warm %t, want %t, %t", name, c.record.Unfinished(), c.record.Warm(), c.unfinished, c.warm)
		}
	}
}

func TestSwapTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	for name, markers := range map[string]*Markers{"with markers": {Marker: "header:X-Version", Stable: []string{"v1"}, Canary: []string{"v2"}, Status: 200}, "without": nil} {
		r, before := full(), full()
		r.Markers, before.Markers = markers, markers
		if markers != nil {
			c := *markers
			r.Markers = &c
		}
		r.Swap()
		if r.Stable.Hash != "2" || r.Canary.Hash != "1" || !r.Reverted || markers != nil && (r.Markers.Stable[0] != "v2" || r.Markers.Canary[0] != "v1") {
			t.Errorf("%s: swapped %+v", name, r)
		}
		r.Swap()
		if diff := cmp.Diff(before, r); diff != "" {
			t.Errorf("%s: swapped twice (-want +got)\n%s", name, diff)
		}
	}
}

func TestPastIsBounded(t *testing.T) {
	t.Parallel()
	if past := (*Record)(nil).Past(); past != nil {
		t.Errorf("no record has the past %v", past)
	}
	var past []Past
	for n := range historyLimit + 5 {
		r := full()
		r.Image, r.History = fmt.Sprint(n), past
		r.State.Reason = "reason"
		past = r.Past()
		if want := min(n+1, historyLimit); len(past) != want || past[0].Image != r.Image || past[0].Phase != rollout.PhasePromoted || past[0].Reason != "reason" {
			t.Fatalf("after release %d: %d releases, the newest %+v", n, len(past), past[0])
		}
	}
	if oldest := past[len(past)-1].Image; oldest != "5" {
		t.Errorf("the oldest is %s, want 5", oldest)
	}
}

func TestWhatARecordChanges(t *testing.T) {
	t.Parallel()
	same := Container{Name: "app", Image: "web:1", Previous: "web:1"}
	for name, c := range map[string]struct {
		record Record
		images string
		pods   bool
	}{
		"an older record":           {Record{Container: "app", Image: "web:2", Stable: Revision{Image: "web:1"}}, "map[app:web:2]", true},
		"an older one, same image":  {Record{Container: "app", Image: "web:1", Stable: Revision{Image: "web:1"}}, "map[app:web:1]", false},
		"nothing":                   {Record{Container: "app", Image: "web:1", Containers: []Container{same}}, "map[app:web:1]", false},
		"an init container's image": {Record{Container: "app", Image: "web:1", Containers: []Container{same, {Name: "db", Init: true, Image: "db:2", Previous: "db:1"}}}, "map[app:web:1 db:db:2]", true},
		"a setting":                 {Record{Container: "app", Image: "web:1", Containers: []Container{same}, Template: json.RawMessage(`{}`)}, "map[app:web:1]", true},
	} {
		if got := fmt.Sprint(c.record.Images()); got != c.images || c.record.ChangesPods() != c.pods {
			t.Errorf("%s: images %s, changes pods %t; want %s, %t", name, got, c.record.ChangesPods(), c.images, c.pods)
		}
	}
}
