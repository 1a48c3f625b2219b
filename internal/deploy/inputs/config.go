package inputs

import (
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/updates"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/manifest"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/probe/expect"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/traffic"
	"github.com/candlefish/deploy-action/internal/traffic/entry"
)

// Config is the configuration of one run: the typed inputs, before discovery.
type Config struct {
	Image  string
	Images map[string]string // by container, beside Image
	// Objects are the manifests; LoadManifests gives them the images.
	Objects        []manifest.Object
	Prune          bool
	ForceConflicts bool
	Environment    string
	Namespace      string
	Deployment     string // empty names are discovered
	Service        string
	Container      string
	Route          string
	Router         string

	Strategy rollout.Strategy
	// StrategyReason says why it is that one.
	StrategyReason string
	BlueGreen      BlueGreen // the zero value for another strategy

	WorkloadKind string          // one of rolling.Kinds
	Rolling      updates.Options // of strategy rolling

	// RouteRules are the names of the rules that carry the weights; none for all.
	RouteRules []string
	// Extras are what the routes do beside the weights.
	Extras release.Extras

	Command string
	Full    bool // promote skips the remaining steps

	RunIn          string // "runner" or "cluster"
	RunImage       string
	ServiceAccount string
	PodPatch       string
	Wait, Attach   bool
	WhenCancelled  string // "leave" or "abort"

	Steps        []input.Step
	StepDuration time.Duration
	Rollback     bool
	Inconclusive rollout.Policy

	ErrorRate     float64 // percent
	SuccessRate   float64 // percent
	ResponseRatio float64
	ResponseMax   time.Duration
	MinSamples    int
	WarmUp        *time.Duration // nil for that of the analysis file
	AnalysisFile  string
	// Rules are the analysis file's configuration, with the limits above where it
	// has none.
	Rules judging.Rules

	ProbeURL     string
	ProbePaths   []expect.Path
	GRPCServices []string
	ProbeRate    int // requests per second
	ConfirmRate  int // requests per second while a weight is confirmed; 0 for the usual bound
	ProbeTimeout time.Duration
	Marker       probe.Marker // the zero Marker is discovered
	VersionLabel string
	MetricsURL   string

	Drain time.Duration
	Bake  time.Duration
	// Prewarm bounds how long test requests warm a canary before its first traffic.
	Prewarm  time.Duration
	KeepWarm time.Duration
	// Replace: a stable version that is down does not prevent the release.
	Replace          bool
	ProgressDeadline time.Duration
	Propagation      time.Duration

	Kubeconfig  string
	KubeContext string
	EKSCluster  string // its name; no kubeconfig is read then
	Region      string // of EKSCluster
	ReportDir   string
	PlanOnly    bool
	AllowGitOps bool
	CheckImage  bool // ask the registry for the images before the first change
	RunURL      string
	Forge       Forge
}

// ConfigOf returns the configuration that the inputs give.
func ConfigOf(v input.Values) Config {
	c := Config{
		Image:       v.String("image"),
		Environment: v.String("environment"),
		Namespace:   v.String("namespace"),
		Deployment:  v.String("deployment-name"),
		Service:     v.String("service-name"),
		Container:   v.String("container-name"),
		Route:       v.String("route"),
		Router:      strings.TrimPrefix(v.String("router"), "auto"),

		Strategy: rollout.Strategy(v.String("strategy")),

		WorkloadKind: v.String("workload-kind"),
		Rolling: updates.Options{
			MinReady: v.Duration("rolling-min-ready"), NoUnavailable: v.Bool("rolling-no-unavailable"), PreStop: v.Duration("rolling-pre-stop"),
		},
		RouteRules: v.List("route-rules"), Extras: extras(v), GRPCServices: v.List("probe-grpc-services"),

		Command: v.String("command"),
		Full:    v.Bool("full"),

		RunIn: v.String("run-in"), RunImage: v.String("run-image"), ServiceAccount: v.String("service-account"), PodPatch: v.String("pod-patch"),
		Wait: v.Bool("wait"), Attach: v.Bool("attach"), WhenCancelled: v.String("when-cancelled"),

		Steps:        v.Steps("steps"),
		StepDuration: v.Duration("step-duration"),
		Rollback:     v.Bool("rollback-on-error"),
		Inconclusive: rollout.Policy(v.String("inconclusive-policy")),

		ErrorRate:     v.Float("error-rate-threshold"),
		SuccessRate:   v.Float("min-success-rate"),
		ResponseRatio: v.Float("response-time-ratio"),
		ResponseMax:   v.Duration("response-time-threshold"),
		MinSamples:    v.Int("min-samples"),
		AnalysisFile:  v.String("analysis-file"),

		ProbeRate:    v.Int("probe-rate"),
		ProbeTimeout: v.Duration("probe-timeout"),
		VersionLabel: v.String("version-label"),

		Drain:            v.Duration("drain-window"),
		Bake:             v.Duration("bake-time"),
		KeepWarm:         v.Duration("keep-warm"),
		Prewarm:          v.Duration("prewarm"),
		Replace:          v.String("when-stable-is-down") == "replace",
		ProgressDeadline: v.Duration("progress-deadline"),
		Propagation:      v.Duration("propagation-timeout"),

		Kubeconfig:  v.String("kubeconfig"),
		KubeContext: v.String("kube-context"),
		EKSCluster:  v.String("eks-cluster"),
		Region:      v.String("aws-region"),
		ReportDir:   v.String("report-dir"),
		PlanOnly:    v.Bool("dry-run"),
		AllowGitOps: v.Bool("allow-gitops"), CheckImage: v.Bool("check-image"),
		Forge: forgeOf(v),
	}
	if u := v.URL("gateway-metrics-url"); u != nil {
		c.MetricsURL = u.String()
	}
	if u := v.URL("run-url"); u != nil {
		c.RunURL = u.String()
	}
	if u := v.URL("probe-url"); u != nil {
		c.ProbeURL = u.String()
	}
	if v.IsSet("warm-up") {
		c.WarmUp = new(v.Duration("warm-up"))
	}
	c.Images, _ = images(v)
	c.ForStrategy(v)
	c.Prune, c.ForceConflicts = v.Bool("prune"), v.Bool("force-conflicts")
	c.ProbePaths, _ = probePaths(v) // Together has reported what is wrong
	c.Marker = probe.MarkerIn(v.String("version-header"), v.Regexp("version-body"))
	return c
}

// The limits without an input.
const (
	// quickAbort leaves time to write the report within the runner's 7.5 s between
	// SIGINT and SIGTERM.
	quickAbort = 5 * time.Second
	// Finish bounds one acting stage. It is longer than a restart of the API
	// server.
	Finish = 2 * time.Minute
)

// Plan returns the plan for c, given the grace period of the live pods. The
// drain window is the longer of the setting and the grace period.
func (c Config) Plan(grace time.Duration) rollout.Plan {
	p := rollout.Plan{
		Strategy: c.Strategy, Rollback: c.Rollback, Inconclusive: c.Inconclusive, MaxExtensions: c.Rules.MaxExtensions(), Then: c.Rules.Then(),
		ProgressDeadline: c.ProgressDeadline, Propagation: c.Propagation,
		Drain: max(c.Drain, grace), Bake: c.Bake, KeepWarm: c.KeepWarm, Prewarm: c.Prewarm, QuickAbort: quickAbort, Finish: Finish,
	}
	c.BlueGreen.plan(&p)
	for _, s := range c.Steps {
		p.Steps = append(p.Steps, rollout.Step{Weight: s.Weight, Dwell: c.StepDuration, Pause: s.Pause, UntilPromoted: s.UntilPromoted})
	}
	return p
}

// Traffic returns the traffic configuration for entry points.
func (c Config) Traffic(first discover.EntryPoint, more ...discover.EntryPoint) traffic.Config {
	var entries []entry.Point
	for _, e := range more {
		entries = append(entries, entry.Point{URL: strings.TrimSuffix(e.URL, "/"), Host: e.Host})
	}
	if c.Strategy == rollout.StrategyRolling { // both versions are behind one Service
		c.MetricsURL = ""
	}
	paths := c.ProbePaths
	if first.GRPC {
		paths = grpcPaths(c.GRPCServices)
	}
	return traffic.Config{
		More: entries,
		URL:  strings.TrimSuffix(first.URL, "/"), Host: first.Host, Paths: paths, GRPC: first.GRPC,
		Rate: c.ProbeRate, Timeout: c.ProbeTimeout, Version: Version, Marker: c.Marker,
		Most: c.ConfirmRate, ErrorRate: c.ErrorRate, CountersURL: c.MetricsURL, PreflightHeader: workload.PreflightHeader, PreflightMark: workload.PreflightMark,
	}
}

// WorstCase returns the maximum duration of a rollout of p, if every wait
// reaches its deadline and the judge uses every extension.
func WorstCase(p rollout.Plan) time.Duration {
	var d time.Duration
	for _, s := range p.Steps {
		d += p.ProgressDeadline + 2*p.Propagation + s.Dwell*time.Duration(1+p.MaxExtensions) + s.Pause
	}
	return d + p.Prewarm + p.WarmUp + p.Smoke + p.Bake*time.Duration(1+p.MaxExtensions) + p.Drain + 3*p.Propagation + 4*p.Finish
}

// Dwell returns the total dwell of p, without extensions.
func Dwell(p rollout.Plan) time.Duration {
	var d time.Duration
	for _, s := range p.Steps {
		d += s.Dwell
	}
	return d
}

// Limits returns the limits of the inputs.
func (c Config) Limits() judging.Limits {
	return judging.Limits{
		ErrorRate: c.ErrorRate, SuccessRate: c.SuccessRate, ResponseRatio: c.ResponseRatio, ResponseMax: c.ResponseMax,
		MinSamples: c.MinSamples, WarmUp: c.WarmUp, Inconclusive: c.Inconclusive,
	}
}
