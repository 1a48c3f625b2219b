// Package release describes the newest release of one target: what was live
// before it, what it changed, and the state of its rollout.
//
// A Record has everything that another process needs to show, abort or finish
// the rollout. It is small, readable with kubectl and stored in one ConfigMap
// beside the Deployment. The package defines the format; internal/kube reads
// and writes it.
package release

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Run identifies a run, for users and for other runs.
type Run struct {
	ID      string    `json:"id"`
	URL     string    `json:"url,omitempty"`
	Started time.Time `json:"started"`
}

// String returns the ID, and the URL if there is one.
func (r Run) String() string {
	if r.URL != "" {
		return r.ID + " (" + r.URL + ")"
	}
	return r.ID
}

// A Revision is a recorded ReplicaSet: an image with its configuration that can
// receive traffic.
type Revision struct {
	ReplicaSet string `json:"replica_set"`
	UID        string `json:"uid"`
	Hash       string `json:"hash"` // its pod-template-hash
	Image      string `json:"image"`
	// Digests are the image digests that its pods run, "sha256:...".
	Digests []string `json:"digests,omitempty"`
	Pods    []Pod    `json:"pods,omitempty"`
}

// A Pod is the identity of one pod and the restart count of its container.
type Pod struct {
	Name     string `json:"name"`
	UID      string `json:"uid"`
	Restarts int32  `json:"restarts"`
}

// A Container is a container or init container of the released pod template.
type Container struct {
	Name  string `json:"name"`
	Init  bool   `json:"init,omitempty"`
	Image string `json:"image"`
	// Previous is its image before the release, "" for a container that the release
	// adds.
	Previous string `json:"previous,omitempty"`
}

// A Service is the selector of a Service before the first change.
type Service struct {
	Name     string            `json:"name"`
	Selector map[string]string `json:"selector"`
}

// A Route is the part of one route that a rollout changes, as it was before the
// first change.
type Route struct {
	// Router and Namespace are "" in records of version 1.0: those of the record; see
	// Record.RouterOf and Record.NamespaceOf.
	Router    string `json:"router,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Created: the user had no route, so the release made this one, and deletes it
	// at its end.
	Created bool `json:"created,omitempty"`
	// Rules is the recorded content, in the format of the router that made it.
	Rules json.RawMessage `json:"rules"`
}

// Extras are what a split does beside the weights; the zero value is nothing.
type Extras struct {
	// Header and Value lead a request to the canary, whatever its weight.
	Header string `json:"header,omitempty"`
	Value  string `json:"value,omitempty"`
	// Cookie, with the value "always", does the same.
	Cookie string `json:"cookie,omitempty"`
	// Mirror is the percentage of requests that the canary also gets; nobody waits
	// for its answers.
	Mirror int `json:"mirror,omitempty"`
	// Affinity is the cookie that keeps a user whom the canary answered on it, while
	// both versions have traffic. AffinityValue is its value, of this release.
	Affinity      string `json:"affinity,omitempty"`
	AffinityValue string `json:"affinity_value,omitempty"`
}

// Markers is what a process needs to attribute answers to versions: the place
// of the version in an answer, and the values of each version.
type Markers struct {
	Marker string   `json:"marker"` // in the format of probe.ParseMarker; "" if no marker distinguishes the versions
	Stable []string `json:"stable,omitempty"`
	Canary []string `json:"canary,omitempty"`
	// Status is the status of stable's answers before the first change.
	Status int `json:"status"`
	// Answers are more about them, by path. Older records have none.
	Answers []Answers `json:"answers,omitempty"`
}

// Answers is what stable answered to one path of the probes before the first change.
type Answers struct {
	Path   string `json:"path"`
	Status int    `json:"status"` // 0 if it is not known
	// Type is the content type without parameters, "" if it is not always the same.
	Type string `json:"type,omitempty"`
	// Smallest and Largest are the sizes of the bodies, in bytes.
	Smallest int64 `json:"smallest,omitempty"`
	Largest  int64 `json:"largest,omitempty"`
}

// A Record is the stored state of the newest release of one target.
type Record struct {
	Schema     int    `json:"schema"`
	Token      int64  `json:"token"` // of the lease it was written under
	Run        Run    `json:"run"`
	Namespace  string `json:"namespace"`
	Deployment string `json:"deployment"`
	Container  string `json:"container"`
	Service    string `json:"service"`
	// VersionLabel is the label key that carries the side; VersionBefore is
	// its value in the user's template before the release, nil if it had none.
	VersionLabel  string  `json:"version_label"`
	VersionBefore *string `json:"version_before,omitempty"`
	Image         string  `json:"image"`
	// Containers are all containers of the released pod template with their images.
	// Older records have none: there the release gives Image to Container.
	Containers []Container `json:"containers,omitempty"`
	// Template is the released pod template as the API server would store it, without
	// the version label. It is empty if only images change.
	Template json.RawMessage `json:"template,omitempty"`
	// Manifests: the release applies manifests, and has not applied or undone all of
	// them yet.
	Manifests bool      `json:"manifests,omitempty"`
	Replicas  int32     `json:"replicas"`
	Stable    Revision  `json:"stable"`
	Canary    Revision  `json:"canary,omitzero"`
	Services  []Service `json:"services"`
	Router    string    `json:"router"` // of the first route; that of all routes without one of their own
	Routes    []Route   `json:"routes"`
	// Extras are what the routes do beside the weights during the release.
	Extras    Extras    `json:"extras,omitzero"`
	WarmUntil time.Time `json:"warm_until,omitzero"`
	// Colours are the slots of the release. Older records have none.
	Colours Colours `json:"colours,omitzero"`
	// Smoke are the smoke tests of a blue-green release, in the format of package
	// smoke, for every process of the release.
	Smoke json.RawMessage `json:"smoke,omitempty"`
	// Rolling is what a rolling update needs; nil for other strategies.
	Rolling *Rolling `json:"rolling,omitempty"`
	// Reverted: Stable and Canary are exchanged, see Swap.
	Reverted bool `json:"reverted,omitempty"`
	// Entry is the entry point that the probes used, MoreEntries are the others: of
	// other gateways, and of routes with other hosts.
	Entry       Entry   `json:"entry,omitzero"`
	MoreEntries []Entry `json:"more_entries,omitempty"`
	// PreviousImage is the image that served before this release.
	PreviousImage string `json:"previous_image,omitempty"`
	// Inputs are the settings of the run that another process needs to go on.
	Inputs map[string]string `json:"inputs,omitempty"`
	// History has the releases before this one, the newest first.
	History []Past   `json:"history,omitempty"`
	Markers *Markers `json:"marker,omitempty"`
	// Rises are what the last releases' latencies did from step to step, for the
	// next one.
	Rises analysis.Rises `json:"rises,omitempty"`
	// Preflight is the value of the request header that routes to the canary
	// whatever its weight; "" for no preflight route.
	Preflight string `json:"preflight,omitempty"`
	// PreflightStable is the value that routes to stable. With it the preflight
	// routes stay until the hand-over; if it is "", they go at the first weight.
	PreflightStable string `json:"preflight_stable,omitempty"`
	// MarkPreflight: the gateway marks the answers to test requests, because the
	// versions cannot be distinguished otherwise.
	MarkPreflight bool `json:"mark_preflight,omitempty"`
	// Group is the release of several members that this one belongs to, nil for none.
	Group *Group        `json:"group,omitempty"`
	Plan  rollout.Plan  `json:"plan"`
	State rollout.State `json:"state"`
}

// An Entry is the public entry point of users' requests.
type Entry struct {
	URL  string `json:"url"`            // scheme, address and port
	Host string `json:"host,omitempty"` // the Host header, "" for the URL's
	GRPC bool   `json:"grpc,omitempty"` // it takes gRPC requests
}

// A Past is a release that has ended.
type Past struct {
	Image    string        `json:"image"`
	Previous string        `json:"previous,omitempty"`
	Run      Run           `json:"run"`
	Ended    time.Time     `json:"ended"`
	Phase    rollout.Phase `json:"phase"`
	Reason   string        `json:"reason,omitempty"`
}

// historyLimit bounds History.
const historyLimit = 20

// Rolling is the workload of a rolling update, and the settings of its updates as
// they were and as the release leaves them, in the format of package kube/rolling.
type Rolling struct {
	Kind   string          `json:"kind"` // Deployment, StatefulSet or DaemonSet
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
	// MinReady is how long a new pod has to be ready before the next one is replaced.
	MinReady time.Duration `json:"min_ready,omitempty"`
	// PreStop is the sleep that the release adds to its container, for its next end;
	// 0 for none.
	PreStop time.Duration `json:"pre_stop,omitempty"`
}

// Workload returns the workload as kubectl names it: kind/name.
func (r *Record) Workload() string {
	if r.Rolling == nil {
		return "deployment/" + r.Deployment
	}
	return strings.ToLower(r.Rolling.Kind) + "/" + r.Deployment
}

// Past returns this release and those before it, as the history of the next one.
func (r *Record) Past() []Past {
	if r == nil {
		return nil
	}
	this := Past{Image: r.Image, Previous: r.PreviousImage, Run: r.Run, Ended: r.State.Since, Phase: r.State.Phase, Reason: r.State.Reason}
	past := append([]Past{this}, r.History...)
	return past[:min(len(past), historyLimit)]
}

// Images returns the images that the release gives to containers and init
// containers, by name.
func (r *Record) Images() map[string]string {
	if len(r.Containers) == 0 {
		return map[string]string{r.Container: r.Image}
	}
	images := map[string]string{}
	for _, c := range r.Containers {
		images[c.Name] = c.Image
	}
	return images
}

// ChangesPods reports whether the release changes the pod template at all.
func (r *Record) ChangesPods() bool {
	if len(r.Template) > 0 || r.Rolling != nil && r.Rolling.PreStop > 0 {
		return true
	}
	if len(r.Containers) == 0 {
		return r.Stable.Image != r.Image
	}
	return slices.ContainsFunc(r.Containers, func(c Container) bool { return c.Image != c.Previous })
}

// Swap exchanges the sides: the revision from before the release becomes the
// canary, which takes all traffic and then the Deployment.
func (r *Record) Swap() {
	r.Stable, r.Canary = r.Canary, r.Stable
	if r.Markers != nil {
		r.Markers.Stable, r.Markers.Canary = r.Markers.Canary, r.Markers.Stable
	}
	r.Reverted = !r.Reverted
}

// RouterOf returns the name of the router that writes a route.
func (r *Record) RouterOf(route Route) string { return cmp.Or(route.Router, r.Router) }

// NamespaceOf returns the namespace of a route.
func (r *Record) NamespaceOf(route Route) string { return cmp.Or(route.Namespace, r.Namespace) }

// CanaryService returns the name of the Service of the canary, after the
// promotion of the old revision: "<service>-canary".
func (r *Record) CanaryService() string { return r.Service + "-canary" }

// CanaryDeployment returns the name of the canary Deployment.
func (r *Record) CanaryDeployment() string { return r.Deployment + "-canary" }

// Unfinished reports whether the release left something that the next run has
// to finish first, other than a warm revision. It is false for a nil record.
func (r *Record) Unfinished() bool {
	return r != nil && !r.Warm() && (!r.State.Phase.Terminal() || r.State.Leftover != "")
}

// Warm reports whether the old revision of a promoted release still has its
// pods. It is false for a nil record. Records of version 1.0 have no leftover
// then.
func (r *Record) Warm() bool {
	return r != nil && r.State.Phase == rollout.PhasePromoted &&
		(r.State.Leftover == rollout.LeftoverPrevious || r.State.Leftover == "" && !r.WarmUntil.IsZero())
}
