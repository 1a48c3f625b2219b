package perf

import (
	"context"
	"errors"
	"slices"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/load"
	"github.com/candlefish/deploy-action/internal/meter/load/hosts"
	"github.com/candlefish/deploy-action/internal/perf/distributed"
)

// distribute returns the meters with pods of a cluster in the place of the k6 of this
// machine, if the inputs say so. say tells people what is waited for.
func distribute(ctx context.Context, all []meter.Meter, v input.Values, say func(string)) []meter.Meter {
	if !v.Bool("distributed") {
		return all
	}
	all = slices.Clone(all)
	for i, m := range all {
		if m.About().Name == load.Name {
			all[i] = pods(ctx, v, say)
		}
	}
	return all
}

// pods are the load by k6-operator.
func pods(ctx context.Context, v input.Values, say func(string)) meter.Meter {
	return distributed.Load{
		Connect: func(context.Context) (*kube.Cluster, error) {
			c, err := kube.Connect(kube.ConnectOptions{Kubeconfig: v.String("kubeconfig"), Context: v.String("kube-context")})
			if errors.Is(err, kube.ErrNoCluster) {
				return nil, exit.Refuse("set kubeconfig or KUBECONFIG", err.Error())
			}
			return c, err
		},
		Namespace: v.String("load-namespace"), Pods: v.Int("load-pods"), Image: v.String("load-image"), StarterImage: v.String("load-starter-image"),
		Lookup: hosts.System(ctx), Say: say,
	}
}
