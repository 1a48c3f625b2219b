package secrets

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
	"github.com/candlefish/deploy-action/internal/scanner/tree"
)

// programs are the scanners that are programs of others.
func programs() []scanner.Program { return []scanner.Program{Gitleaks{}, TruffleHog{}} }

// at are the places of a credential among sightings, as "commit path" or "path".
func at(job scanner.Job, sightings []finding.Sighting, credential string) []string {
	var places []string
	for _, s := range sightings {
		if s.Secret.Hash == job.Hash.Hash(credential) {
			places = append(places, strings.TrimSpace(s.Location.Commit+" "+s.Location.Path))
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// planting is the job of a scanner's plant beside a workspace.
func planting(t *testing.T, p scanner.Plant, workspace string) scanner.Job {
	t.Helper()
	r := scannertest.New(t)
	for name, text := range p.Files {
		r.Write(name, text)
	}
	job := jobOf(t, r.Dir, tree.All(r.Commit("plant"), "all"))
	job.Planted, job.Rules = true, workspace
	return job
}

func TestPlantsAreFoundByTheRealTools(t *testing.T) {
	t.Parallel()
	for _, s := range programs() {
		t.Run(s.About().Name, func(t *testing.T) {
			t.Parallel()
			p := s.Plant()
			report := scan(t, s, planting(t, p, t.TempDir()))
			if !slices.ContainsFunc(report.Sightings, p.Found) || len(report.Doubts) > 0 {
				t.Errorf("%+v", report)
			}
			if half := s.Plant(); slices.ContainsFunc(report.Sightings[:1], half.Found) {
				t.Error("half of the plant is enough")
			}
		})
	}
}

// What the repository says to hide a secret does not hold: neither a configuration
// that allows all, nor comments, nor a list of what to ignore in commits.
func TestNothingInTheRepositoryHidesASecret(t *testing.T) {
	t.Parallel()
	c := scannertest.NewCredentials(11)
	r := scannertest.New(t)
	r.Write(".gitleaks.toml", "[extend]\nuseDefault = true\n\n[[allowlists]]\ndescription = \"all\"\nregexes = ['''.*''']\n")
	r.Write("a.py", "TOKEN = \""+c.GitHub+"\" # gitleaks:allow\n")
	first := r.Commit("first")
	r.Write("a.py", "TOKEN = None\n")
	r.Write(".gitleaksignore", first+":a.py:github-pat:1\na.py:github-pat:1\n")
	r.Commit("second")
	report := scan(t, Gitleaks{}, jobOf(t, r.Dir, tree.All(r.Git("rev-parse", "HEAD"), "all")))
	inCommit := func(s finding.Sighting) bool { return s.Location.Commit == first && s.Location.Path == "a.py" }
	if !slices.ContainsFunc(report.Sightings, inCommit) {
		t.Errorf("the secret was not found: %+v", report)
	}
	for _, want := range []string{".gitleaks.toml does not hold", ".gitleaksignore holds for files"} {
		if !slices.ContainsFunc(report.Notes, func(note string) bool { return strings.Contains(note, want) }) {
			t.Errorf("no note %q in %q", want, report.Notes)
		}
	}
}

// A configuration that the workflow names holds. One that blinds the tool is noticed
// by the plant, which is scanned with it too, and one that cannot be read is no scan.
func TestConfigurationThatBlindsGitleaks(t *testing.T) {
	t.Parallel()
	workspace := t.TempDir()
	config := "[extend]\nuseDefault = true\n\n[[allowlists]]\ndescription = \"all\"\nregexes = ['''.*''']\n"
	if err := os.WriteFile(filepath.Join(workspace, "ours.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	named := func() scanner.Job {
		job := planting(t, Gitleaks{}.Plant(), workspace)
		job.Settings = map[string]string{GitleaksConfig: "ours.toml"}
		return job
	}
	report := scan(t, Gitleaks{}, named())
	if slices.ContainsFunc(report.Sightings, Gitleaks{}.Plant().Found) || !slices.Contains(report.Notes, "configured by ours.toml") {
		t.Errorf("%+v", report)
	}
	if err := os.WriteFile(filepath.Join(workspace, "ours.toml"), []byte("[[["), 0o600); err != nil {
		t.Fatal(err)
	}
	job := named()
	commands, err := Gitleaks{}.Commands(job)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		if report, err := (Gitleaks{}).Read(job, c, run(t, job.Workspace, need(t, "gitleaks"), c)); err == nil {
			t.Errorf("%s: %+v", mode(c), report)
		}
	}
}

// A pull request that merges an old branch and its base: what the branch brings is
// found though git lists it after the base, and what the base had is not of it.
func TestMergedBranchesInTheRange(t *testing.T) {
	t.Parallel()
	c := scannertest.NewCredentials(7)
	r := scannertest.New(t)
	r.Write("a.txt", "1\n")
	root := r.Commit("first")
	r.Git("checkout", "--quiet", "-b", "side")
	r.Write("side.py", "TOKEN = \""+c.NPM+"\"\n")
	r.Git("add", "--all")
	r.Git("-c", "user.name=x", "commit", "--quiet", "--message", "side", "--date", "2001-01-01T00:00:00Z")
	side := r.Git("rev-parse", "HEAD")
	r.Git("checkout", "--quiet", "main")
	r.Write("main.py", "TOKEN = \""+c.GitHub+"\"\n")
	base := r.Commit("main")
	r.Git("checkout", "--quiet", "-b", "work", root)
	r.Write("work.py", "TOKEN = \""+c.Stripe+"\"\n")
	work := r.Commit("work")
	r.Git("merge", "--quiet", "--no-edit", "main")
	r.Git("merge", "--quiet", "--no-edit", "side")
	job := jobOf(t, r.Dir, tree.Ends{Base: base, Head: r.Git("rev-parse", "HEAD")})
	job.Tree = scanner.Tree{} // the commits alone
	for _, s := range programs() {
		t.Run(s.About().Name, func(t *testing.T) {
			t.Parallel()
			job := job
			job.Scratch = t.TempDir()
			report := scan(t, s, job)
			for _, w := range []struct {
				credential string
				places     []string
			}{{c.NPM, []string{side + " side.py"}}, {c.Stripe, []string{work + " work.py"}}, {c.GitHub, nil}} {
				if got := at(job, report.Sightings, w.credential); !slices.Equal(got, w.places) {
					t.Errorf("found at %q, want %q", got, w.places)
				}
			}
			if cov := report.Coverage; cov.Commits != cov.CommitsExpected || len(report.Doubts) > 0 {
				t.Errorf("%+v, doubts %q", cov, report.Doubts)
			}
		})
	}
}

// Git cannot make a merge of three branches anew; what such a merge changes itself is
// found all the same.
func TestMergeOfThreeBranches(t *testing.T) {
	t.Parallel()
	c, r := scannertest.NewCredentials(9), scannertest.New(t)
	r.Write("a.txt", "1\n")
	root := r.Commit("first")
	for _, branch := range []string{"x", "y", "z"} {
		r.Git("checkout", "--quiet", "-b", branch, root)
		r.Write(branch+".txt", branch+"\n")
		r.Commit(branch)
	}
	r.Git("checkout", "--quiet", "-b", "work", root)
	r.Write("work.txt", "work\n")
	r.Commit("work")
	r.Git("merge", "--quiet", "--no-commit", "x", "y", "z")
	r.Write("evil.py", "TOKEN = \""+c.GitHub+"\"\n")
	evil := r.Commit("all of them")
	r.Git("rm", "--quiet", "evil.py")
	job := jobOf(t, r.Dir, tree.Ends{Base: root, Head: r.Commit("gone again")})
	report := scan(t, Gitleaks{}, job)
	if got := at(job, report.Sightings, c.GitHub); !slices.Equal(got, []string{evil + " evil.py"}) || len(report.Doubts) > 0 {
		t.Errorf("found at %q, doubts %q", got, report.Doubts)
	}
}

// Files that git ignores, git's own folder and other repositories are not of the
// repository; a file with an odd name is. No program that the repository names runs.
func TestHostileWorkspace(t *testing.T) {
	t.Parallel()
	c, lib := scannertest.NewCredentials(8), scannertest.New(t)
	lib.Write("lib.py", "TOKEN = \""+c.SendGrid+"\"\n")
	lib.Commit("first")
	r := scannertest.New(t)
	odd := "odd 'q' \"d\" $(touch x)\n-é.py"
	r.Write(".gitignore", "out/\nlocal.py\n")
	r.Write(".gitattributes", "* diff=evil\n")
	r.Write(odd, "TOKEN = \""+c.GitHub+"\"\n")
	r.Git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib.Dir, "lib")
	head := r.Commit("first")
	r.Write("out/deep/built.py", "TOKEN = \""+c.NPM+"\"\n")
	r.Write("local.py", "TOKEN = \""+c.Stripe+"\"\n")
	r.Write(".git/description", "TOKEN = \""+c.Slack+"\"\n")
	ran := filepath.Join(t.TempDir(), "ran")
	for _, key := range []string{"core.fsmonitor", "core.pager", "diff.external", "diff.evil.textconv", "diff.evil.command", "gpg.program"} {
		r.Git("config", key, "touch "+ran+";")
	}
	r.Git("config", "log.showSignature", "true")
	job := jobOf(t, r.Dir, tree.All(head, "all"))
	for _, s := range append([]scanner.Scanner{Patterns{}}, programs()[0], programs()[1]) {
		t.Run(s.About().Name, func(t *testing.T) {
			t.Parallel()
			job := job
			job.Scratch = t.TempDir()
			report := scan(t, s, job)
			want := []string{odd}
			if s.About().Tool != "" {
				want = []string{head + " " + odd, odd}
				slices.Sort(want)
			}
			if got := at(job, report.Sightings, c.GitHub); !slices.Equal(got, want) {
				t.Errorf("found at %q, want %q", got, want)
			}
			for _, other := range []string{c.NPM, c.Stripe, c.Slack, c.SendGrid} {
				if got := at(job, report.Sightings, other); got != nil {
					t.Errorf("found at %q", got)
				}
			}
			if len(report.Doubts) > 0 {
				t.Errorf("doubts %q", report.Doubts)
			}
		})
	}
	t.Cleanup(func() {
		if _, err := os.Stat(ran); err == nil {
			t.Error("a program of the repository ran")
		}
	})
}
