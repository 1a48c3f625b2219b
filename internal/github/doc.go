// Package github reads and writes on GitHub what a preview needs: pull requests and
// branches, one comment, deployments and environments. It also parses the events
// that start a workflow. It is the only package that imports go-github.
//
// Three rules. A list that could not be read to its end is an error, never a shorter
// list, since a clean-up deletes what is not on it. A request that may have been
// processed is retried only if it is idempotent. The token is sent to the API's own
// host only, and is in no error.
//
// Short rate limits are waited for, by the clock of Options; a longer one is a
// *RateLimitError. go-github's own tracking of limits uses the wall clock and is
// disabled.
package github
