package scope

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/tree"
	"github.com/candlefish/deploy-action/internal/security/inputs"
)

// Git is the program that reads the history.
const Git = "git"

// A Workspace is what there is to scan, and what of the history.
type Workspace struct {
	Dir    string // absolute
	repo   *tree.Repository
	Files  scanner.Tree
	Span   scanner.Range
	Commit string // that is checked out; "" without a repository
}

// openWorkspace reads the files and the commits to scan. The copy of the history is
// made below work. What of the history cannot be read makes tools inconclusive, and
// is no error. It is one if the files on the disk are not those of the commit to scan:
// that must be checked out, or a merge of it, as in the runs of pull requests.
func openWorkspace(ctx context.Context, dir, work string, o inputs.Occasion) (Workspace, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return Workspace{}, badInput("dir: %w", err)
	}
	w := Workspace{Dir: abs}
	w.repo, err = tree.Open(ctx, tree.Local(Git), abs)
	if errors.Is(err, exec.ErrNotFound) {
		return Workspace{}, &exit.Error{Status: exit.CouldNotRun, Err: fmt.Errorf("read the commits of %s: %w", dir, err), Hint: "install git 2.35 or later"}
	}
	if err != nil {
		return Workspace{}, badInput("dir: %w", err)
	}
	if w.Files, err = w.repo.Tree(ctx); err != nil {
		return Workspace{}, fmt.Errorf("list the files of %s: %w", dir, err)
	}
	if !w.repo.IsGit() {
		w.Span = scanner.Range{Missing: "there is no git repository"}
		return w, nil
	}
	return w, w.readHistory(ctx, o, filepath.Join(work, "history"))
}

func (w *Workspace) readHistory(ctx context.Context, o inputs.Occasion, folder string) error {
	commit, err := w.repo.Commit(ctx, "HEAD")
	if err != nil {
		w.Span = scanner.Range{Missing: "there is no commit yet"}
		return nil //nolint:nilerr // a repository without commits has files to scan
	}
	w.Commit = commit
	ends := tree.Ends{Why: o.Why, Gone: o.Event == "push"}
	if ends.Head, err = w.repo.Commit(ctx, o.Head); err != nil {
		w.Span = scanner.Range{Missing: err.Error()}
		return nil
	}
	parent, err := w.repo.Parent(ctx, ends.Head, w.Commit)
	switch {
	case err != nil: // as in a shallow clone
		w.Span = scanner.Range{Missing: err.Error()}
		return nil
	case parent != ends.Head:
		return badInput("head: the folder has commit %.10s checked out, which does not contain %.10s: its files would be those of another commit", w.Commit, ends.Head)
	}
	if o.Base != "" {
		if ends.Base, err = w.repo.Commit(ctx, o.Base); err != nil {
			ends.Base = o.Base // a full name of a commit that a forced push removed
		}
	}
	w.Span, err = w.repo.Range(ctx, ends, folder)
	return err
}

// Whole reports whether all of the history was there to be scanned.
func (w Workspace) Whole() bool {
	return w.Span.Missing == "" && !w.Span.Shallow && w.Span.Base == ""
}

func badInput(format string, args ...any) error {
	return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf(format, args...)}
}
