package gatewayapi

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/router"
	"github.com/candlefish/deploy-action/internal/router/object"
)

var (
	_ router.Extender  = Router{}
	_ router.Fitter    = Router{}
	_ router.Featured  = Router{}
	_ router.Companied = Router{}
)

// Supports implements router.Extender. What a gateway can beside headers and cookies
// depends on its class, see Fits.
func (Router) Supports(router.Extras) error { return nil }

// FeaturesOf implements router.Featured.
func (Router) FeaturesOf(gateway router.Object) (router.Kind, string) {
	kind := router.Kind{Group: group, Version: version, Resource: "gatewayclasses", Name: "GatewayClass"}
	return kind, object.Text(object.Child(gateway, "spec"), "gatewayClassName")
}

// The features that a GatewayClass lists in its status,
// https://gateway-api.sigs.k8s.io/concepts/conformance/.
const (
	featureMirror        = "HTTPRouteRequestMirror"
	featureMirrorPercent = "HTTPRouteRequestPercentageMirror"
	// featureBackendFilters is about the headers of requests; there is none about
	// those of answers. A gateway without it ignores the filters of single backends.
	featureBackendFilters = "HTTPRouteBackendRequestHeaderModification"
)

// Fits implements router.Fitter. An extra that the gateway's class does not list is
// refused: some gateways answer 500 to a rule with a filter that they do not know,
// and others ignore it.
func (r Router) Fits(route router.Object, saved release.Route, x router.Extras, class router.Object) error {
	if r.grpc && (x.Cookie != "" || x.Mirror > 0 || x.Affinity != "") {
		return fmt.Errorf("grpcroute %s: gRPC clients keep no cookies, and GatewayClasses list no mirrors for GRPCRoutes; of the extras they have canary-header alone", saved.Name)
	}
	need := func(extra, feature string) error {
		if lists(class, feature) {
			return nil
		}
		return fmt.Errorf("%s: the gateway's class %q does not list the feature %s in its status", extra, object.Name(class), feature)
	}
	if x.Mirror > 0 {
		if err := need("mirror", featureMirror); err != nil {
			return err
		}
		if x.Mirror < 100 {
			if err := need(fmt.Sprintf("mirror %d %%", x.Mirror), featureMirrorPercent); err != nil {
				return err
			}
		}
	}
	if x.Affinity != "" {
		if err := need("affinity", featureBackendFilters); err != nil {
			return err
		}
	}
	if marks := len(marksOf(x)); !r.Room(route, saved, marks) {
		return fmt.Errorf("%s %s has too many rules or matches for a route beside it with %d of each for marked requests", r.Kind(), saved.Name, marks)
	}
	return nil
}

// lists reports whether a GatewayClass lists a feature.
func lists(class router.Object, feature string) bool {
	return slices.ContainsFunc(object.List(object.Child(class, "status"), "supportedFeatures"), func(f any) bool {
		return f == feature || object.Text(f, "name") == feature
	})
}

// CompanionKinds implements router.Companied.
func (r Router) CompanionKinds() []router.Kind { return []router.Kind{r.Kind()} }

// Companions implements router.Companied: with marks in the extras, a route beside
// the user's for marked requests. While the canary has traffic it leads to the
// canary, else to the Service: its deletion alone would be seen by nobody.
func (r Router) Companions(route router.Object, saved release.Route, to router.Split) ([]router.Companion, error) {
	marks := marksOf(to.Extras)
	if len(marks) == 0 || to.Weight == router.Original {
		return nil, nil
	}
	service := to.Service
	if to.Weight > 0 {
		service = to.CanaryService
	}
	for i := range marks {
		marks[i].service = service
	}
	object, err := r.beside(route, saved, to, marks)
	if err != nil {
		return nil, err
	}
	object["metadata"] = map[string]any{"name": saved.Name + "-marked"}
	return []router.Companion{{Kind: r.Kind(), Object: object}}, nil
}

// marksOf returns the marks that lead to the canary.
func marksOf(x router.Extras) []mark {
	var marks []mark
	if x.Header != "" {
		marks = append(marks, mark{match: map[string]any{"type": "Exact", "name": x.Header, "value": x.Value}})
	}
	cookie := func(name, value string) {
		marks = append(marks, mark{match: map[string]any{"type": "RegularExpression", "name": "Cookie", "value": cookiePattern(name, value)}})
	}
	if x.Cookie != "" {
		cookie(x.Cookie, "always")
	}
	if x.Affinity != "" {
		cookie(x.Affinity, x.AffinityValue)
	}
	return marks
}

// cookiePattern matches the header Cookie of a request with a cookie of this value,
// whether a gateway's patterns cover the whole header or a part of it.
func cookiePattern(name, value string) string {
	return `^(.*;\s*)?` + regexp.QuoteMeta(name) + "=" + regexp.QuoteMeta(value) + `(;.*)?$`
}

// extended returns a backendRef of the canary with what the extras add to it: the
// filter that lets its answers set the cookie of the affinity.
func extended(ref map[string]any, to router.Split) map[string]any {
	if to.Extras.Affinity == "" || !both(to) {
		return ref
	}
	own := maps.Clone(ref)
	own["filters"] = modified(object.List(ref, "filters"), "add", "Set-Cookie", router.SetCookie(to.Extras))
	return own
}

// both reports whether both versions have traffic.
func both(to router.Split) bool { return to.Weight > 0 && to.Weight < 100 }

// withoutMirror returns a rule's filters without the mirror of ours.
func withoutMirror(filters []any, to router.Split) []any {
	return slices.DeleteFunc(slices.Clone(filters), func(f any) bool {
		return refersTo(object.Child(object.Child(f, "requestMirror"), "backendRef"), to.CanaryService, to)
	})
}

// withMirror returns a rule's filters with the mirror of the split, if it has one. ref
// is the backendRef of the Service.
func withMirror(filters []any, ref map[string]any, to router.Split) []any {
	own := withoutMirror(filters, to)
	if to.Extras.Mirror == 0 || !both(to) {
		return own
	}
	backend := map[string]any{}
	for _, key := range []string{"group", "kind", "namespace", "port"} {
		if value, has := ref[key]; has {
			backend[key] = value
		}
	}
	backend["name"] = to.CanaryService
	mirror := map[string]any{"backendRef": backend}
	if to.Extras.Mirror < 100 {
		mirror["percent"] = int64(to.Extras.Mirror)
	}
	return append(own, map[string]any{"type": "RequestMirror", "requestMirror": mirror})
}
