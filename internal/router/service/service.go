// Package service moves traffic by the selector of the user's own Service, where
// nothing else is installed: to one version or the other by the router service, or to
// both, by the number of their pods, by the router replicas.
//
// The Service is the route. At weight 0 it selects the stable version by its label, at
// 100 the canary by the hash of its ReplicaSet, which no pod ever loses: it is the
// selector that the hand-over needs.
package service

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

// hashLabel is the label of a pod with the hash of its template.
const hashLabel = "pod-template-hash"

// Kind is the kind of the routes: Services.
var Kind = router.Kind{Version: "v1", Resource: "services", Name: "Service"}

// A Router gives all requests to one version.
type Router struct{}

var (
	_ router.Router     = Router{}
	_ router.Selecting  = Router{}
	_ router.Coarse     = Router{}
	_ router.Gatewayed  = Router{}
	_ router.Unsplitter = Router{}
)

// Name implements router.Router.
func (Router) Name() string { return "service" }

// Kind implements router.Router.
func (Router) Kind() router.Kind { return Kind }

// Refuses implements router.Coarse.
func (Router) Refuses(weight int) string {
	if weight == 0 || weight == 100 {
		return ""
	}
	return fmt.Sprintf("the router service gives all requests to one version, and no %d %%: set steps: 100, or router: replicas for shares by the number of pods", weight)
}

// Selects implements router.Selecting.
func (Router) Selects(service router.Object, s router.Split) bool {
	return selector(service)[hashLabel] == s.CanaryHash && s.CanaryHash != ""
}

// saved is what a record has of a Service.
type saved struct {
	Selector map[string]string `json:"selector"`
}

// Save implements router.Router. A headless Service is no route: its clients choose
// the pods themselves.
func (Router) Save(route router.Object, service string) (release.Route, bool, error) {
	name := object.Text(object.Child(route, "metadata"), "name")
	raw, err := json.Marshal(saved{selector(route)})
	if err != nil {
		return release.Route{}, false, fmt.Errorf("record service %s: %w", name, err)
	}
	spec := object.Child(route, "spec")
	leads := name == service && len(selector(route)) > 0 && object.Text(spec, "clusterIP") != "None" && object.Text(spec, "type") != "ExternalName"
	return release.Route{Name: name, Rules: raw}, leads, nil
}

// Write implements router.Router.
func (Router) Write(route router.Object, r release.Route, to router.Split) (jsonpatch.Patch, error) {
	return write(route, r, to, false)
}

// Drift implements router.Router.
func (Router) Drift(route router.Object, r release.Route, was router.Split) string {
	return drift(route, r, was, false)
}

// Accepted implements router.Router. Nobody says when the nodes follow: the answers
// show it.
func (Router) Accepted(route router.Object, generation int64) (bool, string) {
	newest, _ := object.Child(route, "metadata")["generation"].(int64)
	return newest >= generation, "the watch is behind"
}

// Unsplit implements router.Unsplitter.
func (Router) Unsplit(r release.Route, s router.Split) (release.Route, error) {
	before, err := decode(r)
	if err != nil {
		return r, err
	}
	r.Rules, err = json.Marshal(saved{base(before, s)})
	return r, err
}

func decode(r release.Route) (map[string]string, error) {
	var s saved
	if err := json.Unmarshal(r.Rules, &s); err != nil {
		return nil, fmt.Errorf("read the recorded selector of service %s: %w", r.Name, err)
	}
	return s.Selector, nil
}

// base returns a selector without the labels that narrow it to one version.
func base(selector map[string]string, s router.Split) map[string]string {
	plain := maps.Clone(selector)
	if rollout.Side(plain[s.VersionLabel]).Written() {
		delete(plain, s.VersionLabel)
	}
	delete(plain, hashLabel)
	return plain
}

// wanted returns the selector for a split of a plain one. shared: both versions get
// requests between 0 and 100.
func wanted(plain map[string]string, to router.Split, shared bool) (map[string]string, error) {
	want := maps.Clone(plain)
	switch {
	case to.Weight <= 0:
		want[to.VersionLabel] = string(rollout.SideStable)
	case to.Weight == 100 && to.CanaryHash == "":
		return nil, fmt.Errorf("the canary has no ReplicaSet yet")
	case to.Weight == 100:
		want[hashLabel] = to.CanaryHash
	case !shared:
		return nil, fmt.Errorf("%s", Router{}.Refuses(to.Weight))
	}
	return want, nil
}

// write returns the patch of a selector. On the way back the rest of the selector is
// as it is now: the user may have changed it, and the canary must get nothing. As the
// user wrote it, the Service may select no pods of the canary; the labels that narrow
// it go when there are none.
func write(route router.Object, r release.Route, to router.Split, shared bool) (jsonpatch.Patch, error) {
	metadata := object.Child(route, "metadata")
	patch := jsonpatch.Guarded(object.Text(metadata, "resourceVersion"))
	before, err := decode(r)
	if err != nil {
		return patch, err
	}
	have := selector(route)
	plain := base(have, to)
	switch {
	case to.Weight == router.Original && (have[hashLabel] == "" || have[hashLabel] != to.CanaryHash):
		return patch, nil
	case to.Weight > 0 && !maps.Equal(plain, before):
		return patch, &router.ConflictError{What: "the selector of service " + r.Name}
	}
	want, err := wanted(plain, to, shared)
	if err != nil || maps.Equal(have, want) {
		return patch, err
	}
	return patch.Replace("/spec/selector", want), nil
}

func drift(route router.Object, r release.Route, was router.Split, shared bool) string {
	what := "the selector of service " + r.Name
	before, err := decode(r)
	if err != nil {
		return err.Error()
	}
	have := selector(route)
	if was.Weight == router.Original {
		if maps.Equal(base(have, was), before) && (have[hashLabel] == "" || have[hashLabel] != was.CanaryHash) {
			return ""
		}
		return what
	}
	if want, err := wanted(before, was, shared); err != nil || !maps.Equal(have, want) {
		return what
	}
	return ""
}

func selector(route router.Object) map[string]string {
	s := map[string]string{}
	for key, value := range object.Child(object.Child(route, "spec"), "selector") {
		s[key], _ = value.(string)
	}
	return s
}
