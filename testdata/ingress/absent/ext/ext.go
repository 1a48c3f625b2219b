// Package ext has the fields that another edition of Traefik adds to routes: none.
package ext

// HTTP are more fields of the HTTP configuration.
type HTTP struct{}

// Router are more fields of a router.
type Router struct{}
