package service

import (
	"fmt"
	"slices"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
)

// Replicas shares requests by the number of pods: between 0 and 100 the Service
// selects both versions, and each pod gets as much as any other.
type Replicas struct{ Router }

var (
	_ router.Router    = Replicas{}
	_ router.Selecting = Replicas{}
	_ router.Coarse    = Replicas{}
)

// Name implements router.Router.
func (Replicas) Name() string { return "replicas" }

// Refuses implements router.Coarse: beside the pods of stable, which all stay, as many
// of the canary are half of them.
func (Replicas) Refuses(weight int) string {
	if weight <= 50 || weight == 100 {
		return ""
	}
	return fmt.Sprintf("the router replicas gives at most 50 %% to the canary beside all pods of stable, and no %d %%: go on from 50 %% to 100 %%", weight)
}

// Write implements router.Router.
func (Replicas) Write(route router.Object, r release.Route, to router.Split) (jsonpatch.Patch, error) {
	return write(route, r, to, true)
}

// Drift implements router.Router.
func (Replicas) Drift(route router.Object, r release.Route, was router.Split) string {
	return drift(route, r, was, true)
}

// Pods returns how many pods of the canary, beside so many of stable, give the share
// that is nearest to a weight in percent; at 100, as many as stable has.
func Pods(stable int32, weight int) int32 {
	if weight >= 100 {
		return max(1, stable)
	}
	least, best := int32(1), 101.0
	for pods := int32(1); pods <= max(1, stable); pods++ {
		share := 100 * float64(pods) / float64(pods+max(1, stable))
		if off := max(share-float64(weight), float64(weight)-share); off < best {
			least, best = pods, off
		}
	}
	return least
}

// Share returns the share of so many pods of the canary beside those of stable, in
// percent.
func Share(stable, canary int32) int {
	all := int(stable) + int(canary)
	return (100*int(canary) + all/2) / max(1, all)
}

// Realize returns a plan with the weights that pods of the canary can give beside so
// many of stable.
func Realize(p rollout.Plan, stable int32) rollout.Plan {
	p.Exact, p.Steps = true, slices.Clone(p.Steps)
	for i := range p.Steps {
		step := &p.Steps[i]
		if step.Weight < 100 && step.Pods == 0 {
			pods := Pods(stable, step.Weight)
			step.Asked, step.Pods, step.Weight = step.Weight, int(pods), Share(max(1, stable), pods)
		}
	}
	return p
}
