package engine

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/kube/around"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/targets"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/registry"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router/alb"
)

// LookAround adds what is around the workload to a survey's obstacles and warnings:
// network policies, disruption budgets, and what the registry says about the images,
// which it asks once in a run.
func LookAround(ctx context.Context, r *Run, found *discover.Found) error {
	if !found.Record.ChangesPods() {
		return nil // nothing to release
	}
	// A rolling update changes no label; those of a release say nothing.
	plain := r.Cfg.Strategy != rollout.StrategyRolling && !found.Previous.Warm() && !found.Previous.Unfinished()
	seen, err := around.Look(ctx, r.Cluster, found.Record, plain)
	if err != nil {
		return err
	}
	found.Obstacles, found.Warnings = append(found.Obstacles, seen.Obstacles...), append(found.Warnings, seen.Warnings...)
	lookAtTargets(ctx, r, found)
	if !r.Cfg.CheckImage {
		return nil
	}
	if r.registry == nil {
		said := askRegistry(ctx, r, found, seen)
		r.registry = &said
	}
	found.Obstacles, found.Warnings = append(found.Obstacles, r.registry.obstacles...), append(found.Warnings, r.registry.warnings...)
	return nil
}

// balancer returns the health of the targets of a load balancer outside of the
// cluster, nil if no route is one of its.
func balancer(ctx context.Context, r *Run, record *release.Record) (targets.Health, error) {
	if r.Targets == nil || !slices.ContainsFunc(record.Routes, func(route release.Route) bool { return record.RouterOf(route) == alb.Router{}.Name() }) {
		return nil, nil
	}
	return r.Targets(ctx)
}

// balance makes the weights of a target wait for a load balancer outside of the
// cluster. Where it cannot be asked, the plan has said so.
func balance(ctx context.Context, r *Run, target Target, record *release.Record) {
	health, err := balancer(ctx, r, record)
	if split, ok := target.(*workload.Target); ok && err == nil && health != nil {
		split.Health = health
	}
}

// lookAtTargets asks whether the health of targets can be read. What a target may
// take to finish its open requests counts as the pods' grace period does.
func lookAtTargets(ctx context.Context, r *Run, found *discover.Found) {
	health, err := balancer(ctx, r, found.Record)
	if health == nil && err == nil {
		return
	}
	var groups []string
	if err == nil {
		groups, err = targets.Groups(ctx, r.Cluster, found.Record.Namespace, found.Record.Service)
	}
	for _, group := range groups {
		var delay time.Duration
		if delay, err = health.Delay(ctx, group); err != nil {
			break
		}
		if seconds := int64(delay.Seconds()); seconds > found.Grace {
			found.Grace = seconds
			r.Console.Logf("the drain window is %s: so long target group %s finishes the open requests of a pod (deregistration_delay.timeout_seconds)", delay, group)
		}
	}
	if err != nil {
		found.Warnings = append(found.Warnings, fmt.Sprintf("the health of the load balancer's targets cannot be read, so a switch does not wait for them, and for a minute or two some requests may find no healthy target: %v; give the run AWS credentials with elasticloadbalancing:DescribeTargetHealth and DescribeTargetGroupAttributes", err))
	}
}

// An opinion is what speaks against a release.
type opinion struct{ obstacles, warnings []string }

// askRegistry asks for every image that the release brings.
func askRegistry(ctx context.Context, r *Run, found *discover.Found, seen around.Seen) (said opinion) {
	var logins []registry.Secret
	for _, s := range seen.Secrets {
		login, err := registry.Parse(s.Name, s.Type, s.Data)
		if err != nil {
			said.warnings = append(said.warnings, err.Error())
			continue
		}
		logins = append(logins, login)
	}
	asked := map[string]bool{}
	for _, c := range found.Record.Containers {
		if c.Image == c.Previous || asked[c.Image] {
			continue
		}
		asked[c.Image] = true
		answer := registry.Ask(ctx, http.DefaultTransport, c.Image, logins)
		proven := c.Previous != "" && registry.Host(c.Previous) == registry.Host(c.Image)
		obstacle, warning := answer.Judge(c.Image, seen.Platforms, proven)
		if obstacle != "" {
			said.obstacles = append(said.obstacles, obstacle+checkHint)
		}
		if warning != "" {
			said.warnings = append(said.warnings, warning)
		}
		if answer.Verdict == registry.Exists {
			r.Console.Logf("image %s is %s", c.Image, answer.Digest)
		}
	}
	return said
}

// checkHint is the way out where the nodes see another registry than this machine.
const checkHint = "; if only the nodes can see the image, set check-image: false"
