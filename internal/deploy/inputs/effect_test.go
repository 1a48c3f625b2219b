package inputs

import (
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// An input without an effect is refused where somebody gave it to this release. The
// variables of the scripts may be set for releases of every strategy, and the one that
// asks for an approval is warned about.
func TestInputsWithoutEffect(t *testing.T) {
	t.Parallel()
	action := func(name, value string) map[string]string { return map[string]string{"INPUT_" + name: value} }
	for name, c := range map[string]struct {
		args    string
		env     map[string]string
		marker  rollout.Strategy
		refused string // "" for none
		warning string
	}{
		"an approval in a canary":        {args: "--manual-promotion", refused: `auto-promote (flag --manual-promotion): "false": has an effect only with strategy blue-green, and this release is canary; allowed: strategy blue-green, or a pause in steps such as 25:pause,100`},
		"an approval as an input":        {env: action("AUTO-PROMOTE", "false"), refused: "auto-promote (input auto-promote)"},
		"an approval in a rolling one":   {args: "--strategy=rolling --manual-promotion", refused: "this release is rolling"},
		"an approval in the environment": {env: map[string]string{"AUTO_PROMOTE": "false"}, warning: "AUTO_PROMOTE=false has no effect with strategy canary: nothing waits for an approval; for one, use strategy blue-green, or a pause in steps such as 25:pause,100"},
		"an approval in blue-green":      {args: "--strategy=blue-green --manual-promotion"},
		"a marker for blue-green":        {args: "--manual-promotion", marker: rollout.StrategyBlueGreen},
		"a marker for rolling":           {env: map[string]string{"AUTO_PROMOTE": "false"}, marker: rollout.StrategyRolling, warning: "no effect with strategy rolling"},
		"the script's environment":       {env: map[string]string{"WARM_UP_TIME": "30", "VALIDATION_TESTS": "false", "AUTO_PROMOTE": "true", "KEEP_BLUE_TIME": "60", "SMOKE_TEST_TIMEOUT": "90"}},
		"warm-up-time":                   {args: "--warm-up-time=5s", refused: "warm-up-time"},
		"keep-blue-time":                 {env: action("KEEP-BLUE-TIME", "1h"), refused: "keep-blue-time"},
		"smoke-file":                     {args: "--smoke-file=smoke.yaml", refused: "smoke-file"},
		"smoke-paths":                    {args: "--smoke-paths=/health", refused: "smoke-paths"},
		"validation-tests":               {args: "--no-validation", refused: "validation-tests"},
		"the default, typed":             {args: "--warm-up-time=2m --auto-promote"},
		"keep-warm in a rolling one":     {args: "--strategy=rolling --keep-warm=1h", refused: "keep-warm (flag --keep-warm): \"1h\": has an effect only with strategy canary or blue-green"},
		"router in a rolling one":        {args: "--strategy=rolling --router=nginx", refused: "router"},
		"router in a canary":             {args: "--router=nginx --keep-warm=1h"},
		"a pause in blue-green":          {args: "--strategy=blue-green --steps=25:pause,100", refused: `steps (flag --steps): "25:pause,100": has no effect with strategy blue-green, and nothing would wait in its pauses; allowed: auto-promote: false for an approval before the switch`},
		"steps without a pause":          {args: "--strategy=blue-green --steps=25,100"},
		"a pause in a canary":            {args: "--steps=25:pause,100"},
		"another command":                {args: "--command=rollback --manual-promotion"},
		"several, each for itself":       {args: "--clusters=a --manual-promotion=false --warm-up-time=5s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := Spec().Parse(append(strings.Fields(c.args), "--image=web:2"), func(name string) string { return c.env[name] })
			if err != nil {
				t.Fatal(err)
			}
			cfg := ConfigOf(v)
			if c.marker != "" {
				cfg.Strategy = c.marker
			}
			problems, warning := cfg.Effective(v)
			if got := problems.Error(); c.refused == "" && got != "" || !strings.Contains(got, c.refused) {
				t.Errorf("refused %q, want %q", got, c.refused)
			}
			if c.warning == "" && warning != "" || !strings.Contains(warning, c.warning) {
				t.Errorf("warning %q, want %q", warning, c.warning)
			}
		})
	}
}

// What a recorded release was given is not given to the run that takes it over.
func TestRecordedInputsAreNotRefused(t *testing.T) {
	t.Parallel()
	v, err := Spec().Parse([]string{"--image=web:2"}, none)
	if err == nil {
		v, err = v.With(map[string]string{"auto-promote": "false", "strategy": "canary", "github-deployment": "true"})
	}
	if err != nil {
		t.Fatal(err)
	}
	if problems, _ := ConfigOf(v).Effective(v); problems.Err() != nil || Together(v).Err() != nil {
		t.Errorf("refused: %v, %v", problems, Together(v))
	}
}

// Other inputs have an effect only beside another one.
func TestInputsThatNeedAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args, want string
		env        map[string]string
	}{
		"wait":                      {"--no-wait", "wait (flag --no-wait): \"false\": has an effect only with run-in cluster", nil},
		"wait in the cluster":       {"--no-wait --run-in=cluster --run-image=x:1", "", nil},
		"a token alone":             {"--gitops-token=x", "gitops-token (flag --gitops-token): has an effect only with gitops-repo", nil},
		"a token for all workflows": {"", "", map[string]string{"GITOPS_TOKEN": "x"}},
		"a token for a promotion":   {"--command=promote --gitops-token=x", "", nil},
		"a deployment, no token":    {"--github-deployment=true", "github-token: is required with github-deployment true", nil},
		"a deployment, a token":     {"--github-deployment=true", "", map[string]string{"GITHUB_TOKEN": "x"}},
		"a plan of one":             {"--github-deployment=true --dry-run", "", nil},
		"two clusters":              {"--eks-cluster=a --kubeconfig=b --kube-context=c", "with eks-cluster no kubeconfig is read", nil},
		"two clusters, a context":   {"--eks-cluster=a --kube-context=c", "kube-context (flag --kube-context)", nil},
		"a kubeconfig for all":      {"--eks-cluster=a", "", map[string]string{"KUBECONFIG": "b"}},
	} {
		_, err := Spec().Parse(append(strings.Fields(c.args), "--image=web:2"), func(name string) string { return c.env[name] })
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}
