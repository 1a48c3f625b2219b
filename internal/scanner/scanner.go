// Package scanner has the contract of what looks for security problems.
//
// A scanner is a [Program], an adapter of an outside tool, or a [Check] of our
// own. An adapter is pure: it says which commands to run and reads what they
// printed. One package, security/scanning, runs them, and decides about each
// one's health; an adapter only tells what it read.
//
// Every scanner plants known problems, see [Plant], and must find them in each
// run: a tool that has gone blind, or that reports nothing, is noticed.
package scanner

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
)

// About describes a scanner.
type About struct {
	Name  string // "gitleaks", unique
	Class finding.Class
	Does  string // a few words for reports: "secrets in commits and files"
	// Tool is the name in the lock file of tools, "" for a check of our own.
	Tool    string
	Network bool // its command needs one, for its database or service
	Memory  int64
	Time    time.Duration
	// Fresh is the greatest age of its database; 0 if it has none.
	Fresh time.Duration
	// Secret is the environment variable without which it cannot run, such as
	// SNYK_TOKEN; "" for none.
	Secret string
}

// A Scanner looks for problems.
type Scanner interface {
	About() About
	// Applies reports whether there is something for it here, and what, or why not:
	// "2 package-lock.json", "no Dockerfile".
	Applies(Job) (bool, string)
	// Plant returns the problems that it must find in each run.
	Plant() Plant
}

// A Chooser is a scanner in whose place another one scans some jobs, under the same
// name: one that reads what the tool reported elsewhere.
type Chooser interface {
	Scanner
	Choose(Job) Scanner
}

// A Program is a scanner that is a program of others.
type Program interface {
	Scanner
	// Commands returns what to run for a job. Program is filled in by the caller.
	Commands(Job) ([]isolate.Command, error)
	// Read reads what one of the commands printed. An error says that the output is
	// not a whole report of the tool, whatever its exit status.
	Read(Job, isolate.Command, isolate.Ran) (Report, error)
}

// A Check is a scanner of our own.
type Check interface {
	Scanner
	Scan(context.Context, Job) (Report, error)
}

// A Job is what there is to scan.
type Job struct {
	Workspace string // the repository's root, absolute; read-only for tools
	Scratch   string // a folder of this scanner, for reports; empty at the start
	Cache     string // a folder that lasts, for databases; shared by all runs
	Tree      Tree
	Range     Range
	Images    []string // references or archives (docker save, OCI layout) of container images
	Hosts     []string // host or host:port, or https URLs
	SARIF     []string // files of other tools
	Deep      bool     // level deep
	Verify    bool     // found credentials may be tried at their services
	Offline   bool     // no database may be fetched
	Planted   bool     // this job is the plant's own
	// Rules is the workspace whose configuration files of tools hold. It is Workspace,
	// and in a plant's job the workspace that the plant stands for.
	Rules string
	Hash  *finding.Hasher
	Now   time.Time
	// Secret is the value of About.Secret.
	Secret string
	// Settings are per tool, from the inputs: "semgrep-config", "trivy-db", ...
	Settings map[string]string
}

// A Tree is the files of the workspace that git tracks or would track.
type Tree struct {
	Files []string // relative, with slashes, sorted
	// Ignored are untracked files that .gitignore hides; a folder of which all is
	// hidden is one entry that ends with a slash.
	Ignored []string
	// Submodules are folders of other repositories; their files are not in Files.
	Submodules []string
}

// A Range is the part of the history to scan: the commits that Head has and Base
// has not, those of side branches and merges among them.
type Range struct {
	Base, Head string // commits; Base is "" for all of the history
	Why        string // why these: "the pull request's base and head"
	Commits    int    // in it
	// Texts are the commits of it that add or remove text. The others have nothing
	// that a scanner of text could see. Edits are those that add or change a file and
	// are no merges.
	Texts int
	Edits int
	// Octopuses are merges of more than two branches, which git cannot make anew.
	Octopuses int
	Shallow   bool   // the clone has not all of it
	Missing   string // why it could not be read; "" if it was
	// Copy is a bare repository with these commits and a configuration of our own, so
	// that no setting of the workspace's repository makes a tool's git run a program.
	// It reads the objects of the folder Objects. "" if Commits is 0.
	Copy, Objects string
}

// A Report is what a scanner read.
type Report struct {
	Sightings []finding.Sighting
	Coverage  verdict.Coverage
	// Version is what the tool says of itself; Database the time of its data.
	Version  string
	Database time.Time
	// Doubts are reasons not to believe that all was seen: "3 files could not be
	// parsed". Each makes a required scanner inconclusive.
	Doubts []string
	// Notes are shown and change nothing: "configured by .gitleaks.toml".
	Notes []string
	// Artifacts are files for people beside the findings, by name:
	// "package-inventory.json". They hold no secret.
	Artifacts map[string][]byte
}

// A Plant is a small workspace with a problem that a scanner must find.
type Plant struct {
	Files map[string]string // by path
	// Commit makes a git repository of the files, with one commit.
	Commit bool
	Images []string
	// Serve starts a server on loopback that has the problem, for scanners of hosts. The
	// caller puts the host, in the form of Job.Hosts, into the plant's own job, whose
	// Planted is true, and calls stop when the scan has ended; nil for none.
	Serve func(context.Context) (host string, stop func(), err error)
	// Found reports whether a sighting is the planted problem.
	Found func(finding.Sighting) bool
	// Without says why there is no plant; then all other fields are zero.
	Without string
}
