package view

import (
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

func TestCommandNamesWhatThePersonTyped(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mage, name, want string
	}{
		{"", "abort", "deploy --command abort --namespace shop --deployment-name web"},
		{"", Attach, "deploy --attach --namespace shop --deployment-name web"},
		{"1", "abort", "go tool mage deploy:abort -namespace=shop -deploymentName=web"},
		{"1", Attach, "go tool mage deploy:attach -namespace=shop -deploymentName=web"},
	} {
		getenv := func(name string) string { return map[string]string{"CANDLEFISH_MAGE": test.mage}[name] }
		if got := Command(getenv, test.name, "shop", "web"); got != test.want {
			t.Errorf("CANDLEFISH_MAGE=%s: Command(%s) = %q, want %q", test.mage, test.name, got, test.want)
		}
	}
}

func TestEndingNamesWhatHappens(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		plan rollout.Plan
		want string
	}{
		{rollout.Plan{Bake: 2 * time.Minute, Drain: 10 * time.Second},
			"judge on for 2m0s while the old version is warm, then remove it, 10s after its last request at the earliest"},
		{rollout.Plan{Bake: 2 * time.Minute}, "judge on for 2m0s while the old version is warm, then remove it"},
		{rollout.Plan{Bake: 2 * time.Minute, KeepWarm: time.Hour},
			"judge on for 2m0s while the old version is warm, keep it warm until 1h0m0s after the promotion; the next run or the command reap removes it"},
		{rollout.Plan{Drain: 10 * time.Second},
			"do not judge on (bake-time is 0s), then remove the old version, 10s after its last request at the earliest"},
		{rollout.Plan{KeepWarm: time.Hour},
			"do not judge on (bake-time is 0s), keep the old version warm until 1h0m0s after the promotion; the next run or the command reap removes it"},
	} {
		if got := ending(test.plan); got != test.want {
			t.Errorf("ending(%+v)\n got %s\nwant %s", test.plan, got, test.want)
		}
	}
}
