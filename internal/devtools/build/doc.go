// Package build is what the magefile does: test, lint, generate, build. It is
// ordinary Go so that it can be tested; the magefile only names its functions.
//
// Every command's output is shown as it comes. A step that says nothing for a
// while gets a line that tells it is alive. A step's failure does not stop the
// others, but it is in the sum at the end.
package build
