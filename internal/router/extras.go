package router

import "github.com/candlefish/deploy-action/internal/release"

// A Fitter is an Extender that can do an extra only for some routes or gateways.
type Fitter interface {
	// Fits returns an error that names the extra and why the route cannot have it.
	// class is the class of the route's gateway, nil if it has none.
	Fits(route Object, saved release.Route, x Extras, class Object) error
}

// A Neighbor is a Router that records objects of the user's beside the route.
type Neighbor interface {
	NeighborKind() Kind
	// SaveNeighbors adds to what Save returned what a release needs of the objects of
	// that kind in the route's namespace.
	SaveNeighbors(saved release.Route, service, namespace string, objects []Object) (release.Route, error)
}

// A Limiter is a Router whose routes have named rules, of which a release can
// change some.
type Limiter interface {
	// Limit returns what Save recorded of the rules with these names. It returns an
	// error that says which name no such rule has.
	Limit(saved release.Route, names []string) (release.Route, error)
}

// A Featured is a Gatewayed whose gateways have classes, which tell what their
// controllers can.
type Featured interface {
	// FeaturesOf names the class of a gateway.
	FeaturesOf(gateway Object) (class Kind, name string)
}

// A Caller is a Gatewayed whose routes may be for gRPC alone.
type Caller interface{ CallsGRPC() bool }

// A Fronted is a Gatewayed whose gateways have no address of their own: a Service
// in front of their pods has it.
type Fronted interface {
	// Selector selects the gateway's pods.
	Selector(gateway Object) map[string]string
	// FrontNamespaces lists where such Services are, beside the gateway's namespace.
	FrontNamespaces() []string
	// FrontURL is the gateway's address at a Service that selects its pods, "" if it
	// has none there.
	FrontURL(gateway, service Object) string
}

// SetCookie is the value of the header Set-Cookie that keeps a user on the canary.
// It is a session's cookie, and its value is of one release, so the next release's
// canary gets no users by it.
func SetCookie(x Extras) string {
	return x.Affinity + "=" + x.AffinityValue + "; Path=/; HttpOnly; SameSite=Lax"
}
