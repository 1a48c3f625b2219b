package power

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
)

// A warning names what the step misses, and the inputs that change it.
func TestSentence(t *testing.T) {
	t.Parallel()
	users := config.Metric{Name: "users", MinSamples: 20, Errors: config.Default().Metrics[0].Errors}
	for want, of := range map[string]struct {
		metric config.Metric
		rate   float64
		weight int
		dwell  time.Duration
	}{
		"; too few to pass the step (it takes 100) and to detect an error rate of 10 % (the limit is 5 %): raise step-duration to 11m7s, or probe-rate, or the weight": {config.Default().Metrics[0], 3, 5, 5 * time.Minute},
		"; too few to detect an error rate of 10 % (the limit is 5 %): raise step-duration to 1m3s, or the weight":                                                     {users, 20, 5, 30 * time.Second},
		"; too few to pass the step (it takes 20) and to detect an error rate of 10 % (the limit is 5 %): raise step-duration to 13m52s":                               {users, 1, 100, 10 * time.Second},
	} {
		e, _ := Of(config.Default(), of.metric, Traffic{Rate: of.rate}, 4, of.weight, of.dwell)
		if !strings.HasSuffix(e.Sentence, want) {
			t.Errorf("%s at %d %%: %q, want at its end %q", of.metric.Name, of.weight, e.Sentence, want)
		}
	}
}

func TestPower(t *testing.T) {
	t.Parallel()
	c := config.Default()
	p, ok := Of(c, c.Metrics[0], Traffic{Rate: 3}, 4, 5, 5*time.Minute)
	if !ok || p.Enough || p.Canary != 45 || p.Suggest < 600 {
		t.Errorf("3 requests/s at 5 %%: %+v, want too few and a longer dwell", p)
	}
	p, _ = Of(c, c.Metrics[0], Traffic{Rate: 1000, Errors: .001}, 4, 25, 5*time.Minute)
	if !p.Enough || p.Seen > .01 || p.Ratio > 1.6 {
		t.Errorf("1000 requests/s at 25 %%: %+v, want small changes seen", p)
	}
	if _, ok := Of(c, config.Metric{Limit: &config.GaugeLimit{}}, Traffic{Rate: 10}, 1, 5, time.Minute); ok {
		t.Error("a gauge has no power")
	}
	if p, _ = Of(c, c.Metrics[0], Traffic{}, 1, 5, time.Minute); p.Enough || !strings.Contains(p.Sentence, "nothing can be seen") {
		t.Errorf("no traffic: %+v", p)
	}
	if _, err := json.Marshal(p); err != nil {
		t.Error(err)
	}
}

// Requests to one version alone show more at a small weight, and each metric more
// shows less, since all share the error probability.
func TestWhatChangesPower(t *testing.T) {
	t.Parallel()
	of := func(c config.Config, pinned float64) Estimate {
		e, _ := Of(c, c.Metrics[0], Traffic{Rate: 100, Pinned: pinned}, 4, 1, 5*time.Minute)
		return e
	}
	one := of(config.Default(), 0)
	pinned := of(config.Default(), .2)
	if pinned.Canary < 20*one.Canary || pinned.Seen > one.Seen/3 || pinned.Slow > .01 {
		t.Errorf("with a fifth of the requests: %+v, want much more than %+v", pinned, one)
	}
	if !strings.Contains(pinned.Sentence, "far slower answers if they are") {
		t.Errorf("it does not say what slow answers it sees: %q", pinned.Sentence)
	}
	ten := config.Config{Version: 1}
	for _, name := range strings.Fields("a b c d e f g h i") {
		ten.Metrics = append(ten.Metrics, config.Metric{Name: name, Errors: &config.ErrorLimits{}, Latency: &config.LatencyLimits{}})
	}
	if more := of(ten.WithDefaults(config.Metric{}), .2); more.Seen <= pinned.Seen || more.Slow <= pinned.Slow {
		t.Errorf("one of ten metrics sees %+v, one alone %+v", more, pinned)
	}
}
