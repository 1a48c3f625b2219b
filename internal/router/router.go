// Package router is the contract of what shifts traffic between two Services: a
// route object of some kind, such as an HTTPRoute.
//
// A Router is pure: it gets objects as the API server has them and returns
// patches. Somebody else reads, watches and writes. It changes the weights and
// nothing beside them, and it refuses to write over what somebody else put
// there. To add one, see CONTRIBUTING.md.
package router

import (
	"strings"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/release"
)

// An Object is an object of the Kubernetes API as decoded JSON, whole numbers as
// int64. Nobody changes one in place.
type Object = map[string]any

// A Kind is a kind of objects and where the API serves it.
type Kind struct {
	Group, Version string
	Resource       string // plural, lower case: "httproutes"
	Name           string // "HTTPRoute"
}

// String returns the kind in lower case, as messages have it.
func (k Kind) String() string { return strings.ToLower(k.Name) }

// A Split is how requests are shared out between two Services of a namespace.
type Split struct {
	Namespace     string
	Service       string // of the stable version; what the user's route names
	CanaryService string
	Weight        int // percent to the canary, or Original
}

// Original is the weight that stands for the route as the user wrote it.
const Original = -1

// A ConflictError says that a route is not as this tool left it, so that writing
// to it would undo what somebody else did.
type ConflictError struct {
	What string // the object and the field
}

func (e *ConflictError) Error() string { return e.What + " is not as it was recorded" }

// A Router knows one kind of route.
type Router interface {
	// Name is what the input "router" and the record call it.
	Name() string
	Kind() Kind
	// Save records what a rollout changes in a route; ok is false when the
	// route does not lead to the Service.
	Save(route Object, service string) (saved release.Route, ok bool, err error)
	// Write returns the patch that gives the route the split, an empty one
	// when it has it. It returns a *ConflictError when the route's backends
	// are neither the recorded ones nor some split of them.
	Write(route Object, saved release.Route, to Split) (jsonpatch.Patch, error)
	// Accepted reports whether everything that reads the route has taken over
	// its newest generation, which must be at least this one; if not, why.
	Accepted(route Object, generation int64) (ok bool, why string)
	// Drift names what differs from a split that was written, "" for nothing.
	Drift(route Object, saved release.Route, was Split) string
}

// A Preflighter is a Router that can lead test requests to a canary without
// weight.
type Preflighter interface {
	// Preflight returns a new route beside the user's that takes only the
	// requests with this header and leads all of them to the canary.
	Preflight(route Object, saved release.Route, s Split, header, value string) (Object, error)
}

// A Gatewayed is a Router whose routes hang on gateways, which have addresses.
type Gatewayed interface {
	GatewayKind() Kind
	// Host is the host name that a request for the route carries, "" for any.
	Host(route Object) string
	// Gateways lists what the route hangs on, in its order.
	Gateways(route Object) []GatewayRef
	// URL is the address of the gateway's listener, "" when it has none.
	URL(gateway Object, listener string) string
}

// A GatewayRef names a gateway and one of its listeners, "" for any.
type GatewayRef struct{ Namespace, Name, Listener string }
