package judgefile

import (
	"strings"

	"github.com/candlefish/deploy-action/internal/source"
	"github.com/candlefish/deploy-action/internal/source/cloudwatch"
	"github.com/candlefish/deploy-action/internal/source/datadog"
	"github.com/candlefish/deploy-action/internal/source/httpjson"
	"github.com/candlefish/deploy-action/internal/source/podmetrics"
	"github.com/candlefish/deploy-action/internal/source/prometheus"
)

// kinds are all sources that a metric can have.
var kinds = []source.Kind{
	prometheus.Kind(),
	datadog.Kind(),
	cloudwatch.Kind(),
	podmetrics.Kind(),
	httpjson.Kind(),
}

// Sources lists all sources that a metric can have.
func Sources() []source.Kind { return kinds }

// Permissions are what the sources may need in the namespace of a rollout.
func Permissions() []source.Permission {
	var all []source.Permission
	for _, k := range kinds {
		all = append(all, k.Permissions...)
	}
	return all
}

// choices are the keys of all sources: "prometheus, datadog or http".
func choices() string {
	var keys []string
	for _, k := range kinds {
		keys = append(keys, k.Key)
	}
	last := len(keys) - 1
	return strings.Join(keys[:last], ", ") + " or " + keys[last]
}
