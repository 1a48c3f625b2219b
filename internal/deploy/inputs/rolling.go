package inputs

import (
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube/rolling"
)

// rollingInputs configure the strategy rolling.
func rollingInputs() []input.Def {
	const only = "strategy=rolling"
	return []input.Def{
		{
			Name: "workload-kind", Kind: input.Enum, Default: "auto", Allowed: rolling.Kinds, OnlyFor: only,
			Help: "Kind of the workload that deployment-name names; auto takes the first of these kinds that has one of that name",
		},
		{
			Name: "rolling-min-ready", Kind: input.Duration, Default: "0s", Range: seconds(0, 3600), OnlyFor: only,
			Help: "Time that a new pod has to be ready before the next one is replaced; stays in the workload as minReadySeconds",
		},
		{
			Name: "rolling-no-unavailable", Kind: input.Bool, Default: "false", OnlyFor: only,
			Help: "Leave maxUnavailable 0 in the Deployment, so that an update by anybody stops no pod before another one is ready",
		},
		{
			Name: "rolling-pre-stop", Kind: input.Duration, Default: "0s", Range: seconds(0, 600), OnlyFor: only,
			Help: "Sleep that the container gets as its preStop hook, if it has none: it serves while routers forget the pod; counts from the next update on",
		},
	}
}
