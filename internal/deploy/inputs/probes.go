package inputs

import (
	"os"
	"slices"

	"github.com/candlefish/deploy-action/internal/deploy/inputs/members"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/probe/expect"
)

// Together returns what is wrong with inputs that are right by themselves: the lines
// of probe-paths, probe-expect, images, deployments and clusters, where the image
// is written, what leads single requests to the canary, and which cluster it is.
func Together(v input.Values) input.Problems {
	_, problems := probePaths(v)
	_, wrong := images(v)
	_, misplaced := members.Parse(v, os.ReadFile)
	return slices.Concat(problems, wrong, misplaced, gitopsTogether(v), needManifests(v), smokePaths(v), extraProblems(v), connectionTogether(v))
}

// recorded is the kind of source of what an earlier process was given.
const recorded = "record"

// probePaths returns the paths that the probes ask for, with what is expected of
// their answers.
func probePaths(v input.Values) ([]expect.Path, input.Problems) {
	var problems input.Problems
	report := func(name, allowed string, wrong []expect.LineError) {
		for _, e := range wrong {
			problems = append(problems, input.Problem{Name: name, Source: v.Source(name), Value: e.Text, Reason: e.Error(), Allowed: allowed})
		}
	}
	paths, wrong := expect.ParsePaths(v.Text("probe-paths"))
	report("probe-paths", expect.Paths, wrong)
	switch {
	case len(paths)+len(wrong) == 0:
		paths = []expect.Path{{Path: v.String("probe-path"), Weight: 1}}
	case v.IsSet("probe-path") && v.Source("probe-path").Kind != recorded && v.Source("probe-paths").Kind != recorded:
		problems = append(problems, v.Problem("probe-path", "probe-paths names the paths: set one of the two"))
	}
	if len(wrong) == 0 { // else an expectation could be for a path that is not read
		report("probe-expect", expect.Expectations, expect.ParseExpectations(v.Text("probe-expect"), paths))
	}
	return paths, problems
}
