package check

import (
	"fmt"
	"net/url"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Config is a check of the analysis file. Exactly one of Command, Job and Webhook is
// set.
type Config struct {
	Name      string          `json:"name" jsonschema:"pattern=^[A-Za-z0-9._-]{1\\,63}$" help:"Name of the check in reports, unique among metrics and checks."`
	Command   []string        `json:"command,omitempty" jsonschema:"minItems=1" help:"Program and its arguments. Exit status 0 passes, 75 cannot tell, any other fails."`
	Job       string          `json:"job,omitempty" help:"Path of the manifest of a Kubernetes Job."`
	Webhook   string          `json:"webhook,omitempty" help:"URL of a server that is asked by a signed POST."`
	SecretEnv string          `json:"secret-env,omitempty" help:"Environment variable with the secret that signs the webhook."`
	Timeout   config.Duration `json:"timeout,omitempty" help:"Timeout of the check, at most 1h. Default: 60s."`
	At        []int           `json:"at,omitempty" jsonschema:"minimum=1,maximum=100" help:"Weights at which the check runs. Default: every step."`
	OnError   rollout.Policy  `json:"on-error,omitempty" jsonschema:"enum=fail,enum=hold,enum=extend,enum=ignore" help:"What follows when the check cannot tell or does not end: fail, hold, extend or ignore. Default: extend."`
}

// Check is c, with its defaults, as the judge knows it.
func (c Config) Check() config.CustomCheck {
	if c.Timeout == 0 {
		c.Timeout = config.Duration(time.Minute)
	}
	if c.OnError == "" {
		c.OnError = rollout.PolicyExtend
	}
	return config.CustomCheck{Name: c.Name, At: c.At, Program: c}
}

// Validate implements config.Program. The name is the analysis file's to validate.
func (c Config) Validate(p config.Problems) {
	set := 0
	for _, is := range []bool{len(c.Command) > 0, c.Job != "", c.Webhook != ""} {
		if is {
			set++
		}
	}
	p.Want(set == 1, "", fmt.Sprintf("a check with %d ways to run", set), "one of command, job and webhook")
	p.Want(c.Webhook == "" || c.SecretEnv != "", "secret-env", `""`, "the variable with the secret that signs the webhook")
	p.Want(c.Webhook == "" || isServer(c.Webhook), "webhook", "no address of a server", "a URL of http or https with a host") // which may hold a secret
	p.Want(c.Timeout > 0 && c.Timeout <= config.Duration(time.Hour), "timeout", time.Duration(c.Timeout), "over 0s and at most 1h")
	p.OneOf("on-error", c.OnError, rollout.PolicyFail, rollout.PolicyHold, rollout.PolicyExtend, rollout.PolicyIgnore)
	for _, w := range c.At {
		p.Want(w >= 1 && w <= 100, "at", w, "weights from 1 to 100")
	}
}

// isServer reports whether address can be asked.
func isServer(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}
