package discover

import (
	"fmt"
	"slices"
)

// ofOneProtocol returns the entry points that take the same requests as the first
// one: a stream of probes speaks one protocol.
func ofOneProtocol(entries []EntryPoint, f *Found) []EntryPoint {
	if len(entries) == 0 {
		return nil
	}
	first := entries[0]
	return slices.DeleteFunc(entries, func(e EntryPoint) bool {
		other := e.GRPC != first.GRPC
		if other {
			f.Warnings = append(f.Warnings, fmt.Sprintf("there are routes for gRPC and others: the entry point %s with host %q is not watched; name one router, or one route", e.URL, e.Host))
		}
		return other
	})
}
