package inputs

import (
	"regexp"
	"strings"

	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/probe/expect"
	"github.com/candlefish/deploy-action/internal/release"
)

// Forms of what leads single requests to the canary.
var (
	formHeaderValue = &input.Form{
		Want:    "NAME: VALUE of a request header, such as canary: true",
		Pattern: regexp.MustCompile("^[A-Za-z0-9-]+: ?[!-_a-~]([ -_a-~]*[!-_a-~])?$"),
	}
	formCookie = &input.Form{
		Want:    "the name of a cookie: letters, digits, '-', '_' and '.'",
		Pattern: regexp.MustCompile(`^[A-Za-z0-9._-]+$`),
	}
)

// extraInputs configure what a split does beside the weights.
func extraInputs() []input.Def {
	return []input.Def{
		{
			Name: "route-rules", Kind: input.List, Discovered: "all rules that lead to the Service",
			Help:    "Names of the rules of an Istio VirtualService that carry the weights, one a line; the others change at the hand-over alone",
			Example: "checkout",
		},
		{
			Name: "canary-header", Form: formHeaderValue, Discovered: "none",
			Help:    "Request header that leads to the new version while both have traffic, whatever the weight",
			Example: "canary: true",
		},
		{
			Name: "canary-cookie", Form: formCookie, Discovered: "none",
			Help:    "Cookie that, with the value always, leads to the new version while both have traffic",
			Example: "canary",
		},
		{
			Name: "affinity", Form: formCookie, Discovered: "none",
			Help:    "Cookie that the new version's answers set, so that a user who saw it stays on it while both have traffic; after an abort all are on the stable version",
			Example: "release",
		},
		{
			Name: "mirror", Kind: input.Int, Default: "0", Unit: "%", Range: percent,
			Help: "Part of the requests that the new version gets a copy of while both have traffic, in percent; nobody sees its answers to them",
		},
	}
}

// extras returns what the inputs ask of a split beside the weights.
func extras(v input.Values) release.Extras {
	x := release.Extras{Cookie: v.String("canary-cookie"), Mirror: v.Int("mirror"), Affinity: v.String("affinity")}
	if name, value, ok := strings.Cut(v.String("canary-header"), ":"); ok {
		x.Header, x.Value = name, strings.TrimSpace(value)
	}
	return x
}

// extraProblems returns what is wrong with these inputs together.
func extraProblems(v input.Values) input.Problems {
	var problems input.Problems
	x := extras(v)
	if strings.EqualFold(x.Header, workload.PreflightHeader) || strings.EqualFold(x.Header, "Cookie") {
		problems = append(problems, v.Problem("canary-header", "test requests and canary-cookie use this header: choose another"))
	}
	if x.Affinity != "" && x.Affinity == x.Cookie {
		problems = append(problems, v.Problem("affinity", "canary-cookie is the same cookie: choose another"))
	}
	return problems
}

// grpcPaths returns what gRPC probes ask for: the health of these services, of the
// whole server if there are none.
func grpcPaths(services []string) []expect.Path {
	paths := make([]expect.Path, 0, max(1, len(services)))
	for _, service := range services {
		paths = append(paths, expect.Path{Path: "/" + service, Weight: 1})
	}
	if len(paths) == 0 {
		paths = []expect.Path{{Path: "/", Weight: 1}}
	}
	return paths
}
