package deploy

import (
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/judgefile"
	"github.com/candlefish/deploy-action/internal/kube"
)

// DefaultDeployment is the Deployment that the first deploy scripts named. It
// is tried when neither the inputs nor the cluster say which one is meant.
const DefaultDeployment = "candlefish-website"

// percent bounds a share of requests.
var percent = &input.Range{Min: 0, Max: 100}

// seconds bounds a duration from min to max seconds.
func seconds(minimum, maximum float64) *input.Range {
	return &input.Range{Min: minimum, Max: maximum}
}

// Spec defines what a deploy takes, hands back and must be allowed to do.
func Spec() input.Spec {
	return input.Spec{
		Name:  "deploy",
		Title: "Candlefish Deploy",
		Description: "Releases an image step by step with no failed request, judged against the version that serves now, " +
			"and puts traffic back by itself when the new one is worse.",
		Inputs:      inputs(),
		Outputs:     outputs(),
		Permissions: permissions(),
	}
}

func inputs() []input.Def {
	var defs []input.Def
	defs = append(defs, whatInputs()...)
	defs = append(defs, planInputs()...)
	defs = append(defs, judgeInputs()...)
	defs = append(defs, probeInputs()...)
	return append(defs, runInputs()...)
}

// whatInputs say what is released, and where.
func whatInputs() []input.Def {
	return []input.Def{
		{
			Name: "image", Env: "IMAGE", Form: input.FormImage, Positional: true,
			Discovered: "needed, except on the stage, which has its own",
			Help:       "The image to release, with a tag or digest",
			Example:    "registry.example/website:1.4.2",
		},
		{
			Name: "strategy", Kind: input.Enum, Default: "canary",
			Allowed: []string{"canary"}, Later: []string{"blue-green", "rolling"},
			Help: "How traffic moves to the new version",
		},
		{
			Name: "environment", Env: "ENVIRONMENT", Default: "production", Form: input.FormLabel,
			Help: "The environment's name, for reports and records",
		},
		{
			Name: "namespace", Env: "NAMESPACE", Default: "production", Form: input.FormLabel,
			Help: "The Kubernetes namespace of the Deployment",
		},
		{
			Name: "deployment-name", Env: "DEPLOYMENT_NAME", Form: input.FormName,
			Discovered: "discovered; " + DefaultDeployment + " when it exists",
			Help:       "The Deployment to release to",
		},
		{
			Name: "service-name", Env: "SERVICE_NAME", Form: input.FormLabel,
			Discovered: "discovered from the Deployment's pods and the route",
			Help:       "The Service in front of the Deployment",
		},
		{
			Name: "container-name", Form: input.FormLabel,
			Discovered: "discovered: the only container, or the one with the image's repository",
			Help:       "The container that gets the image",
		},
		{
			Name: "route", Form: input.FormName, Discovered: "discovered from the Service",
			Help: "The HTTPRoute that carries the weights",
		},
		{
			Name: "router", Kind: input.Enum, Default: "auto", Allowed: []string{"auto", "gateway-api"},
			Help: "What shifts the traffic; auto takes what the cluster has",
		},
	}
}

// planInputs say how fast the weight rises and what happens around it.
func planInputs() []input.Def {
	return []input.Def{
		{
			Name: "steps", Kind: input.Steps, Default: "5,25,50,100",
			Help: "The weights of the new version, in percent",
		},
		{
			Name: "step-duration", Kind: input.Duration, Env: "STEP_DURATION", Default: "300s",
			Range: seconds(0, 24*3600), Help: "How long each step is watched before the next",
		},
		{
			Name: "rollback-on-error", Kind: input.Bool, Env: "ROLLBACK_ON_ERROR", Default: "true", Off: "no-rollback",
			Help: "Put traffic back when a step is judged bad; false holds at the weight reached and says so",
		},
		{
			Name: "drain-window", Kind: input.Duration, Default: "0s", Range: seconds(0, 3600),
			Help: "How long a version without weight keeps its pods; the pods' own grace period counts when it is longer",
		},
		{
			Name: "keep-warm", Kind: input.Duration, Default: "10m", Range: seconds(0, 7*24*3600),
			Help: "How long the previous version stays ready after the promotion, so that a rollback is one write",
		},
		{
			Name: "progress-deadline", Kind: input.Duration, Default: "600s", Range: seconds(1, 24*3600),
			Help: "How long the new pods may take to become ready",
		},
		{
			Name: "propagation-timeout", Kind: input.Duration, Default: "60s", Range: seconds(1, 3600),
			Help: "How long a weight may take to be accepted and then seen in the traffic",
		},
		{
			Name: "version-label", Default: "version", Form: input.FormLabelKey,
			Help: "The label that says stable or canary on pods",
		},
	}
}

// judgeInputs say when the new version is good enough.
func judgeInputs() []input.Def {
	return []input.Def{
		{
			Name: "error-rate-threshold", Kind: input.Float, Env: "ERROR_RATE_THRESHOLD", Default: "5", Unit: "%", Range: percent,
			Help: "The most requests to the new version that may fail",
		},
		{
			Name: "min-success-rate", Kind: input.Float, Default: "95", Unit: "%", Range: percent,
			Help: "The fewest requests to the new version that must succeed; the stricter of the two limits counts",
		},
		{
			Name: "response-time-ratio", Kind: input.Float, Default: "1.5", Range: &input.Range{Min: 1, Max: 100},
			Help: "How many times as long as the stable version's, at the same time, answers may take; stricter than the seed's 2, so that twice as slow is past the limit and not on it",
		},
		{
			Name: "response-time-threshold", Kind: input.Duration, Env: "RESPONSE_TIME_THRESHOLD", Default: "2000ms",
			Bare: time.Millisecond, Range: seconds(0.001, 3600),
			Help: "The slowest acceptable response, whatever the stable version does",
		},
		{
			Name: "min-samples", Kind: input.Int, Default: "20", Range: &input.Range{Min: 1, Max: 1e6},
			Help: "How many requests to each version a verdict needs",
		},
		{
			Name: "inconclusive-policy", Kind: input.Enum, Default: "extend", Allowed: []string{"extend", "abort", "hold"},
			Help: "What follows when a step cannot be judged: watch longer (twice at most, then stay), put traffic back, or stay",
		},
		{
			Name: "analysis-file", Env: "ANALYSIS_FILE", Discovered: "the probe stream alone is judged",
			Help: "A YAML file with metrics, limits and checks of your own; docs/analysis.md says what it takes", Example: "deploy/analysis.yaml",
		},
	}
}

// probeInputs say how the entry point is watched.
func probeInputs() []input.Def {
	return []input.Def{
		{
			Name: "probe-url", Kind: input.URL, Discovered: "discovered from the Gateway's address and the route's host",
			Help: "The real entry point that the probe stream goes through", Example: "https://candlefish.ai",
		},
		{
			Name: "probe-path", Default: "/", Form: input.FormPath, Help: "The path that is asked for",
		},
		{
			Name: "probe-rate", Kind: input.Int, Default: "50", Range: &input.Range{Min: 1, Max: 1000},
			Help: "Requests per second while traffic changes",
		},
		{
			Name: "probe-timeout", Kind: input.Duration, Default: "5s", Range: seconds(0.001, 300),
			Help: "How long one request may take before it counts as failed",
		},
		{
			Name: "version-header", Form: input.FormHeader, Discovered: "discovered among the usual ones, such as X-Version",
			Help: "The response header that tells the versions apart", Example: "X-App-Version",
		},
		{
			Name: "version-body", Kind: input.Regexp,
			Help:    "A pattern whose first group is the version in the response's body, for apps without a header",
			Example: `"version":"([^"]+)"`,
		},
		{
			Name: "gateway-metrics-url", Kind: input.URL, Discovered: "not used",
			Help:    "The gateway's own metrics (Traefik or Istio, Prometheus text); they confirm the weights where answers carry no version",
			Example: "http://traefik.traefik:9100/metrics",
		},
	}
}

// runInputs say where the cluster is and how this run behaves.
func runInputs() []input.Def {
	return []input.Def{
		{
			Name: "kubeconfig", Env: "KUBECONFIG", Discovered: "the usual places, then the stage when it is up",
			Help: "The file that says how to reach the cluster",
		},
		{
			Name: "kube-context", Discovered: "the file's current context", Help: "The context in that file",
		},
		{
			Name: "report-dir", Default: ".", Help: "The folder for canary-deployment-report.json",
		},
		{
			Name: "dry-run", Kind: input.Bool, Default: "false", Alias: "plan",
			Help: "Show the plan, the permissions missing and the longest time it can take; change nothing",
		},
		{
			Name: "allow-gitops", Kind: input.Bool, Default: "false",
			Help: "Go on although a GitOps tool owns the objects and may write them back",
		},
		{
			Name: "run-url", Kind: input.URL, Discovered: "the workflow run's page",
			Help: "The page that records link to",
		},
	}
}

func outputs() []input.Output {
	return []input.Output{
		{Name: "status", Help: "What became of the run in one word: promoted, planned, aborted, held, failed or bad-input"},
		{Name: "image", Help: "The image that serves when the run ends, by digest where the cluster says it"},
		{Name: "previous-image", Help: "The image that served when the run began"},
		{Name: "failed-requests", Help: "How many requests of the probe stream failed"},
		{Name: "total-requests", Help: "How many requests the probe stream sent"},
		{Name: "duration-seconds", Help: "How long the run took"},
		{Name: "overhead-seconds", Help: "That time without the dwell that was asked for"},
		{Name: "rolled-back", Help: "true when this run put traffic back"},
		{Name: "report", Help: "The path of the JSON report"},
	}
}

// permissions are what GitHub and the cluster have to allow; the cluster's come
// from the list that a run asks the API server about before it starts.
func permissions() []input.Permission {
	list := []input.Permission{
		{Where: "GitHub token", What: "contents: read", Why: "Check out the repository; the deploy itself asks GitHub for nothing"},
	}
	for _, p := range slices.Concat(kube.Permissions, permissionsOf(judgefile.Permissions()), kube.JobPermissions) {
		resource := p.Resource
		if p.Group != "" {
			resource += "." + p.Group
		}
		list = append(list, input.Permission{Where: "Kubernetes, in the namespace", What: resource + ": " + strings.Join(p.Verbs, ", "), Why: p.Why})
	}
	return append(list,
		input.Permission{Where: "Kubernetes, where the gateway is", What: "gateways.gateway.networking.k8s.io: get", Why: "Find the entry point; not needed with probe-url"})
}
