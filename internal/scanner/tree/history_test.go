package tree

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
)

func ranged(t *testing.T, dir string, e Ends) scanner.Range {
	t.Helper()
	got, err := open(t, dir).Range(t.Context(), e, filepath.Join(t.TempDir(), "a [odd] \"name\"", "copy"))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRangeOfAPullRequest(t *testing.T) {
	t.Parallel()
	p := scannertest.Make(t)
	got := ranged(t, p.Dir, Ends{Base: p.Base, Head: p.Head, Why: "why"})
	if got.Commits != p.Commits || got.Texts != p.Commits || got.Base != p.Base || got.Head != p.Head || got.Shallow || got.Missing != "" || got.Why != "why" {
		t.Errorf("range = %+v", got)
	}
	all := ranged(t, p.Dir, All(p.Head, "all"))
	if all.Commits != p.All || all.Base != "" || all.Missing != "" {
		t.Errorf("all of the history = %+v", all)
	}
	none := ranged(t, p.Dir, Ends{Base: p.Head, Head: p.Head})
	if none.Commits != 0 || none.Missing != "" || none.Copy != "" {
		t.Errorf("a range without commits = %+v", none)
	}
	behind := ranged(t, p.Dir, Ends{Base: p.Head, Head: p.Base})
	if behind.Commits != 0 || behind.Missing != "" {
		t.Errorf("a head behind its base = %+v", behind)
	}
}

// The copy's own log, which a tool reads that knows no ranges, shows the range's
// commits by their names and with their differences, and nothing of the others.
func TestCopyHasTheRangeAlone(t *testing.T) {
	t.Parallel()
	r := scannertest.New(t)
	r.Write("old.txt", "old secret\n")
	r.Write("a.txt", "1\n2\n3\n")
	first := r.Commit("first")
	r.Git("checkout", "--quiet", "-b", "side", first)
	r.Write("side.txt", "from the side\n")
	side := r.Commit("side")
	r.Git("checkout", "--quiet", "main")
	r.Write("main.txt", "of main\n")
	base := r.Commit("second")
	r.Git("checkout", "--quiet", "-b", "work", first)
	r.Write("a.txt", "1\n2 changed\n3\n")
	one := r.Commit("one")
	r.Git("merge", "--quiet", "--no-edit", "main") // brings a commit of the base
	r.Git("merge", "--quiet", "--no-edit", "side") // and one that is not
	head := r.Git("rev-parse", "HEAD")

	got := ranged(t, r.Dir, Ends{Base: base, Head: head})
	if got.Commits != 4 || got.Texts != 2 {
		t.Errorf("range = %+v", got)
	}
	shown := r.Git("--git-dir="+got.Copy, "log", "--all", "--patch", "--full-history", "--diff-filter=AM", "--format=%H")
	for _, want := range []string{one, side, "+2 changed", "+from the side"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the copy's log has no %q:\n%s", want, shown)
		}
	}
	for _, no := range []string{"+old secret", "+of main", "\n+1\n"} {
		if strings.Contains(shown, no) {
			t.Errorf("the copy's log has %q:\n%s", no, shown)
		}
	}
	if _, err := os.Stat(got.Objects); err != nil {
		t.Error(err)
	}
}

func TestRangeSaysWhatTheCloneHasNot(t *testing.T) {
	t.Parallel()
	p := scannertest.Make(t)
	const gone = "1234567890123456789012345678901234567890"
	clone := func(args ...string) *scannertest.Repo {
		r := scannertest.New(t)
		r.Git(append(append([]string{"fetch", "--quiet"}, args...), "file://"+p.Dir, "work")...)
		return r
	}
	for _, c := range []struct {
		name    string
		dir     string
		ends    Ends
		missing string
		shallow bool
		commits int
	}{
		{"a head that is not there", p.Dir, Ends{Base: p.Base, Head: gone}, "the commit 1234567890 is not in this clone: fetch it", false, 0},
		{"a base that is not there", p.Dir, Ends{Base: gone, Head: p.Head}, "the commit 1234567890 is not in this clone: fetch it", false, 0},
		{"a base that a forced push removed", p.Dir, Ends{Base: gone, Head: p.Head, Gone: true}, "", false, p.All},
		{"the same in a shallow clone", clone("--depth=1").Dir, Ends{Base: gone, Head: p.Head, Gone: true}, "is not in this clone", false, 0},
		{"no name of a commit", p.Dir, Ends{Base: "--output=/tmp/x", Head: p.Head}, `the commit "--output=/tmp/x" is not in this clone`, false, 0},
		{"a branch's name", p.Dir, All("work", ""), `the commit "work" is not in this clone`, false, 0},
		{"one commit of a clone", clone("--depth=1").Dir, All(p.Head, ""), "", true, 1},
		{"a range of which the clone has 20", clone("--depth=20").Dir, All(p.Head, ""), "", true, 21},
		{"a clone that ends before the range", clone("--depth=202").Dir, Ends{Base: p.Base, Head: p.Head}, "", false, p.Commits},
		{"a clone without files", clone("--filter=blob:none").Dir, All(p.Head, ""), "", false, p.All},
	} {
		got := ranged(t, c.dir, c.ends)
		if !strings.Contains(got.Missing, c.missing) || (c.missing == "") != (got.Missing == "") || got.Shallow != c.shallow || got.Commits != c.commits {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestRangeOfAPartialClone(t *testing.T) {
	t.Parallel()
	p := scannertest.Make(t)
	scannertest.Open(t, p.Dir).Git("config", "uploadpack.allowFilter", "true")
	r := scannertest.New(t)
	r.Git("clone", "--quiet", "--no-checkout", "--filter=blob:none", "file://"+p.Dir, "partial")
	got := ranged(t, filepath.Join(r.Dir, "partial"), All(p.Head, ""))
	if !strings.Contains(got.Missing, "objects of it are not in this clone, which was made with a filter") {
		t.Errorf("range = %+v", got)
	}
}

// Replaced objects and a tag are no way to show a scanner another history.
func TestRangeOfATagAndOfReplacedCommits(t *testing.T) {
	t.Parallel()
	r := scannertest.New(t)
	r.Write("a.txt", "1\n")
	first := r.Commit("first")
	r.Write("a.txt", "2\n")
	r.Commit("second")
	r.Write("a.txt", "3\n")
	head := r.Commit("third")
	r.Git("tag", "-a", "-m", "one", "v1")
	tag := r.Git("rev-parse", "v1")
	if got := ranged(t, r.Dir, All(tag, "")); got.Head != head || got.Commits != 3 {
		t.Errorf("range of a tag = %+v", got)
	}
	r.Git("replace", "--graft", head, first)
	if got := ranged(t, r.Dir, All(head, "")); got.Commits != 3 {
		t.Errorf("a replaced commit hides others: %+v", got)
	}
}

func TestChangedLines(t *testing.T) {
	t.Parallel()
	r := scannertest.New(t)
	odd := "odd \"q\"\n\tname é"
	r.Write("a.txt", "1\n2\n3\n4\n5\n6\n")
	r.Write("moved.txt", strings.Repeat("the same line\n", 20))
	r.Write("removed.txt", "x\n")
	r.Write("binary", "\x00\x01")
	base := r.Commit("first")
	r.Git("checkout", "--quiet", "-b", "work")
	// Lines that look like those of a patch, no newline at the end, a removal.
	r.Write("a.txt", "1\n++ b/other.txt\n-- x\n4\n6\n@@ -1 +1 @@\nlast")
	r.Write(odd, "one\ntwo\n")
	r.Git("mv", "moved.txt", "with space.txt")
	r.Git("rm", "--quiet", "removed.txt")
	r.Write("binary", "\x00\x02")
	head := r.Commit("second")
	r.Git("checkout", "--quiet", "main")
	r.Write("a.txt", "the base went on\n")
	tip := r.Commit("third")

	got, err := Changed(t.Context(), Local("git"), ranged(t, r.Dir, Ends{Base: tip, Head: head}))
	want := map[string][]Lines{"a.txt": {{2, 3}, {6, 7}}, odd: {{1, 2}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v -want +got:\n%s", err, diff)
	}
	if got, err := Changed(t.Context(), Local("git"), ranged(t, r.Dir, All(base, ""))); got != nil || err != nil {
		t.Errorf("of a whole history: %v, %v", got, err)
	}
	if l := (Lines{2, 3}); l.Has(1) || !l.Has(2) || !l.Has(3) || l.Has(4) {
		t.Error("Has is wrong")
	}
}

func FuzzChanged(f *testing.F) {
	f.Add("+++ b/a\n@@ -1,2 +3 @@\n-x\n-y\n+z\n")
	f.Add("+++ \"b/\\n\"\n@@ -0,0 +1,9999999999999999999 @@\n")
	f.Fuzz(func(t *testing.T, patch string) {
		files, err := changed(patch)
		for name, lines := range files {
			for _, l := range lines {
				if err == nil && l.Last < l.First {
					t.Errorf("%q: %+v", name, l)
				}
			}
		}
	})
}
