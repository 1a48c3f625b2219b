package source_test

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

// A query holds the names of a version, and is asked for each of the two.
func ExampleNames_Fill() {
	names := source.Names{Namespace: "shop", Service: "web", Stable: "1.4.1", Canary: "1.4.2"}
	for _, side := range []rollout.Side{rollout.SideStable, rollout.SideCanary} {
		query, err := names.Fill(`requests_total{namespace="${namespace}",service="${service}",version="${version}"}`, side)
		fmt.Println(query, err)
	}
	// Output:
	// requests_total{namespace="shop",service="web",version="1.4.1"} <nil>
	// requests_total{namespace="shop",service="web-canary",version="1.4.2"} <nil>
}

// A query that is the same for both versions would mix them.
func ExampleNames_FillBoth() {
	names := source.Names{Namespace: "shop", Service: "web"}
	_, _, err := names.FillBoth(`requests_total{namespace="${namespace}"}`)
	fmt.Println(err)
	// Output: cannot tell the versions apart: "requests_total{namespace=\"shop\"}" is asked for both
}
