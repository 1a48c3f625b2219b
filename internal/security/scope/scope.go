// Package scope has what a scan looks at and by which scanners: the files and the
// commits, the base that they are compared with, and the scanners of the level.
package scope

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/tree"
	"github.com/candlefish/deploy-action/internal/security/inputs"
	"github.com/candlefish/deploy-action/internal/security/scanning"
)

// ByRange are the scanners that look at the commits of a range: what they find in
// those of a pull request is new by itself, and the base has no such range.
var ByRange = []string{"gitleaks", "trufflehog"}

// ByInput are the scanners of what inputs name. That they had nothing to do says
// nothing of what another run of the workflows names.
var ByInput = []string{"trivy-image", "tls", "headers", "sarif"}

// A Scanned is what all scanners saw.
type Scanned struct {
	Workspace Workspace
	Seen      []scanning.Seen
	// Base is what they saw in the commit to compare with; nil if there is none or its
	// files cannot be read.
	Base       []scanning.Seen
	BaseCommit string
}

// Tools are the tools of what was seen.
func Tools(seen []scanning.Seen) []verdict.Tool {
	tools := make([]verdict.Tool, len(seen))
	for i, one := range seen {
		tools[i] = one.Tool
	}
	return tools
}

// Sightings are all that was seen.
func Sightings(seen []scanning.Seen) []finding.Sighting {
	var all []finding.Sighting
	for _, one := range seen {
		all = append(all, one.Sightings...)
	}
	return all
}

// A Scope is a scan before it runs.
type Scope struct {
	inputs.Occasion
	Values   input.Values
	Settings map[string]string
	Scanners []scanner.Scanner
	Finder   scanning.Finder
	Cache    string   // the folder for databases
	Environ  []string // of the process
	Random   io.Reader
	Now      func() time.Time
	After    func(time.Duration) <-chan time.Time
	Log      Log

	work string // the folder of this run
}

// A Log is where a scan says how far it is; an action.Action is one.
type Log interface {
	Printf(format string, args ...any)
	Group(title string)
	EndGroup()
	Redact(text string) string
}

// Run runs the scanners over the workspace, and over the base if that is what the
// findings are compared with.
func (s *Scope) Run(ctx context.Context, work string) (Scanned, error) {
	s.work = work
	w, err := openWorkspace(ctx, s.Values.String("dir"), work, s.Occasion)
	if err != nil {
		return Scanned{}, err
	}
	job, err := s.job(w, work)
	if err != nil {
		return Scanned{}, err
	}
	s.Log.Printf("scanning %s and %s (%s) at level %s", count(len(w.Files.Files), "file"), count(w.Span.Commits, "commit"), cmp.Or(w.Span.Missing, w.Span.Why), s.Level)
	if folders := w.Files.Submodules; len(folders) > 0 {
		s.Log.Printf("not scanned: %s, repositories of their own: %s", count(len(folders), "submodule"), strings.Join(folders[:min(5, len(folders))], ", "))
	}
	out := Scanned{Workspace: w, Seen: s.scanner(job, s.excluded).Run(ctx)}
	if s.Compare != inputs.CompareBase {
		return out, stopped(ctx)
	}
	s.Log.Group("The commit to compare with")
	defer s.Log.EndGroup()
	commit, err := w.repo.Commit(ctx, s.Against)
	var baseJob scanner.Job
	if err == nil {
		baseJob, err = s.baseJob(ctx, job, commit, filepath.Join(work, "base"))
	}
	if err != nil { // as in a shallow clone
		s.Log.Printf("nothing is compared, so all findings count as new: %v", err)
		return out, stopped(ctx)
	}
	s.Log.Printf("scanning %d files of %.10s", len(baseJob.Tree.Files), commit)
	out.BaseCommit, out.Base = commit, s.scanner(baseJob, s.excludedOfBase).Run(ctx)
	return out, stopped(ctx)
}

// stopped is the error of a run that was stopped, which says by what.
func stopped(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("nothing is said about this scan: %w", context.Cause(ctx))
}

// job is what there is to scan.
func (s *Scope) job(w Workspace, work string) (scanner.Job, error) {
	key := make([]byte, 32)
	if _, err := s.Random.Read(key); err != nil {
		return scanner.Job{}, fmt.Errorf("make a key for hashes of secrets: %w", err)
	}
	reports, err := absolute(s.Values.List("sarif-files"))
	if err != nil {
		return scanner.Job{}, err
	}
	scratch := filepath.Join(work, "scratch")
	return scanner.Job{
		Workspace: w.Dir, Scratch: scratch, Cache: s.Cache, Tree: w.Files, Range: w.Span,
		Images: s.Values.List("images"), Hosts: s.Values.List("hosts"), SARIF: reports,
		Deep: s.Level == verdict.Deep, Verify: s.Values.Bool("verify-secrets"), Offline: s.Values.Bool("offline"),
		Hash: finding.NewHasher(key), Now: s.Now(), Settings: s.Settings, Rules: w.Dir,
	}, os.MkdirAll(scratch, 0o700)
}

// absolute makes the names of files absolute: as the inputs mean them, from where the
// program was started, and not from the folder that is scanned.
func absolute(names []string) ([]string, error) {
	all := make([]string, len(names))
	for i, name := range names {
		var err error
		if all[i], err = filepath.Abs(name); err != nil {
			return nil, fmt.Errorf("find %s: %w", name, err)
		}
	}
	return all, nil
}

// baseJob is a job of the files of another commit. Its history is no part of it.
func (s *Scope) baseJob(ctx context.Context, job scanner.Job, commit, folder string) (scanner.Job, error) {
	files, err := tree.Extract(ctx, Git, job.Range, commit, folder)
	if err != nil {
		return job, err
	}
	job.Workspace, job.Tree, job.Rules = folder, files, folder
	job.Range = scanner.Range{Missing: "only the files of the base are scanned"}
	job.Images, job.Hosts, job.SARIF = nil, nil, nil
	return job, nil
}

// scanner returns what runs the scanners that are not excluded over a job.
func (s *Scope) scanner(job scanner.Job, excluded func(string) string) scanning.Scan {
	return scanning.Scan{
		Scanners: s.Scanners, Excluded: excluded, Finder: s.Finder, Plant: scanning.Planter(tree.Local(Git)), Job: job,
		Sandbox: s.sandbox, Getenv: s.secretOf, Slots: s.slots(), Timeout: s.Values.Duration("tool-timeout"),
		Now: s.Now, Progress: s.progress, After: s.After, Waiting: s.waiting, Clean: s.Log.Redact,
	}
}

// count returns a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// sandbox returns what runs tools over a folder.
func (s *Scope) sandbox(workspace string) scanning.Runner {
	box, err := isolate.Open(workspace, s.Environ)
	if err != nil {
		return unopened{err}
	}
	box.Scratch = s.work
	return box
}

// unopened is the sandbox that could not be made: nothing runs outside of one.
type unopened struct{ err error }

// Run implements scanning.Runner.
func (u unopened) Run(context.Context, isolate.Command) isolate.Ran {
	return isolate.Ran{Ending: isolate.NotStarted, Why: u.err.Error()}
}

func (s *Scope) slots() int {
	if n := s.Values.Int("parallel"); n > 0 {
		return n
	}
	return runtime.NumCPU()
}

// secretOf gives a scanner the secret that it is named for, and no other.
func (s *Scope) secretOf(name string) string {
	if name == "SNYK_TOKEN" {
		return s.Values.String("snyk-token")
	}
	return ""
}

// excluded says why a scanner does not run, "" if it does.
func (s *Scope) excluded(name string) string {
	if slices.Contains(s.Values.List("skip-tools"), name) {
		return "the input skip-tools names it"
	}
	if !slices.Contains(s.wanted(), name) {
		return fmt.Sprintf("it is not part of level %s", s.Level)
	}
	return ""
}

func (s *Scope) excludedOfBase(name string) string {
	if slices.Contains(ByRange, name) {
		return "it scans commits, and those of the base are not compared"
	}
	return s.excluded(name)
}

// wanted are the names of the scanners that run: those of the level, and those that
// no level needs, since they look at what an input names or cost next to nothing.
func (s *Scope) wanted() []string {
	all := named(verdict.NeedsOf(verdict.Deep))
	names := s.ofLevel()
	for _, one := range s.Scanners {
		if name := one.About().Name; !slices.Contains(all, name) {
			names = append(names, name)
		}
	}
	return names
}

// ofLevel are the scanners that the level names. A quick scan has one for each need,
// the first that the user did not take out.
func (s *Scope) ofLevel() []string {
	needs := verdict.NeedsOf(s.Level)
	if s.Level != verdict.Quick {
		return named(needs)
	}
	var names []string
	for _, need := range needs {
		left := slices.DeleteFunc(slices.Clone(need.Tools), func(name string) bool { return slices.Contains(s.Values.List("skip-tools"), name) })
		names = append(names, left[:min(1, len(left))]...)
	}
	return names
}

// named are the tools that needs name.
func named(needs []verdict.Need) (names []string) {
	for _, need := range needs {
		names = append(names, need.Tools...)
	}
	return names
}

// Needs are what the level must contain and the files that were given, without what the user called optional.
func (s *Scope) Needs() (needs []verdict.Need, without []string) {
	optional := s.Values.List("optional-tools")
	all := verdict.NeedsOf(s.Level)
	if len(s.Values.List("sarif-files")) > 0 {
		all = append(all, verdict.Need{What: "the SARIF files that were given", Tools: []string{"sarif"}})
	}
	for _, need := range all {
		kept := slices.DeleteFunc(slices.Clone(need.Tools), func(name string) bool { return slices.Contains(optional, name) })
		if len(kept) == 0 {
			without = append(without, need.What)
			continue
		}
		needs = append(needs, need)
	}
	return needs, without
}

// progress says how a scanner ended.
func (s *Scope) progress(t verdict.Tool) {
	if t.Health == verdict.LeftOut || s.excluded(t.Name) != "" {
		return
	}
	line := fmt.Sprintf("%-14s %s", t.Name, t.Health)
	if t.Health == verdict.Healthy {
		line += fmt.Sprintf(", %d found", t.Found)
	}
	if t.Why != "" {
		line += ": " + strings.ReplaceAll(t.Why, "\n", " ")
	}
	s.Log.Printf("%s (%.1f s)", line, t.Took.Seconds())
}

// waiting says which scanners have not ended.
func (s *Scope) waiting(running []scanning.Running) {
	parts := make([]string, len(running))
	for i, one := range running {
		parts[i] = fmt.Sprintf("%s (%.0f s)", one.Name, one.For.Seconds())
	}
	s.Log.Printf("still running: %s", strings.Join(parts, ", "))
}
