// Package github asks and tells GitHub what a preview needs: pull requests and
// branches, the one comment, deployments and environments; and it reads the
// events that start a workflow. It is the only package that imports go-github.
//
// Three rules keep it true. What is here is what GitHub said: a list that could
// not be read to its end is an error, never a shorter list, since whoever cleans
// up deletes what is not on it. A request that may have been carried out is sent
// again only if twice is the same as once. The token goes to the API's own host
// and into no error.
//
// Limits are waited for when they are short, by the clock of Options; a longer
// one is a *RateLimitError. go-github's own memory of limits goes by the wall
// clock and is kept from working.
package github
