package recording

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestReplaySaysTheSame(t *testing.T) {
	t.Parallel()
	for name, errors := range map[string]float64{"healthy": .001, "broken": .3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var file bytes.Buffer
			rec := New(&file, Start{Target: "shop/web", Image: "web:2", Steps: 4, Config: config.Default()})
			var want analysis.Result
			now := epoch.Add(time.Second)
			rec.Begin(analysis.Begin{Weight: 25, At: now})
			rec.Confirmed(now)
			for want.Verdict == "" || want.Verdict == rollout.VerdictPending {
				now = now.Add(time.Second)
				v := analysis.Number(.02)
				rec.Add(config.ProbeMetric, analysis.Point{At: now, Side: rollout.SideCanary, Total: 25, Failed: math.Round(25 * errors), Latency: []analysis.Bucket{{Over: v, Upto: v, N: 20}}},
					analysis.Point{At: now, Side: rollout.SideStable, Total: 75, Latency: []analysis.Bucket{{Over: v, Upto: v, N: 75}}})
				want = rec.Look(analysis.Moment{Now: now, Elapsed: now.Sub(epoch) - time.Second, Dwell: time.Minute})
			}
			if rec.Err() != nil {
				t.Fatal(rec.Err())
			}
			text := file.String()
			start, steps, err := Replay(strings.NewReader(text), nil)
			if err != nil {
				t.Fatal(err)
			}
			if start.Target != "shop/web" || len(steps) != 1 {
				t.Fatalf("%+v, %d steps", start, len(steps))
			}
			if diff := cmp.Diff(want, steps[0].Now); diff != "" {
				t.Errorf("replay differs (-recorded +replayed):\n%s", diff)
			}
			if steps[0].Recorded.Verdict != want.Verdict {
				t.Errorf("recorded %s, want %s", steps[0].Recorded.Verdict, want.Verdict)
			}
			// Other settings come to another end.
			_, steps, err = Replay(strings.NewReader(text), func(c config.Config) (config.Config, error) {
				c.Metrics[0].Errors = &config.ErrorLimits{Rate: new(60.0), Success: new(40.0), Ratio: 1000}
				return c, nil
			})
			if err != nil || steps[0].Now.Verdict == rollout.VerdictFailed {
				t.Errorf("with a limit of 60 %%: %v, %s: %s", err, steps[0].Now.Verdict, steps[0].Now.Reason)
			}
		})
	}
}

func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                               "it is empty",
		"nonsense":                       "line 1",
		`{"look":{"verdict":"Pending"}}`: "does not begin with the start",
		`{"start":{"version":99}}`:       "version 99, want 1",
		`{"start":{"version":1,"config":{"version":1,"alpha":7}}}`: "alpha is 7",
	} {
		if _, _, err := Replay(strings.NewReader(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Replay(%q) = %v, want %q", text, err, want)
		}
	}
}

func FuzzReplay(f *testing.F) {
	f.Add(`{"start":{"version":1,"steps":1,"config":{"version":1}}}` + "\n" + `{"begin":{"weight":5,"at":"2026-01-02T03:04:05Z"}}` + "\n" +
		`{"points":{"metric":"probe","points":[{"at":"2026-01-02T03:04:06Z","version":"canary","total":5,"latency":[{"over":0.1,"upto":"+Inf","n":3}]}]}}` + "\n" +
		`{"look":{"now":"2026-01-02T03:04:07Z","elapsed":1000000000,"dwell":1,"verdict":"Pending","reason":""}}`)
	f.Add(`{"start":{"version":1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		_, steps, err := Replay(strings.NewReader(text), nil)
		if err != nil {
			return
		}
		for _, s := range steps {
			if s.Now.Verdict == rollout.VerdictSuccessful && s.Now.Score == nil {
				t.Errorf("a success without a score: %+v", s)
			}
		}
	})
}
