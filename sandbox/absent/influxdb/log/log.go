// Package log has the variable that Traefik clears.
package log

var Log any
