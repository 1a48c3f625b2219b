// Package router defines the interface of a router: it shifts traffic between
// two Services with a route object, such as an HTTPRoute.
//
// A Router is pure: it takes objects from the API server and returns patches;
// the caller reads, watches and writes. It changes only the weights, and it
// refuses to overwrite the change of another client. To add one, see
// CONTRIBUTING.md.
package router

import (
	"strings"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/release"
)

// An Object is an object of the Kubernetes API as decoded JSON, whole numbers
// as int64. Objects are read-only.
type Object = map[string]any

// A Kind is a kind of object and its API resource.
type Kind struct {
	Group, Version string
	Resource       string // plural, lower case: "httproutes"
	Name           string // "HTTPRoute"
}

// String returns the kind in lower case, for messages.
func (k Kind) String() string { return strings.ToLower(k.Name) }

// A Split distributes requests between two Services of a namespace.
type Split struct {
	Namespace     string
	Service       string // of the stable version; what the user's route names
	CanaryService string
	Weight        int // percent to the canary, or Original
	Extras        Extras
	// PinHeader and Pins lead test requests; only an Inline gets them.
	PinHeader string
	Pins      []Pin
	// RouteNamespace is the namespace of the route, "" for that of the Services.
	RouteNamespace string
	// VersionLabel is the label that tells the versions' pods apart; its values are
	// those of rollout.Side.
	VersionLabel string
	// CanaryHash is the pod-template-hash of the canary's pods, "" before they exist.
	CanaryHash string
}

// Abroad reports whether the route is in another namespace than the Services.
func (s Split) Abroad() bool { return s.RouteNamespace != "" && s.RouteNamespace != s.Namespace }

// Extras are what a split does beside the weights, the zero value nothing. A
// router does only those that it Supports.
type Extras = release.Extras

// An Extender is a Router with extras.
type Extender interface {
	// Supports returns an error that names the first extra that the router cannot do.
	Supports(x Extras) error
}

// A Companied is a Router that needs objects of its own beside the user's routes,
// such as Istio's DestinationRule or the canary Ingress of NGINX.
type Companied interface {
	// CompanionKinds lists the kinds of Companions.
	CompanionKinds() []Kind
	// Companions returns the objects that exist beside the route while it has the
	// split. The caller adds namespace, labels and annotations of the run, writes them
	// before the route's patch, and deletes them at the end of the release, after the
	// drain.
	Companions(route Object, saved release.Route, to Split) ([]Companion, error)
}

// A Companion is an object beside a route.
type Companion struct {
	Kind   Kind
	Object Object
}

// A Maker is a Router that can make the route to a Service where the user has
// none. The caller deletes it at the end of the release.
type Maker interface {
	Make(namespace, service string) Object
}

// A Coarse is a Router that cannot split as finely as percents.
type Coarse interface {
	// Refuses says why the router cannot give the canary this weight, "" if it can.
	Refuses(weight int) string
}

// An Abroad is a Router whose routes may lead to Services of other namespaces.
type Abroad interface {
	// SaveAbroad is Save for a Service of this namespace.
	SaveAbroad(route Object, namespace, service string) (saved release.Route, ok bool, err error)
	// GrantKind is the kind of object in a Service's namespace that allows it.
	GrantKind() Kind
	// From lists the namespaces whose routes the grants let lead to Services of
	// theirs.
	From(grants []Object) []string
	// Granted reports whether one of the grants lets a route lead to the Service.
	Granted(route Object, grants []Object, service string) bool
}

// A Selecting is a Router whose routes are the user's Services themselves. It moves
// requests by their selectors, so it needs no other route, and is the last choice. It
// has no route for test requests, and an open connection stays with its pod.
type Selecting interface {
	// Selects reports whether a Service selects the canary alone.
	Selects(service Object, s Split) bool
}

// Original is the weight for the route as the user wrote it.
const Original = -1

// A ConflictError says that a route is not as this tool left it: a write would
// undo the change of another client.
type ConflictError struct {
	What string // the object and the field
}

func (e *ConflictError) Error() string { return e.What + " differs from the record" }

// A Router handles one kind of route.
type Router interface {
	// Name is the router's name in the input "router" and in the record.
	Name() string
	Kind() Kind
	// Save returns the part of a route that a rollout changes; ok is false if the
	// route does not point at the Service.
	Save(route Object, service string) (saved release.Route, ok bool, err error)
	// Write returns the patch that gives the route the split, an empty patch if
	// the route already has it. It returns a *ConflictError if the route's
	// backends are neither the recorded ones nor a split of them.
	Write(route Object, saved release.Route, to Split) (jsonpatch.Patch, error)
	// Accepted reports whether every reader of the route has accepted its newest
	// generation, which must be at least this one; if not, why.
	Accepted(route Object, generation int64) (ok bool, why string)
	// Drift names what differs from the split last written, "" for nothing.
	Drift(route Object, saved release.Route, was Split) string
}

// A Preflighter is a Router that can route test requests to one version alone,
// whatever the weights.
type Preflighter interface {
	// Preflight returns a route, beside the user's, that takes only the requests
	// with one of the pins' values in this header and sends them to its Service.
	Preflight(route Object, saved release.Route, s Split, header string, pins ...Pin) (Object, error)
	// Room reports whether a route can have so many pins.
	Room(route Object, saved release.Route, pins int) bool
}

// A Pin is a header value that leads to one Service alone.
type Pin struct {
	Value   string // of the request header
	Service string // in the namespace of the route
	// Mark is the value of the same header in the answers, "" for no such header.
	Mark string
}

// An Unsplitter is a Router that can tell from a split what the route was before
// it.
type Unsplitter interface {
	// Unsplit returns what Save would have returned before the route was split. It is
	// saved itself if it has no canary Service, and an error if it is not a split.
	Unsplit(saved release.Route, s Split) (release.Route, error)
}

// The values of the response header that marks the answers to test requests.
const (
	PreflightMark = "canary"
	StableMark    = "stable"
)

// A Gatewayed is a Router whose routes are attached to gateways, which have
// addresses.
type Gatewayed interface {
	GatewayKind() Kind
	// Host is the host name that a request for the route carries, "" for any.
	Host(route Object) string
	// Gateways lists the gateways of the route, in its order.
	Gateways(route Object) []GatewayRef
	// URL is the address of the gateway's listener, "" when it has none.
	URL(gateway Object, listener string) string
}

// A GatewayRef names a gateway and one of its listeners, "" for any.
type GatewayRef struct{ Namespace, Name, Listener string }

// A Classed is a Router whose kind of route several controllers share. The class of
// a route says who reads it.
type Classed interface {
	ClassKind() Kind
	// Reads reports whether the router's controller reads the route, given the classes
	// of the cluster, nil if they are not known.
	Reads(route Object, classes []Object) bool
}

// An Inline is a Router that leads test requests by the split itself, because its
// controller refuses a second route beside the user's.
type Inline interface {
	// PinValues are the values of the header that lead to the canary and to stable, ""
	// for values that the caller chooses.
	PinValues() (canary, stable string)
	// Untestable says why test requests cannot reach the canary before its first weight,
	// and why they cannot reach each version during the whole rollout; "" if they can.
	Untestable(x Extras) (before, during string)
}

// A Markless is a Router that cannot set a header of answers, as Pin.Mark asks for.
type Markless interface{ Markless() }

// A Critic is a Router that finds in a route and around it what speaks against a
// split.
type Critic interface {
	// Criticize returns sentences: obstacles prevent the release, warnings do not.
	Criticize(route Object, saved release.Route, with Surroundings) (obstacles, warnings []string)
}

// Surroundings are the objects around a route.
type Surroundings struct {
	Namespace string
	Others    []Object // of the route's kind in its namespace, without those of a release
	Service   Object   // that the route leads to
	// Gated: the namespace has the label by which AWS makes pods wait for their targets'
	// health.
	Gated bool
}
