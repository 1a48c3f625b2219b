package power

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
)

func TestPower(t *testing.T) {
	t.Parallel()
	c := config.Default()
	p, ok := Of(c, c.Metrics[0], Traffic{Rate: 3}, 4, 5, 5*time.Minute)
	if !ok || p.Enough || p.Canary != 45 || p.Suggest < 600 {
		t.Errorf("3 requests/s at 5 %%: %+v, want too few and a longer dwell", p)
	}
	if !strings.Contains(p.Sentence, "too few for 100 requests and twice the error limit (10 %): hold the step for") {
		t.Errorf("sentence %q", p.Sentence)
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
