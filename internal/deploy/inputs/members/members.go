// Package members reads the inputs that make one release of several: Deployments, and
// clusters in waves. A member is one Deployment on one cluster; its inputs are those of
// the run with what its Deployment and its cluster say otherwise.
package members

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/fleet"
)

// The inputs of a group.
const (
	Deployments = "deployments"
	Clusters    = "clusters"
	Order       = "order"
	Bake        = "wave-bake-time"
	OnFailure   = "on-wave-failure"
)

// Inputs lists the inputs that are the group's and no member's.
func Inputs() []string { return []string{Deployments, Clusters, Order, Bake, OnFailure} }

// The orders.
const (
	Together = "together" // all rise side by side, and are promoted when all have passed
	InOrder  = "in-order" // one after the other
)

// A Group is a release of several members.
type Group struct {
	Together  bool
	Bake      time.Duration
	OnFailure fleet.Policy
	Members   []Member // in the order of their waves
}

// A Member is one Deployment on one cluster.
type Member struct {
	Name    string // "web", "eu-1", or "eu-1/web" with several of both
	Cluster string // its name in the input clusters; "" without
	Wave    int    // from 0
	Over    []int  // members that are promoted before it
	// Values are the inputs of this member's run.
	Values input.Values
}

// settable says which inputs one member may have for itself: what is not about the
// whole run.
func settable(name string) bool {
	return !slices.Contains(append(Inputs(), "command", "full", "report-dir", "dry-run", "run-url", "run-in", "run-image", "service-account", "pod-patch", "wait", "attach", "when-cancelled"), name)
}

// connecting are the inputs that a cluster has for itself.
var connecting = []string{"kubeconfig", "kube-context", "eks-cluster", "aws-region"}

// Asked reports whether the inputs name a group.
func Asked(v input.Values) bool { return v.IsSet(Deployments) || v.IsSet(Clusters) }

// Parse returns the group that the inputs name, nil for none, and everything that is
// wrong with it. readFile is os.ReadFile.
func Parse(v input.Values, readFile func(string) ([]byte, error)) (*Group, input.Problems) {
	if !Asked(v) {
		return nil, alone(v)
	}
	r := reader{values: v, readFile: readFile}
	deployments, waves := r.deployments(), r.waves()
	r.rules()
	g := &Group{Together: v.String(Order) == Together, Bake: v.Duration(Bake), OnFailure: fleet.Policy(v.String(OnFailure))}
	if len(r.problems) > 0 {
		return g, r.problems
	}
	for wave, clusters := range waves {
		for _, cluster := range clusters {
			g.add(&r, wave, cluster, deployments)
		}
	}
	r.distinct(g)
	return g, r.problems
}

// alone returns the inputs of a group that a release of one member has.
func alone(v input.Values) input.Problems {
	var problems input.Problems
	for _, name := range Inputs() {
		if v.IsSet(name) {
			problems = append(problems, v.Problem(name, "has an effect only with deployments or clusters"))
		}
	}
	return problems
}

// add adds the Deployments of one cluster, in their order.
func (g *Group) add(r *reader, wave int, cluster entry, deployments []entry) {
	for i, d := range deployments {
		m := Member{Name: d.name, Cluster: cluster.name, Wave: wave}
		switch {
		case cluster.name != "" && len(deployments) == 1:
			m.Name = cluster.name
		case cluster.name != "":
			m.Name = cluster.name + "/" + d.name
		}
		if i > 0 {
			m.Over = []int{len(g.Members) - 1}
		}
		m.Values = r.member(m.Name, cluster, d)
		g.Members = append(g.Members, m)
	}
}

// member returns the inputs of one member.
func (r *reader) member(name string, cluster, deployment entry) input.Values {
	settings := map[string]string{}
	maps.Copy(settings, cluster.settings)
	maps.Copy(settings, deployment.settings)
	if deployment.name != "" {
		settings["deployment-name"] = deployment.name
	}
	v, err := r.values.Replace(settings, input.Source{Kind: "member", Name: name})
	v = v.Without(Inputs()...)
	if problems, ok := err.(input.Problems); ok { //nolint:errorlint // Replace returns nothing else
		r.problems = append(r.problems, problems...)
		return v
	}
	if v.String("command") == "deploy" && v.String("image") == "" && !v.IsSet("images") {
		r.problems = append(r.problems, input.Problem{Name: Deployments, Source: input.Source{Kind: "member", Name: name}, Reason: "has no image", Allowed: "an image behind its name, or the input image for all"})
	}
	return v
}

// rules adds what a group cannot be together with.
func (r *reader) rules() {
	v := r.values
	bad := func(name, reason string) { r.problems = append(r.problems, v.Problem(name, reason)) }
	if v.IsSet(Deployments) && v.IsSet("deployment-name") {
		bad("deployment-name", "deployments names them: set one of the two")
	}
	for _, name := range connecting {
		if v.IsSet(Clusters) && name != "kubeconfig" && name != "aws-region" && v.IsSet(name) {
			bad(name, "clusters names the clusters: set one of the two")
		}
	}
	if v.String("run-in") == "cluster" || v.Bool("attach") {
		bad("run-in", "a release of several members runs in the runner's process")
	}
	if v.String("strategy") == string(rollout.StrategyRolling) {
		bad("strategy", "a rolling update keeps no old version to go back to with the others")
	}
	if !v.Bool("auto-promote") {
		bad("auto-promote", "a member cannot pause without an end, the others would wait for it")
	}
	if v.IsSet("keep-warm") {
		bad("keep-warm", "a release of several members keeps all old versions until its end, and removes them then")
	}
	if command := v.String("command"); command == "history" || command == "forget" || command == "reap" {
		bad("command", "takes one deployment, not deployments or clusters")
	}
	for _, step := range v.Steps("steps") {
		if step.UntilPromoted {
			bad("steps", "a member cannot pause without an end, the others would wait for it")
		}
	}
}

// distinct adds the members that are one and the same Deployment.
func (r *reader) distinct(g *Group) {
	seen := map[string]string{}
	for _, m := range g.Members {
		var place []string
		for _, name := range append(connecting, "namespace", "deployment-name") {
			place = append(place, m.Values.String(name))
		}
		key := strings.Join(place, "\x00")
		if other, ok := seen[key]; ok {
			r.problems = append(r.problems, input.Problem{Name: Clusters, Value: m.Name, Reason: fmt.Sprintf("is the same deployment as %s", other), Allowed: "members that differ in cluster, namespace or name"})
		}
		seen[key] = m.Name
	}
}

// ordered returns Deployments such that each comes behind those that it names with
// after, and otherwise in the order of the input.
func ordered(all []entry) (sorted []entry, cycle string) {
	done := map[string]bool{}
	for len(sorted) < len(all) {
		i := slices.IndexFunc(all, func(e entry) bool {
			return !done[e.name] && !slices.ContainsFunc(e.after, func(name string) bool { return !done[name] })
		})
		if i < 0 {
			var left []string
			for _, e := range all {
				if !done[e.name] {
					left = append(left, e.name)
				}
			}
			return all, strings.Join(left, ", ")
		}
		done[all[i].name] = true
		sorted = append(sorted, all[i])
	}
	return sorted, ""
}

// source returns where an input's value came from, with its line.
func (r *reader) source(name string, line int) input.Source {
	s := r.values.Source(name)
	if line > 0 {
		s.Name = cmp.Or(s.Name, name) + fmt.Sprintf(", line %d", line)
	}
	return s
}
