// Package waiver has the reviewed, dated, reasoned exceptions to findings: one
// file for all tools.
//
// Every waiver has an owner, a reason and an end, at most [MaxAge] away. What has
// expired holds no longer and is reported, as is what matches nothing and what
// ends soon. A waiver never holds for a secret that was verified as live.
//
// [Parse] reads the file and refuses it as a whole if anything in it is wrong.
// [Policy.Apply] says which findings are waived. The package does no I/O and has no
// clock.
package waiver

import (
	"slices"
	"strings"
	"time"
)

// File is the usual name of the file.
const File = "security-waivers.yaml"

// A Waiver is one exception.
type Waiver struct {
	Name string // file and line, for messages
	// ID is a CVE, GHSA, OSV or GO identifier, or a rule as "tool/rule"; Fingerprint
	// a finding's ID. Exactly one is set.
	ID, Fingerprint string
	// Aliases are other identifiers of the vulnerability ID.
	Aliases []string
	// Commits narrow the fingerprint of a secret, which is that of its place, to the
	// secret that these commits have, see [finding.Finding.Commits]: one that replaces
	// it is not waived. Empty is whatever is at the place.
	Commits []string
	// Scope limits an ID to paths, by globs as in .gitignore without negation; empty is
	// everywhere. Images and hosts are matched by "image:..." and "host:...", the
	// packages of statements in OpenVEX by "pkg:...".
	Scope   []string
	Reason  string
	Kind    string // one of Kinds
	Owner   string
	Created time.Time // zero if not given
	Expires time.Time // the last day, at 00:00 UTC
}

// What a waiver says about its finding, in the words of the draft of SARIF 2.2.
const (
	RiskAccepted  = "risk-accepted"   // the problem is known and stays
	FixDeferred   = "fix-deferred"    // it will be fixed later
	NotForRelease = "not-for-release" // it is in nothing that is released
	NotFeasible   = "not-feasible"    // it cannot be exploited here
	ToolNoise     = "tool-noise"      // there is no problem, the tool errs
)

// Kinds returns the words of Waiver.Kind. A waiver without one is of the first.
func Kinds() []string {
	return []string{RiskAccepted, FixDeferred, NotForRelease, NotFeasible, ToolNoise}
}

// MaxAge is the most days from a waiver's creation to its end, unless the policy
// says otherwise.
const MaxAge = 90 * day

// Soon is how long before its end a waiver is reported as ending soon, unless the
// policy says otherwise.
const Soon = 14 * day

const (
	day      = 24 * time.Hour
	dateForm = time.DateOnly
)

// ends returns the first moment at which the waiver holds no longer: its last day
// ends in UTC.
func (w Waiver) ends() time.Time { return w.Expires.Add(day) }

// what returns the waiver's fingerprint or ID, with its scope.
func (w Waiver) what() string {
	if w.Fingerprint != "" {
		return w.Fingerprint
	}
	if len(w.Scope) > 0 {
		return w.ID + " in " + strings.Join(w.Scope, ", ")
	}
	return w.ID
}

// same reports whether two waivers are for the same findings.
func (w Waiver) same(other Waiver) bool {
	return strings.EqualFold(w.ID, other.ID) && w.Fingerprint == other.Fingerprint &&
		slices.Equal(slices.Sorted(slices.Values(w.Scope)), slices.Sorted(slices.Values(other.Scope)))
}
