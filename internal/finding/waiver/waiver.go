// Package waiver has the reviewed, dated, reasoned exceptions to findings: one
// file for all tools.
//
// Every waiver has an owner, a reason and an end, at most [MaxAge] away. What has
// expired holds no longer and is reported, as is what matches nothing and what
// ends soon. A waiver never holds for a secret that was verified as live.
package waiver

import "time"

// A Waiver is one exception.
type Waiver struct {
	Name string // file and line, for messages
	// ID is a CVE, GHSA, OSV or GO identifier, or a rule as "tool/rule"; Fingerprint
	// a finding's ID. Exactly one is set.
	ID, Fingerprint string
	// Scope limits an ID to paths, by globs as in .gitignore without negation; empty is
	// everywhere. Images and hosts are matched by "image:..." and "host:...".
	Scope   []string
	Reason  string
	Kind    string // a word of SARIF 2.2's draft: risk-accepted, fix-deferred, tool-noise, not-feasible, not-for-release
	Owner   string
	Created time.Time // zero if not given
	Expires time.Time
}
