package tree

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The files of a commit come as they are stored, although the repository's own
// attributes would hide or change them.
func TestExtractGivesAllFilesAsTheyAreStored(t *testing.T) {
	t.Parallel()
	git, dir, scratch := Local("git"), t.TempDir(), t.TempDir()
	files := map[string]string{
		".gitattributes": "hidden.txt export-ignore\nid.txt export-subst\n*.txt text eol=crlf\n",
		"hidden.txt":     "a\n", "id.txt": "$Format:%H$\n", "sub/deep/x.js": "x\n",
	}
	_, r, err := Lay(t.Context(), git, files, true, dir, filepath.Join(scratch, "history"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // the second one is not disturbed by the first
		folder := filepath.Join(scratch, "out", string(rune('a'+i)))
		got, err := Extract(t.Context(), "git", r, r.Head, folder)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{".gitattributes", "hidden.txt", "id.txt", "sub/deep/x.js"}
		if diff := cmp.Diff(want, got.Files); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for name, content := range files {
			if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(got) != content {
				t.Errorf("%s is %q, %v; want %q", name, got, err, content)
			}
		}
	}
}

func TestLayMakesACommitOfIgnoredFilesToo(t *testing.T) {
	t.Parallel()
	scratch := t.TempDir()
	tree, r, err := Lay(t.Context(), Local("git"), map[string]string{".gitignore": "*.env\n", "a.env": "X=1\n"}, true,
		filepath.Join(scratch, "plant"), filepath.Join(scratch, "history"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(tree.Files, "a.env") || r.Commits != 1 || r.Copy == "" {
		t.Errorf("tree %+v, range %+v", tree, r)
	}
	if _, _, err := Lay(t.Context(), Local("git"), map[string]string{"../x": ""}, false, filepath.Join(scratch, "p2"), filepath.Join(scratch, "h2")); err == nil {
		t.Error("a file outside of its folder was written")
	}
}

func TestCommitAndParent(t *testing.T) {
	t.Parallel()
	scratch := t.TempDir()
	dir := filepath.Join(scratch, "repo")
	_, r, err := Lay(t.Context(), Local("git"), map[string]string{"a": "1"}, true, dir, filepath.Join(scratch, "history"))
	if err != nil {
		t.Fatal(err)
	}
	repo, err := Open(t.Context(), Local("git"), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"HEAD", "main", r.Head, r.Head[:12]} {
		if got, err := repo.Commit(t.Context(), name); got != r.Head || err != nil {
			t.Errorf("Commit(%q) = %s, %v; want %s", name, got, err, r.Head)
		}
	}
	for _, name := range []string{"nothing", "--output=x", "HEAD:a"} {
		if got, err := repo.Commit(t.Context(), name); err == nil {
			t.Errorf("Commit(%q) = %s", name, got)
		}
	}
	if got, err := repo.Parent(t.Context(), r.Head, r.Head); got != r.Head || err != nil {
		t.Errorf("Parent = %s, %v", got, err)
	}
}
