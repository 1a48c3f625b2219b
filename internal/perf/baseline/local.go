package baseline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// A local has the file on a branch of the repository on this machine. It writes Git's
// objects and the branch, and touches neither the index nor the working tree.
type local struct {
	dir, branch, name, why string
}

func (l local) where() string {
	return fmt.Sprintf("%s on branch %s of the local repository", l.name, l.branch)
}

func (l local) reset() string { return "git branch -D " + l.branch }

func (l local) ref() string { return "refs/heads/" + l.branch }

// git runs a command of Git's plumbing. No hook runs: nothing of the user's is done.
func (l local) git(ctx context.Context, stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsmonitor=false", "-c", "core.quotePath=false"}, args...)...)
	cmd.Dir, cmd.Stdin = l.dir, bytes.NewReader(stdin)
	const name, mail = "performance gate", "performance-gate@localhost"
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_AUTHOR_NAME="+name, "GIT_AUTHOR_EMAIL="+mail, "GIT_COMMITTER_NAME="+name, "GIT_COMMITTER_EMAIL="+mail)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		said, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, said)
	}
	return string(out), nil
}

// commitOf returns the commit of a ref, "" if there is no such ref.
func (l local) commitOf(ctx context.Context, ref string) (string, error) {
	out, err := l.git(ctx, nil, "for-each-ref", "--format=%(objectname) %(refname)", ref)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if commit, name, _ := strings.Cut(strings.TrimSpace(line), " "); name == ref {
			return commit, nil
		}
	}
	return "", nil
}

// tip returns the commit that the next one follows: the branch's, or before there is a
// branch that of origin as it was last fetched. Old is the branch's own, "" for none.
func (l local) tip(ctx context.Context) (tip, old string, err error) {
	if old, err = l.commitOf(ctx, l.ref()); err != nil || old != "" {
		return old, old, err
	}
	tip, err = l.commitOf(ctx, "refs/remotes/origin/"+l.branch)
	return tip, "", err
}

// entries lists the files of a commit as git mktree takes them, and the blob of ours.
func (l local) entries(ctx context.Context, commit string) (all []string, blob string, err error) {
	if commit == "" {
		return nil, "", nil
	}
	out, err := l.git(ctx, nil, "ls-tree", "-z", commit)
	if err != nil {
		return nil, "", err
	}
	for entry := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		kind, name, ok := strings.Cut(entry, "\t")
		if ok && name == l.name {
			if f := strings.Fields(kind); len(f) == 3 && f[1] == "blob" {
				blob = f[2]
			}
			continue
		}
		if ok {
			all = append(all, entry)
		}
	}
	return all, blob, nil
}

func (l local) read(ctx context.Context) ([]byte, string, error) {
	tip, old, err := l.tip(ctx)
	if err != nil {
		return nil, "", err
	}
	_, blob, err := l.entries(ctx, tip)
	if err != nil || blob == "" {
		return nil, old, err
	}
	content, err := l.git(ctx, nil, "cat-file", "blob", blob)
	return []byte(content), old, err
}

// write commits the file. The token is the commit that the branch had, and the branch
// moves only from there.
func (l local) write(ctx context.Context, content []byte, token string) error {
	if err := l.checkedOut(ctx); err != nil {
		return err
	}
	tip, old, err := l.tip(ctx)
	if err != nil {
		return err
	}
	if old != token {
		return errConflict
	}
	commit, err := l.commit(ctx, tip, content)
	if err != nil {
		return err
	}
	if token == "" {
		token = strings.Repeat("0", len(commit))
	}
	_, err = l.git(ctx, nil, "update-ref", "-m", "performance baseline", l.ref(), commit, token)
	if err == nil {
		return nil
	}
	// Another process has moved the branch, or is about to and has the lock.
	if now, look := l.commitOf(ctx, l.ref()); look == nil && (now != old || strings.Contains(err.Error(), ".lock")) {
		return fmt.Errorf("%w: %w", errConflict, err)
	}
	return err
}

// commit makes a commit with the file and all others of the tip, and no branch.
func (l local) commit(ctx context.Context, tip string, content []byte) (string, error) {
	others, _, err := l.entries(ctx, tip)
	if err != nil {
		return "", err
	}
	blob, err := l.git(ctx, content, "hash-object", "-w", "--no-filters", "--stdin")
	if err != nil {
		return "", err
	}
	entries := slices.Concat(others, []string{fmt.Sprintf("100644 blob %s\t%s", strings.TrimSpace(blob), l.name)})
	tree, err := l.git(ctx, []byte(strings.Join(entries, "\x00")+"\x00"), "mktree", "-z")
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", "--no-gpg-sign", strings.TrimSpace(tree), "-m", "Performance baseline: " + l.why}
	if tip != "" {
		args = append(args, "-p", tip)
	}
	commit, err := l.git(ctx, nil, args...)
	return strings.TrimSpace(commit), err
}

// checkedOut refuses a branch that somebody works on: it would move below their
// working tree.
func (l local) checkedOut(ctx context.Context) error {
	out, err := l.git(ctx, nil, "worktree", "list", "--porcelain")
	if err != nil {
		return err
	}
	if slices.Contains(strings.Split(out, "\n"), "branch "+l.ref()) {
		return errors.New("the branch is checked out: type git switch - and run it again")
	}
	return nil
}
