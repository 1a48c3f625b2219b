package contents

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/gitops"
)

// Readable returns an error unless the token reads the files of the repository. To one
// that does not, a file that it may not see does not exist.
func (r Repository) Readable(ctx context.Context) error {
	branch, err := r.DefaultBranch(ctx)
	if err != nil {
		return err
	}
	return r.send(ctx, http.MethodGet, "/git/ref/heads/"+escape(branch), "contents: read", nil, nil, "read branch %s", branch)
}

// HasBranch reports whether there is a branch of a name. Call Readable before: to a
// token that may not read the repository none exists.
func (r Repository) HasBranch(ctx context.Context, name string) (bool, error) {
	err := r.send(ctx, http.MethodGet, "/git/ref/heads/"+escape(name), "contents: read", nil, nil, "read branch %s", name)
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// Orphan creates a branch of one commit without a parent, which has one file. It
// returns gitops.ErrConflict if the branch exists.
func (r Repository) Orphan(ctx context.Context, branch, path string, content []byte, message string) error {
	type made struct{ SHA string }
	var tree, commit made
	entry := map[string]string{"path": path, "mode": "100644", "type": "blob", "content": string(content)}
	const needs = "contents: write"
	if err := r.send(ctx, http.MethodPost, "/git/trees", needs, map[string]any{"tree": []any{entry}}, &tree, "write %s", path); err != nil {
		return err
	}
	body := map[string]any{"message": message, "tree": tree.SHA, "parents": []string{}}
	if err := r.send(ctx, http.MethodPost, "/git/commits", needs, body, &commit, "commit %s", path); err != nil {
		return err
	}
	err := r.send(ctx, http.MethodPost, "/git/refs", needs, map[string]string{"ref": "refs/heads/" + branch, "sha": commit.SHA}, nil, "create branch %s", branch)
	if refused(err, "Reference already exists") {
		return fmt.Errorf("%w: %w", gitops.ErrConflict, err)
	}
	return err
}

func isNotFound(err error) bool { return errors.Is(err, github.ErrNotFound) }
