package secrets

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
	"github.com/candlefish/deploy-action/internal/scanner/tree"
)

var record = flag.Bool("record", false, "write what the tools print of the planted repository to testdata")

// jobOf reads a workspace as the gate does.
func jobOf(t *testing.T, dir string, e tree.Ends) scanner.Job {
	t.Helper()
	r, err := tree.Open(t.Context(), tree.Local("git"), dir)
	if err != nil {
		t.Fatal(err)
	}
	job := scanner.Job{Workspace: dir, Scratch: t.TempDir(), Hash: finding.NewHasher(bytes.Repeat([]byte{1}, 32))}
	if job.Tree, err = r.Tree(t.Context()); err != nil {
		t.Fatal(err)
	}
	if job.Range, err = r.Range(t.Context(), e, filepath.Join(t.TempDir(), "commits")); err != nil {
		t.Fatal(err)
	}
	return job
}

// scan runs a scanner with the real tool.
func scan(t *testing.T, s scanner.Scanner, job scanner.Job) scanner.Report {
	t.Helper()
	if check, ok := s.(scanner.Check); ok {
		report, err := check.Scan(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	program := s.(scanner.Program)
	path := need(t, s.About().Tool)
	commands, err := program.Commands(job)
	if err != nil {
		t.Fatal(err)
	}
	var all scanner.Report
	for _, c := range commands {
		ran := run(t, job.Workspace, path, c)
		report, err := program.Read(job, c, ran)
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", s.About().Name, c.Args, err, ran.Stderr)
		}
		if *record {
			write(t, s.About().Name, job, c, ran)
		}
		all.Sightings = append(all.Sightings, report.Sightings...)
		all.Doubts, all.Notes = append(all.Doubts, report.Doubts...), append(all.Notes, report.Notes...)
		if report.Coverage.CommitsExpected >= 0 {
			all.Coverage = report.Coverage
		}
	}
	return all
}

// run runs a command as a scan does: without the machine's environment, network and
// files.
func run(t *testing.T, workspace, path string, c isolate.Command) isolate.Ran {
	t.Helper()
	sandbox, err := isolate.Open(workspace, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	c.Program, c.Time = path, 3*time.Minute
	return sandbox.Run(t.Context(), c)
}

func write(t *testing.T, name string, job scanner.Job, c isolate.Command, ran isolate.Ran) {
	t.Helper()
	pairs := strings.NewReplacer(words(job.Workspace, job.Range.Copy)...)
	for ext, data := range map[string][]byte{".out": ran.Stdout, ".stderr": ran.Stderr} {
		file := filepath.Join("testdata", name+"-"+mode(c)+ext)
		if err := os.WriteFile(file, []byte(pairs.Replace(string(data))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPlantedSecretsAreFoundByTheRealTools(t *testing.T) {
	t.Parallel()
	p := scannertest.Make(t)
	pull := jobOf(t, p.Dir, tree.Ends{Base: p.Base, Head: p.Head})
	whole := jobOf(t, p.Dir, tree.All(p.Head, "all"))
	for _, s := range []scanner.Scanner{Gitleaks{}, TruffleHog{}, Patterns{}} {
		t.Run(s.About().Name, func(t *testing.T) {
			t.Parallel()
			report := scan(t, s, pull)
			checkPlanted(t, p, s.About().Name, "quick", report.Sightings)
			if len(report.Doubts) > 0 {
				t.Errorf("doubts: %q", report.Doubts)
			}
			if s.About().Tool == "" {
				return
			}
			if c := report.Coverage; c.Commits != c.CommitsExpected || c.Commits < p.Commits-1 {
				t.Errorf("coverage of the pull request = %+v", c)
			}
			if *record {
				return
			}
			checkPlanted(t, p, s.About().Name, "deep", scan(t, s, whole).Sightings)
		})
	}
}

// sees says what a scanner can find of a planted secret.
func sees(name, level string, w scannertest.Expected) bool {
	switch {
	case name == "patterns":
		return w.Tree
	case name == "trufflehog" && w.Path == scannertest.InMerge:
		return false // it reads no merges
	}
	return w.Tree || w.Range || level == "deep"
}

func checkPlanted(t *testing.T, p scannertest.Planted, name, level string, sightings []finding.Sighting) {
	t.Helper()
	hash := finding.NewHasher(bytes.Repeat([]byte{1}, 32))
	want := map[string]string{}
	for _, w := range p.Want {
		if w.Secret != "" && sees(name, level, w) {
			want[hash.Hash(w.Secret)] = w.Path
		}
	}
	got := map[string]string{}
	for _, s := range sightings {
		got[s.Secret.Hash] = s.Location.Path
	}
	if !maps.Equal(got, want) {
		t.Errorf("%s at %s: found at %q, want %q", name, level, slices.Sorted(maps.Values(got)), slices.Sorted(maps.Values(want)))
	}
	noSecrets(t, p, sightings)
	for _, f := range finding.Merge(sightings) {
		if f.Severity < finding.Medium {
			t.Errorf("%s is %v", f.Title, f.Severity)
		}
	}
}

// noSecrets looks for planted secrets and for the author in all that a sighting has.
func noSecrets(t *testing.T, p scannertest.Planted, sightings []finding.Sighting) {
	t.Helper()
	for _, s := range sightings {
		text := fmt.Sprintf("%#v", s)
		for _, secret := range append(p.Secrets(), scannertest.Author, "Lovelace") {
			if strings.Contains(text, secret) {
				t.Errorf("a sighting has %q: %s", secret, text)
			}
		}
	}
}

func TestAllToolsTogetherFindEachPlantedSecretOnce(t *testing.T) {
	t.Parallel()
	p := scannertest.Make(t)
	job := jobOf(t, p.Dir, tree.Ends{Base: p.Base, Head: p.Head})
	var all []finding.Sighting
	for _, s := range []scanner.Scanner{Gitleaks{}, TruffleHog{}, Patterns{}} {
		found := scan(t, s, job).Sightings
		for i := range found {
			found[i].Tool = s.About().Name
		}
		all = append(all, found...)
	}
	findings := finding.Merge(all)
	for _, w := range p.Want {
		if w.Secret == "" || !w.Range {
			continue
		}
		hash, n := job.Hash.Hash(w.Secret), 0
		for _, f := range findings {
			if slices.ContainsFunc(f.Sightings, func(s finding.Sighting) bool { return s.Secret.Hash == hash }) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s is %d findings", w.Name, n)
		}
	}
	if len(findings) != 5 {
		t.Errorf("there are %d findings, want 5", len(findings))
	}
}
