package probe

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// DiscoverPod finds a header with a pod's name in answers that are all by the pods of
// one ReplicaSet. It is for versions of the same image, whose version headers may say
// the same. The error is ErrNoMarker if there is none; the Book is strict, as that of
// Discover.
func DiscoverPod(answers []http.Header, replicaSet string) (Marker, *Book, error) {
	prefix := replicaSet + "-"
	for _, name := range candidates {
		m := Marker{Header: name, Pod: isPodHeader(name)}
		values, missing := m.values(answers)
		foreign := slices.ContainsFunc(values, func(v string) bool { return !strings.HasPrefix(v, prefix) })
		if m.Pod && len(values) > 0 && missing == 0 && !foreign {
			book := &Book{strict: true}
			book.Learn(rollout.SideStable, values...)
			return m, book, nil
		}
	}
	return Marker{}, nil, fmt.Errorf("%w: both have the same image, and no header has the names of their pods", ErrNoMarker)
}
