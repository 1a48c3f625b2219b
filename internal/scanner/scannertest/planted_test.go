package scannertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlantedIsTheSameEachTimeAndHasWhatItSays(t *testing.T) {
	t.Parallel()
	p, again := Make(t), Make(t)
	if p.Head != again.Head || p.Base != again.Base {
		t.Errorf("two repositories differ: %s and %s", p.Head, again.Head)
	}
	r := Open(t, p.Dir)
	if got := r.Git("rev-list", "--count", "main..work"); got != "202" || p.Commits != 202 {
		t.Errorf("the branch has %s commits, Planted says %d", got, p.Commits)
	}
	patch := r.Git("log", "--patch", "main..work")
	for _, w := range p.Want {
		data, err := os.ReadFile(filepath.Join(p.Dir, filepath.FromSlash(w.Path)))
		if err != nil {
			t.Errorf("%s: %v", w.Name, err)
		}
		if got := w.Secret != "" && strings.Contains(string(data), w.Secret); got != (w.Tree && w.Secret != "") {
			t.Errorf("%s: in the files: %t", w.Name, got)
		}
		if w.Secret != "" && w.Path != InMerge && strings.Contains(patch, w.Secret) != w.Range {
			t.Errorf("%s: in the branch's own commits: %t", w.Name, !w.Range)
		}
	}
	if log := r.Git("log", "--patch", "--all"); strings.Contains(log, "+key: SG") {
		t.Error("the secret of the merge is in a commit that is no merge")
	}
	if merge := r.Git("show", "--remerge-diff", p.Evil); !strings.Contains(merge, "+key: SG") {
		t.Errorf("the merge has no change of its own:\n%s", merge)
	}
}
