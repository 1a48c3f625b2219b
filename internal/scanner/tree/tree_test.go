package tree

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
)

func open(t *testing.T, dir string) *Repository {
	t.Helper()
	r, err := Open(t.Context(), Local("git"), dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func files(t *testing.T, dir string) scanner.Tree {
	t.Helper()
	got, err := open(t, dir).Tree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTreeHasWhatGitTracksOrWould(t *testing.T) {
	t.Parallel()
	r := scannertest.New(t)
	odd := "odd/a \"quoted\"\n\tname\\ é"
	for _, name := range []string{"a.txt", "gone.txt", "dir/b.txt", "-dash", ":(top)magic", odd} {
		r.Write(name, "x\n")
	}
	r.Write(".gitignore", "out/\n*.log\n")
	r.Commit("first")
	r.Write("new.txt", "x\n")
	r.Write("out/deep/file", "x\n")
	r.Write("dir/x.log", "x\n")
	if err := os.Remove(filepath.Join(r.Dir, "gone.txt")); err != nil {
		t.Fatal(err)
	}
	want := scanner.Tree{
		Files:   []string{"-dash", ".gitignore", ":(top)magic", "a.txt", "dir/b.txt", "new.txt", odd},
		Ignored: []string{"dir/x.log", "out/"},
	}
	if diff := cmp.Diff(want, files(t, r.Dir)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTreeFollowsNoLink(t *testing.T) {
	t.Parallel()
	r := scannertest.New(t)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "b.txt"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Write("a.txt", "x\n")
	r.Write("dir/b.txt", "x\n")
	for link, to := range map[string]string{"inside": "a.txt", "leaves": filepath.Join(outside, "b.txt"), "up": "../..", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(r.Dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	r.Commit("first")
	// The folder of a tracked file becomes a link to another folder.
	if err := os.RemoveAll(filepath.Join(r.Dir, "dir")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(r.Dir, "dir")); err != nil {
		t.Fatal(err)
	}
	if got := files(t, r.Dir).Files; !slices.Equal(got, []string{"a.txt"}) {
		t.Errorf("files = %q", got)
	}
}

func TestTreeLeavesOutOtherRepositories(t *testing.T) {
	t.Parallel()
	inner, r := scannertest.New(t), scannertest.New(t)
	inner.Write("lib.txt", "x\n")
	inner.Commit("first")
	r.Write("a.txt", "x\n")
	r.Git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.Dir, "lib")
	r.Commit("first")
	r.Git("clone", "--quiet", inner.Dir, "untracked")
	got := files(t, r.Dir)
	want := scanner.Tree{Files: []string{".gitmodules", "a.txt"}, Submodules: []string{"lib", "untracked"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := files(t, filepath.Join(r.Dir, "lib")).Files; !slices.Equal(got, []string{"lib.txt"}) {
		t.Errorf("files of the submodule itself = %q", got)
	}
}

func TestTreeOfALinkedWorktreeAndOfAFolder(t *testing.T) {
	t.Parallel()
	r := scannertest.New(t)
	r.Write("sub/a.txt", "x\n")
	head := r.Commit("first")
	linked := filepath.Join(t.TempDir(), "linked")
	r.Git("worktree", "add", "--quiet", "--detach", linked)
	if got := files(t, linked).Files; !slices.Equal(got, []string{"sub/a.txt"}) {
		t.Errorf("files of the worktree = %q", got)
	}
	if got := ranged(t, linked, All(head, "all")); got.Commits != 1 || got.Missing != "" {
		t.Errorf("range of the worktree = %+v", got)
	}
	if got := files(t, filepath.Join(r.Dir, "sub")).Files; !slices.Equal(got, []string{"a.txt"}) {
		t.Errorf("files of a folder below = %q", got)
	}
}

func TestTreeWithoutGit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a.txt", "dir/b.txt", "node_modules/x/index.js"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := scanner.Tree{Files: []string{"a.txt", "dir/b.txt"}, Ignored: []string{"node_modules/"}}
	if diff := cmp.Diff(want, files(t, dir)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	got, err := open(t, dir).Range(t.Context(), All("", "all"), filepath.Join(t.TempDir(), "copy"))
	if err != nil || got.Missing != "there is no git repository" {
		t.Errorf("range = %+v, %v", got, err)
	}
	if _, err := Open(t.Context(), Local("git"), filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a workspace that is not there is opened")
	}
}

// A hostile configuration names a program for all that git can be told to run.
func TestGitRunsNothingOfTheRepository(t *testing.T) {
	t.Parallel()
	r := scannertest.New(t)
	r.Write(".gitattributes", "* diff=evil filter=evil\n")
	r.Write("a.txt", "one\n")
	first := r.Commit("first")
	r.Write("a.txt", "two\n")
	second := r.Commit("second")
	r.Write("dir/new.txt", "x\n")

	ran := filepath.Join(t.TempDir(), "ran")
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$0 $*\" >>"+ran+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	hooks := t.TempDir()
	for _, name := range []string{"post-index-change", "reference-transaction", "post-checkout"} {
		if err := os.Symlink(program, filepath.Join(hooks, name)); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range map[string]string{
		"core.fsmonitor": program, "core.hooksPath": hooks, "core.pager": program, "pager.log": program, "core.sshCommand": program,
		"core.editor": program, "core.alternateRefsCommand": program, "diff.external": program, "diff.evil.textconv": program,
		"diff.evil.command": program, "filter.evil.clean": program, "filter.evil.smudge": program, "filter.evil.process": program,
		"gpg.program": program, "log.showSignature": "true", "credential.helper": program, "core.worktree": hooks,
		"diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.submodule": "log", "alias.ls-files": "!" + program,
	} {
		r.Git("config", key, value)
	}
	if got := files(t, r.Dir).Files; !slices.Equal(got, []string{".gitattributes", "a.txt", "dir/new.txt"}) {
		t.Errorf("files = %q", got)
	}
	got := ranged(t, r.Dir, Ends{Base: first, Head: second})
	if got.Commits != 1 || got.Texts != 1 || got.Missing != "" {
		t.Errorf("range = %+v", got)
	}
	lines, err := Changed(t.Context(), Local("git"), got)
	if diff := cmp.Diff(map[string][]Lines{"a.txt": {{1, 1}}}, lines); diff != "" || err != nil {
		t.Errorf("changed: %v -want +got:\n%s", err, diff)
	}
	if data, err := os.ReadFile(ran); err == nil {
		t.Errorf("git ran programs of the repository:\n%s", data)
	}
}

func TestGitSaysWhatItRefused(t *testing.T) {
	t.Parallel()
	_, err := Local("git")(t.Context(), t.TempDir(), "--no-pager", "-c", "a.b=c", "rev-parse", "HEAD")
	if err == nil || !strings.HasPrefix(err.Error(), "git rev-parse: exit status 128: fatal: ") {
		t.Errorf("error = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Local("git"), scannertest.New(t).Dir); err == nil {
		t.Error("git runs after the end of the run")
	}
}

// A checkout by another user is refused by git unless it is told that it is safe.
func TestTreeOfAnotherUsersCheckout(t *testing.T) {
	t.Parallel()
	r := scannertest.New(t)
	r.Write("a.txt", "x\n")
	head := r.Commit("first")
	if os.Geteuid() == 0 {
		if out, err := exec.CommandContext(t.Context(), "chown", "-R", "65534:65534", r.Dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if got := files(t, r.Dir).Files; !slices.Equal(got, []string{"a.txt"}) {
		t.Errorf("files = %q", got)
	}
	if got := ranged(t, r.Dir, All(head, "all")); got.Commits != 1 || got.Missing != "" {
		t.Errorf("range = %+v", got)
	}
}
