// Package podmetrics reads what the pods of both versions use: CPU and memory as a
// share of the container's limit or request, restarts and OOM kills. Each pod is
// told by itself.
//
// It asks the rollout's cluster through source.Pods and knows no Kubernetes client.
package podmetrics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/source"
)

const fileKey = "kubernetes"

// usagePermissions are what cpu and memory need.
var usagePermissions = []source.Permission{
	{Group: "metrics.k8s.io", Resource: "pods", Verbs: []string{"get", "list"}, Why: "Compare CPU and memory usage with limits"},
}

// Kind is this source in an analysis file.
func Kind() source.Kind {
	return source.Kind{Key: fileKey, Help: "What the pods of both versions use.", New: func() source.Config { return &Config{} }, Permissions: usagePermissions}
}

// The resources of a Config.
const (
	CPU      = "cpu"
	Memory   = "memory"
	Restarts = "restarts"
	OOMKills = "oom-kills"
)

// What CPU and Memory are a share of.
const (
	OfLimits   = "limits"
	OfRequests = "requests"
)

// A Config reads the pods of both versions.
type Config struct {
	Resource string `json:"resource" jsonschema:"enum=cpu,enum=memory,enum=restarts,enum=oom-kills" help:"What is measured of each pod."`
	Of       string `json:"of,omitempty" jsonschema:"enum=limits,enum=requests" help:"What cpu and memory are compared with: limits or requests. Default: limits."`
}

// Key implements config.Source.
func (*Config) Key() string { return fileKey }

// StaleAfter implements config.Source: metrics-server measures up to once a minute.
func (*Config) StaleAfter() time.Duration { return 2 * time.Minute }

// Validate implements config.Source.
func (c *Config) Validate(m config.Metric, p config.Problems) {
	p.Want(slices.Contains([]string{CPU, Memory, Restarts, OOMKills}, c.Resource), "kubernetes.resource", fmt.Sprintf("%q", c.Resource), "cpu, memory, restarts or oom-kills")
	p.Want(c.Of == "" || c.Of == OfLimits || c.Of == OfRequests, "kubernetes.of", fmt.Sprintf("%q", c.Of), "limits or requests")
	source.Measures{Value: true}.Validate(m, p, fileKey)
}

// Permissions implements source.Permitted.
func (c *Config) Permissions() []source.Permission {
	if c.usage() {
		return usagePermissions
	}
	return nil
}

func (c *Config) usage() bool { return c.Resource == CPU || c.Resource == Memory }

// Open implements source.Config. Restarts and OOM kills count from now on.
func (c *Config) Open(_ context.Context, _ config.Metric, e source.Env) (source.Reader, error) {
	switch {
	case e.Pods == nil:
		return nil, errors.New("there is no cluster whose pods could be read")
	case !c.usage():
		return newEnds(e.Pods, c.Resource), nil
	}
	return &usage{pods: e.Pods, namespace: e.Names.Namespace, resource: c.Resource, request: c.Of == OfRequests, last: map[string]time.Time{}}, nil
}
