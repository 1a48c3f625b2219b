// Package write has the name of a point.
package write

type Point struct{}
