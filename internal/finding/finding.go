// Package finding has the words of security results: what a tool reported, what
// several reports of the same thing are together, how bad it is.
//
// A [Sighting] is one result of one tool. A [Finding] is one problem, seen by one
// tool or by several: the same CVE from two scanners, the same secret in the tree
// and in a commit. Adapters of tools return sightings; [Merge] makes findings.
//
// A sighting never holds a secret in clear, see [Secret]. The package does no I/O
// and has no clock.
package finding

import "time"

// A Class says what kind of problem a finding is. Budgets can differ by class.
type Class string

// The classes.
const (
	ClassSecret     Class = "secret"     // a credential in files or history
	ClassDependency Class = "dependency" // a known vulnerability of a package
	ClassCode       Class = "code"       // a pattern in source code
	ClassConfig     Class = "config"     // a Dockerfile, infrastructure as code
	ClassImage      Class = "image"      // a vulnerability in a container image
	ClassWorkflow   Class = "workflow"   // a GitHub workflow
	ClassNetwork    Class = "network"    // a certificate, a header, a protocol of a live host
)

// Classes returns all classes, in the order in which reports list them.
func Classes() []Class {
	return []Class{ClassSecret, ClassDependency, ClassImage, ClassCode, ClassConfig, ClassWorkflow, ClassNetwork}
}

// A Sighting is one result of one tool.
type Sighting struct {
	Tool     string // the scanner's name, as "gitleaks"
	Rule     string // the tool's own rule: "generic-api-key", "CVE-2021-23337", "DL3002"
	Class    Class
	Title    string // one line, of the rule
	Message  string // of this result; may have several lines
	Help     string // a URL; "" for none
	CWE      []string
	Rating   Rating // what the tool says about how bad it is
	Location Location
	Package  Package   // of a dependency or image finding
	IDs      []string  // CVE, GHSA, OSV, GO, PYSEC identifiers, the tool's own first
	Secret   Secret    // of a secret
	Reach    Reach     // whether the program reaches it
	Known    time.Time // when the problem was published, zero if the tool does not say
	// LineHash is GitHub's primaryLocationLineHash, "" if the tool gave none.
	LineHash string
	// Suppressed says why the tool itself or its SARIF accepts the result, "" if it
	// does not.
	Suppressed string
}

// A Location is where a problem is. Path and Line are for files; Commit is set if
// it is in the history; Host and Image name what is not in the repository.
type Location struct {
	Path   string // relative to the workspace, with slashes; "" for none
	Line   int    // from 1; 0 for none
	Column int    // from 1; 0 for none
	End    int    // last line; 0 for Line
	// Context is the text of the line without white space at its ends and without
	// the secret, by which a finding is known again after its line moved. "" if not known.
	Context string
	Commit  string // 40 hex digits
	Image   string // a reference, with its digest if known
	Host    string // host:port
}

// A Package is a version of a package that has a known vulnerability.
type Package struct {
	Ecosystem string // of the OSV schema: "npm", "Go", "Debian:12"
	Name      string
	Version   string
	Fixed     string // the first version without the problem; "" if there is none
	Direct    bool   // the project asks for it itself
}

// A Secret says what is known of a credential, without the credential.
type Secret struct {
	// Hash is a keyed hash of the credential, from a [Hasher] that lives for one run:
	// it tells whether two sightings are of the same one, and nothing after the run.
	Hash string `record:"-"`
	Live Liveness
}

// A Liveness says whether a credential works.
type Liveness string

// What is known of a credential. The third is not the second: the tool asked and
// got no answer.
const (
	LiveUnknown    Liveness = ""            // nobody asked
	LiveVerified   Liveness = "verified"    // it works
	LiveUnverified Liveness = "unverified"  // the service refused it
	LiveError      Liveness = "check-error" // the service gave no answer
)

// A Reach says whether the vulnerable code is reached.
type Reach string

// Reaches.
const (
	ReachUnknown  Reach = ""
	ReachCalled   Reach = "called"   // a call path leads to it
	ReachImported Reach = "imported" // its package is imported, no call is known
	ReachRequired Reach = "required" // only its module is required
)

// A Finding is one problem, from all tools that saw it.
type Finding struct {
	// ID is the fingerprint that people type, the first of Fingerprints.
	ID string
	// Fingerprints are what the finding is known by in other runs, one for each place
	// and name of it; ID is the first, the others are sorted. They survive moved lines,
	// and hold nothing of a secret.
	Fingerprints []string
	// Commits are the fingerprints of a secret at the commits that have it. A secret
	// that replaces another one at the same place has the Fingerprints of that one, and
	// other Commits.
	Commits []string
	// IDs are all identifiers of a vulnerability, the CVE first, with those that its own
	// tools do not know and others in this run do.
	IDs       []string
	Class     Class
	Title     string
	Severity  Severity
	Why       string // which sighting and rule of precedence gave the severity
	Sightings []Sighting
	// Exploited says that the finding is in CISA's list of exploited vulnerabilities;
	// EPSS is the probability of exploitation within 30 days, -1 if not known.
	Exploited bool
	EPSS      float64
	State     State
	Waived    Waived // zero if no waiver holds
}

// Waived is the waiver that holds for a finding.
type Waived struct {
	By      string // the waiver's name in its file: "security-waivers.yaml:12", or a tool's own suppression
	Reason  string
	Owner   string
	Kind    string    // a word of waiver.Kinds; "" for a tool's own suppression
	Expires time.Time // the last day, in UTC; zero for a tool's own suppression
}

// Holds reports whether there is one.
func (w Waived) Holds() bool { return w.By != "" }

// A State is what a finding is, compared with the baseline.
type State string

// States. Without a baseline all findings are new.
const (
	StateNew      State = "new"
	StateExisting State = "existing"
	StateFixed    State = "fixed" // in the baseline only
)
