package tree

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/scanner"
)

// Lay writes files into a new folder, as a git repository with one commit if commit
// is set, and returns what there is to scan in it. The copy of its history is made
// in the folder history.
func Lay(ctx context.Context, git Git, files map[string]string, commit bool, folder, history string) (scanner.Tree, scanner.Range, error) {
	for name, content := range files {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return scanner.Tree{}, scanner.Range{}, errors.New("the file " + name + " is not in its folder")
		}
		if err := write(filepath.Join(folder, filepath.FromSlash(name)), content); err != nil {
			return scanner.Tree{}, scanner.Range{}, err
		}
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return scanner.Tree{}, scanner.Range{}, err
	}
	head := ""
	if commit {
		var err error
		if head, err = commitAll(ctx, git, folder); err != nil {
			return scanner.Tree{}, scanner.Range{}, err
		}
	}
	r, err := Open(ctx, git, folder)
	if err != nil {
		return scanner.Tree{}, scanner.Range{}, err
	}
	t, err := r.Tree(ctx)
	if err != nil || !commit {
		return t, scanner.Range{Missing: "there is no git repository"}, err
	}
	all, err := r.Range(ctx, All(head, "all of the history"), history)
	return t, all, err
}

func commitAll(ctx context.Context, git Git, folder string) (head string, err error) {
	for _, args := range [][]string{
		{"-c", "init.defaultBranch=main", "init", "--quiet", "--template="}, {"add", "--all", "--force"},
		{"commit", "--quiet", "--no-verify", "--message=planted"}, {"rev-parse", "HEAD"},
	} {
		out, err := git(ctx, folder, append(slices.Clone(safe), args...)...)
		if err != nil {
			return "", err
		}
		head = strings.TrimSpace(string(out))
	}
	return head, nil
}
