// Package meters has the list of meters.
package meters

import (
	"context"

	"github.com/candlefish/deploy-action/internal/meter"
	"github.com/candlefish/deploy-action/internal/meter/bundle"
	"github.com/candlefish/deploy-action/internal/meter/gobench"
	"github.com/candlefish/deploy-action/internal/meter/journey"
	"github.com/candlefish/deploy-action/internal/meter/lighthouse"
	"github.com/candlefish/deploy-action/internal/meter/load"
	"github.com/candlefish/deploy-action/internal/meter/load/hosts"
	"github.com/candlefish/deploy-action/internal/meter/samples"
	"github.com/candlefish/deploy-action/internal/meter/servertime"
)

// All returns all meters, in the order in which they run. Names of hosts are looked up
// until ctx ends.
func All(ctx context.Context) []meter.Meter {
	return []meter.Meter{
		lighthouse.Lighthouse{},
		journey.Meter{},
		load.Load{Lookup: hosts.System(ctx)},
		gobench.GoBench{},
		bundle.Bundle{},
		samples.Samples{},
		servertime.ServerTime{},
	}
}
