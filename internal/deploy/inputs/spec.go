// Package inputs defines what a deploy takes and returns: its inputs, outputs and
// permissions, and the typed configuration that the inputs give.
package inputs

import (
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/inputs/members"
	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/detached"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/forward"
	"github.com/candlefish/deploy-action/internal/kube/rolling"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// Version is this tool's version in the probe stream and the report.
const Version = "1.0.0"

// DefaultDeployment is the Deployment, if it exists, when the input
// deployment-name is not set.
const DefaultDeployment = "candlefish-website"

// percent bounds a share of requests.
var percent = &input.Range{Min: 0, Max: 100}

// seconds bounds a duration from min to max seconds.
func seconds(minimum, maximum float64) *input.Range {
	return &input.Range{Min: minimum, Max: maximum}
}

// Spec defines the inputs, outputs and permissions of a deploy.
func Spec() input.Spec {
	return input.Spec{
		Name:  "deploy",
		Title: "Candlefish Deploy",
		Description: "Releases an image to Kubernetes step by step without a failed request, judges it against the version that serves now, " +
			"and shifts traffic back when it is worse.",
		First:       []string{"image", "namespace", "deployment-name", "steps", "step-duration"},
		Inputs:      inputs(),
		Outputs:     outputs(),
		Permissions: permissions(),
		Together:    Together,
	}
}

func inputs() []input.Def {
	return slices.Concat(
		input.Group("What to release", slices.Concat(releaseInputs(), manifestInputs())),
		input.Group("How traffic moves", slices.Concat(trafficInputs(), extraInputs())),
		input.Group("Blue-green", blueGreenInputs()),
		input.Group("Rolling updates", rollingInputs()),
		input.Group("What is judged", judgeInputs()),
		input.Group("How traffic is measured", probeInputs()),
		input.Group("Where", runInputs()),
		input.Group("Several at once", groupInputs()),
		input.Group("In the cluster", detachInputs()),
		input.Group("GitOps", gitopsInputs()),
		input.Group("GitHub", githubInputs()),
	)
}

// releaseInputs select the image and the objects.
func releaseInputs() []input.Def {
	return []input.Def{
		{
			Name: "command", Kind: input.Enum, Default: CommandDeploy, Allowed: commands(),
			Help: "What to do: release the image, or show, steer or end a release that any run started",
		},
		{
			Name: "full", Kind: input.Bool, Default: "false", OnlyFor: "command=" + string(rollout.RequestPromote),
			Help: "With command promote: skip the remaining steps",
		},
		{
			Name: "image", Env: "IMAGE", Form: input.FormImage, Positional: true, Required: true, RequiredFor: "attach=false images= manifests= deployments= clusters= command=" + CommandDeploy,
			Help:    "Image to release, with a tag or digest",
			Example: "registry.example/website:1.4.2",
		},
		{
			Name: "images", Kind: input.List, Discovered: "image alone",
			Help:    "Images of several containers and init containers, one a line: name=image; the containers without a line keep theirs",
			Example: "migrate=registry.example/website:1.4.2",
		},
		{
			Name: "namespace", Env: "NAMESPACE", Default: "production", Form: input.FormLabel,
			Help: "Kubernetes namespace of the Deployment",
		},
		{
			Name: "deployment-name", Env: "DEPLOYMENT_NAME", Form: input.FormName,
			Discovered: DefaultDeployment + " if it exists, else the only Deployment behind a route",
			Help:       "Deployment to release to",
		},
		{
			Name: "service-name", Env: "SERVICE_NAME", Form: input.FormLabel,
			Discovered: "the Service of the Deployment that a route points at",
			Help:       "Service in front of the Deployment",
		},
		{
			Name: "container-name", Form: input.FormLabel,
			Discovered: "the only container, else the one whose image has the same repository",
			Help:       "Container that gets the image",
		},
		{
			Name: "version-label", Default: "version", Form: input.FormLabelKey,
			Help: "Label key that marks pods as stable or canary",
		},
		{
			Name: "environment", Env: "ENVIRONMENT", Default: "production", Form: input.FormLabel,
			Help: "Name of the environment in reports",
		},
	}
}

// trafficInputs configure how traffic moves.
func trafficInputs() []input.Def {
	return []input.Def{
		{
			Name: "strategy", Kind: input.Enum, Default: "canary",
			Allowed: []string{string(rollout.StrategyCanary), string(rollout.StrategyBlueGreen), string(rollout.StrategyRolling)},
			Help:    "Release strategy: step by step, all traffic at once to tested pods, or the workload's own rolling update under the judge; see docs/strategies.md",
		},
		{
			Name: "steps", Kind: input.Steps, Default: "5,25,50,100",
			Help: "Weights of the new version, in percent",
		},
		{
			Name: "step-duration", Kind: input.Duration, Env: "STEP_DURATION", Default: "300s",
			Range: seconds(0, 24*3600), Help: "Dwell time at each weight",
		},
		{
			Name: "rollback-on-error", Kind: input.Bool, Env: "ROLLBACK_ON_ERROR", Default: "true", Off: "no-rollback",
			Help: "Shift traffic back when a step fails; false pauses at the current weight",
		},
		{
			Name: "router", Kind: input.Enum, Default: "auto", Allowed: append([]string{"auto"}, discover.RouterNames()...),
			Help: "API that shifts the traffic; auto takes the first that the cluster has",
		},
		{
			Name: "route", Form: input.FormName, Discovered: "all routes that point at the Service",
			Help: "HTTPRoute that carries the weights",
		},
		{
			Name: "drain-window", Kind: input.Duration, Default: "0s", Range: seconds(0, 3600),
			Help: "Minimum time that a version without weight keeps its pods; their grace period counts if it is longer",
		},
		{
			Name: "bake-time", Kind: input.Duration, Default: "120s", Range: seconds(0, 7*24*3600),
			Help: "Time after the promotion in which the new version is judged on while the previous one keeps its pods, for a rollback by one write",
		},
		{
			Name: "keep-warm", Kind: input.Duration, Default: "0s", Range: seconds(0, 7*24*3600),
			Help: "Time that the previous version keeps its pods after the promotion, if longer than bake-time; the next run or command: reap removes it",
		},
		{
			Name: "when-stable-is-down", Kind: input.Enum, Allowed: []string{"replace", "refuse"},
			Discovered: "replace if the commit's message has [hotfix] or [emergency], else refuse",
			Help:       "What to do when the live version has no ready pods or does not answer: release without a comparison, in one step, or refuse",
		},
		{
			Name: "prewarm", Kind: input.Duration, Default: "30s", Range: seconds(0, 3600),
			Help: "Maximum time in which test requests warm the new pods before their first traffic; it ends when their latency has settled; 0s for none",
		},
		{
			Name: "progress-deadline", Kind: input.Duration, Default: "600s", Range: seconds(1, 24*3600),
			Help: "Timeout for new pods to become ready",
		},
		{
			Name: "propagation-timeout", Kind: input.Duration, Default: "60s", Range: seconds(1, 3600),
			Help: "Timeout for a weight change to take effect",
		},
	}
}

// groupInputs make one release of several Deployments and clusters.
func groupInputs() []input.Def {
	return []input.Def{
		{
			Name: members.Deployments, Kind: input.List, Discovered: "deployment-name alone",
			Help:    "Deployments of one release, one a line: name, image if it is not that of the input image, after=NAME, and inputs of its own; or a YAML file; see docs/fleet.md",
			Example: "api registry.example/api:1.4.2 after=worker probe-path=/api/health",
		},
		{
			Name: members.Order, Kind: input.Enum, Default: members.Together, Allowed: []string{members.Together, members.InOrder},
			Help: "Whether the members of a wave rise side by side and are promoted when all have passed their last step, or one after the other",
		},
		{
			Name: members.Clusters, Kind: input.List, Discovered: "one cluster",
			Help:    "Clusters in waves, one wave a line: contexts of the kubeconfig with commas between, and inputs of its own behind a name; or a YAML file; see docs/fleet.md",
			Example: "[eu-1, us-1 namespace=shop]",
		},
		{
			Name: members.Bake, Kind: input.Duration, Default: "0s", Range: seconds(0, 7*24*3600),
			Help: "Time between the end of one wave's bake-time and the start of the next wave; all earlier waves are judged on meanwhile",
		},
		{
			Name: members.OnFailure, Kind: input.Enum, Default: string(fleet.RollbackAll), Allowed: []string{string(fleet.RollbackAll), string(fleet.RollbackWave), string(fleet.Stop)},
			Help: "What goes back when a member fails: every member, those of its wave, or only those that were not promoted yet",
		},
	}
}

// detachInputs configure a release that runs as a Job in the cluster.
func detachInputs() []input.Def {
	return []input.Def{
		{
			Name: "run-in", Kind: input.Enum, Default: "runner", Allowed: []string{"runner", "cluster"},
			Help: "Where the release runs: in this process, or as a Job in the cluster that outlives it",
		},
		{
			Name: "run-image", Form: input.FormImage, Required: true, RequiredFor: "run-in=cluster",
			Help: "Image of this action for the Job; the cluster must be able to pull it", Example: "registry.example/deploy-action:1",
		},
		{
			Name: "service-account", Default: "candlefish-deploy", Form: input.FormName,
			Help: "ServiceAccount of the Job; `go tool mage rbac` prints one with the permissions that it needs",
		},
		{
			Name: "pod-patch", Discovered: "none",
			Help: "YAML file that is merged into the spec of the Job's pod: tolerations, a proxy, secrets", Example: "deploy/job-pod.yaml",
		},
		{
			Name: "wait", Kind: input.Bool, Default: "true", Off: "no-wait", OnlyFor: "run-in=cluster",
			Help: "Show the Job's log and end as it does; false ends as soon as the Job is created",
		},
		{
			Name: "attach", Kind: input.Bool, Default: "false",
			Help: "Start nothing: show the log of the Job that runs, or of the last one",
		},
		{
			Name: "when-cancelled", Kind: input.Enum, Default: "leave", Allowed: []string{"leave", "abort"},
			Help: "What a signal to the watching process does to the release in the cluster",
		},
	}
}

// judgeInputs configure the limits for the new version.
func judgeInputs() []input.Def {
	return []input.Def{
		{
			Name: "error-rate-threshold", Kind: input.Float, Env: "ERROR_RATE_THRESHOLD", Default: "5", Unit: "%", Range: percent,
			Help: "Maximum error rate of the new version, in percent",
		},
		{
			Name: "min-success-rate", Kind: input.Float, Default: "95", Unit: "%", Range: percent,
			Help: "Minimum success rate of the new version, in percent; the stricter of the two limits counts",
		},
		{
			Name: "response-time-ratio", Kind: input.Float, Default: "1.5", Range: &input.Range{Min: 1, Max: 100},
			Help: "Maximum canary/stable latency ratio",
		},
		{
			Name: "response-time-threshold", Kind: input.Duration, Env: "RESPONSE_TIME_THRESHOLD", Default: "2000ms",
			Bare: time.Millisecond, Range: seconds(0.001, 3600),
			Help: "Maximum 95th percentile of the new version's response times",
		},
		{
			Name: "min-samples", Kind: input.Int, Default: "20", Range: &input.Range{Min: 1, Max: 1e6},
			Help: "Minimum number of requests to each version for a verdict",
		},
		{
			Name: "inconclusive-policy", Kind: input.Enum, Default: "extend", Allowed: []string{"extend", "abort", "hold"},
			Help: "What follows an inconclusive step: dwell longer (twice at most, then pause), shift traffic back, or pause",
		},
		{
			Name: "warm-up", Kind: input.Duration, Discovered: "warm-up of the analysis file, else 45s", Range: seconds(0, 3600),
			Help: "Time in which the canary's answers to a higher weight count for errors and not against its latency; one that keeps its limits meanwhile waits for nothing",
		},
		{
			Name: "analysis-file", Env: "ANALYSIS_FILE", Discovered: "only the probe stream is judged",
			Help: "YAML file with metrics, limits and custom checks; see docs/analysis.md", Example: "deploy/analysis.yaml",
		},
	}
}

// probeInputs configure the probe stream.
func probeInputs() []input.Def {
	return []input.Def{
		{
			Name: "probe-url", Kind: input.URL, Discovered: "the Gateway's address and the route's host",
			Help: "Public entry point that the probe stream goes through", Example: "https://candlefish.ai",
		},
		{
			Name: "probe-path", Default: "/", Form: input.FormPath, Help: "Path that the probes request, if it is a single one",
		},
		{
			Name: "probe-paths", Kind: input.List, Discovered: "probe-path",
			Help:    "Paths that the probes request, one a line, each with a weight from 1 to 1000 behind it if it is not 1",
			Example: "/api/health 3",
		},
		{
			Name: "probe-expect", Kind: input.List, Discovered: "answers as the stable version gave them",
			Help:    "What answers have to be, one a line behind the path: status, header, body pattern, JSON path; see docs/analysis.md",
			Example: `/api/health json $.status == "ok"`,
		},
		{
			Name: "probe-grpc-services", Kind: input.List, Discovered: "the whole server",
			Help:    "Services whose health the probes ask for through a GRPCRoute, one a line (grpc.health.v1.Health/Check)",
			Example: "shop.Cart",
		},
		{
			Name: "probe-rate", Kind: input.Int, Default: "50", Range: &input.Range{Min: 1, Max: 1000},
			Help: "Probe requests per second while it judges; to confirm a weight it sends up to 400 a second",
		},
		{
			Name: "probe-timeout", Kind: input.Duration, Default: "5s", Range: seconds(0.001, 300),
			Help: "Timeout of one probe request; after it the request counts as failed",
		},
		{
			Name: "version-header", Form: input.FormHeader, Discovered: "the first of the usual ones, such as X-Version",
			Help: "Response header that identifies the version", Example: "X-App-Version",
		},
		{
			Name: "version-body", Kind: input.Regexp,
			Help:    "Pattern whose first group is the version in the response body, for applications without a header",
			Example: `"version":"([^"]+)"`,
		},
		{
			Name: "gateway-metrics-url", Kind: input.URL, Discovered: "not used",
			Help:    "Metrics of the gateway (Traefik or Istio, Prometheus text); they confirm the weights if answers carry no version",
			Example: "http://traefik.traefik:9100/metrics",
		},
	}
}

// runInputs configure the cluster and this run.
func runInputs() []input.Def {
	return []input.Def{
		{
			Name: "kubeconfig", Env: "KUBECONFIG", Discovered: "the default kubeconfig, then the pod's service account",
			Help: "Path of the kubeconfig",
		},
		{
			Name: "kube-context", Discovered: "the current context", Help: "Context in the kubeconfig",
		},
		{
			Name: "eks-cluster", Discovered: "the cluster of the kubeconfig", Example: "production",
			Help: "Name of a cluster on EKS, reached with the AWS credentials; no kubeconfig is read",
		},
		{
			Name: "aws-region", Env: "AWS_REGION", Discovered: "the region of the AWS configuration", Example: "eu-central-1",
			Help: "Region of eks-cluster",
		},
		{
			Name: "report-dir", Default: ".", Help: "Folder for canary-deployment-report.json",
		},
		{
			Name: "dry-run", Kind: input.Bool, Default: "false", Alias: "plan",
			Help: "Show the plan, missing permissions and the worst-case duration; change nothing",
		},
		{
			Name: "check-image", Kind: input.Bool, Default: "true",
			Help: "Ask the registry for the images before the first change, with the pods' pull secrets. Set false if only the nodes can see them",
		},
		{
			Name: "allow-gitops", Kind: input.Bool, Default: "false",
			Help: "Proceed even if a GitOps tool owns the objects",
		},
		{
			Name: "run-url", Kind: input.URL, Discovered: "the page of the workflow run",
			Help: "Page that records and reports link to",
		},
	}
}

func outputs() []input.Output {
	return []input.Output{
		{Name: "status", Help: "Final status: promoted, unchanged, applied, planned, aborted, rolled-back, paused, started (with no-wait), done, failed, abort-failed, refused or bad-input"},
		{Name: "image", Help: "Image that serves at the end of the run, by digest if all its pods run the same one"},
		{Name: "previous-image", Help: "Image that served at the start of the run"},
		{Name: "failed-requests", Help: "Number of failed probe requests"},
		{Name: "total-requests", Help: "Number of probe requests"},
		{Name: "duration-seconds", Help: "Duration of the run"},
		{Name: "overhead-seconds", Help: "Duration minus the dwell time and the drain window"},
		{Name: "phase", Help: "Phase of the release in the cluster at the end of the run, such as Promoted, Paused or Baking; empty if there is none"},
		{Name: "rolled-back", Help: "true if this run shifted traffic back"},
		{Name: "report", Help: "Path of the JSON report"},
		{Name: "strategy", Help: "Strategy of the release"},
		{Name: "strategy-reason", Help: "Why it is that one: an input, a marker in the commit message, or the default"},
		{Name: "gitops-status", Help: "Result of the write to gitops-repo: committed, proposed, unchanged or failed; empty without a write"},
		{Name: "gitops-url", Help: "Page of the commit or the pull request; empty if there is none"},
		{Name: "github-deployment-id", Help: "ID of the GitHub deployment of the release; empty if there is none"},
		{Name: "members", Help: "JSON list of the members of a release of several: name, cluster, namespace, deployment, image, status, phase, failed and total requests, overhead; empty for a single one"},
	}
}

// permissions lists what GitHub and the cluster must allow. The cluster's come
// from the list that a run checks with the API server before it starts.
func permissions() []input.Permission {
	list := []input.Permission{
		{Where: "GitHub token", What: "contents: read", Why: "Check out the repository"},
		{Where: "GitHub token", What: "deployments: write", Why: "Record the release as a GitHub deployment; not needed with github-deployment: false"},
		{Where: "gitops-token, in gitops-repo", What: "contents: write; pull-requests: write", Why: "Write the promoted image into gitops-repo; pull requests only with gitops-mode: pull-request"},
	}
	for _, p := range slices.Concat(discover.Permissions(""), kube.OptionalPermissions, rolling.SetPermissions, judging.Permissions(), forward.Permissions) {
		resource := p.Resource
		if p.Group != "" {
			resource += "." + p.Group
		}
		list = append(list, input.Permission{Where: "Kubernetes, in the namespace", What: resource + ": " + strings.Join(p.Verbs, ", "), Why: p.Why})
	}
	return append(list,
		input.Permission{Where: "AWS, with eks-cluster", What: "eks:DescribeCluster", Why: "Find the cluster's endpoint; the role also needs an access entry with the permissions above"},
		input.Permission{Where: "AWS, with router alb", What: "elasticloadbalancing:DescribeTargetHealth, elasticloadbalancing:DescribeTargetGroupAttributes", Why: "Wait before each switch until the load balancer sends requests to the pods; without it the plan warns"},
		input.Permission{Where: "Kubernetes, in the cluster", What: "nodes: list; pods: list", Why: "Warn if the nodes have no room for the canary, or another platform than the image; optional"},
		input.Permission{Where: "Kubernetes, in the cluster", What: "ingressclasses.networking.k8s.io: list", Why: "Tell the Ingresses of NGINX and of an AWS load balancer by their class; without it their names tell, nginx and alb"},
		input.Permission{Where: "Kubernetes, where the gateway is", What: "gateways.gateway.networking.k8s.io: get", Why: "Find the entry point; not needed with probe-url"},
		input.Permission{Where: "Kubernetes, in the cluster", What: "gatewayclasses.gateway.networking.k8s.io: get", Why: "With mirror or affinity: ask whether the gateway can"},
		input.Permission{Where: "Kubernetes, where the gateway is", What: "gateways.networking.istio.io: get; services: list", Why: "Find the entry point with Istio; not needed with probe-url"})
}

// RBAC returns the manifest of a ServiceAccount for releases that run in the
// cluster.
func RBAC(namespace, account string) string {
	return detached.RBAC(namespace, account, slices.Concat(discover.Permissions(""), kube.OptionalPermissions, rolling.SetPermissions, judging.Permissions(), forward.Permissions))
}
