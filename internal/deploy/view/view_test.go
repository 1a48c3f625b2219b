package view

import (
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

func TestCommandNamesWhatThePersonTyped(t *testing.T) {
	t.Parallel()
	const abort, attach = " --command abort --namespace shop --deployment-name web", " --attach --namespace shop --deployment-name web"
	for _, test := range []struct {
		env, program, name, want string
	}{
		{"", "", "abort", "deploy" + abort},
		{"", "deploy", Attach, "deploy" + attach},
		{"", "./bin/deploy", "abort", "./bin/deploy" + abort},
		{"", "go run example/actions/deploy", Attach, "go run example/actions/deploy" + attach},
		{"GITHUB_ACTIONS=true", "/deploy", "abort", "deploy" + abort},
		{"CANDLEFISH_DETACHED_RUN={}", "/deploy", "abort", "deploy" + abort},
		{"CANDLEFISH_MAGE=1", "/tmp/localdeploy", "abort", "go tool mage deploy:abort -namespace=shop -deploymentName=web"},
		{"CANDLEFISH_MAGE=1", "/tmp/localdeploy", Attach, "go tool mage deploy:attach -namespace=shop -deploymentName=web"},
	} {
		variable, value, _ := strings.Cut(test.env, "=")
		getenv := func(name string) string { return map[string]string{variable: value}[name] }
		if got := Command(getenv, test.program, test.name, "shop", "web"); got != test.want {
			t.Errorf("%s, started as %q: Command(%s) = %q, want %q", test.env, test.program, test.name, got, test.want)
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
