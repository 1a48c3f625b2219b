package tree

import (
	"context"
	"fmt"
	"strings"
)

// Commit returns the full name of the commit that a name of a commit, branch or tag
// means in the workspace's repository.
func (r *Repository) Commit(ctx context.Context, name string) (string, error) {
	commit, err := r.line(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	if err != nil || !hexName.MatchString(commit) {
		return "", fmt.Errorf("there is no commit %q in this clone: fetch it (actions/checkout with fetch-depth: 0)", name)
	}
	return commit, nil
}

// Parent returns the commit from which two commits' histories part. A pull request
// is compared with it: what its base got since is not the pull request's.
func (r *Repository) Parent(ctx context.Context, a, b string) (string, error) {
	out, err := r.run(ctx, "merge-base", a, b)
	commit := strings.TrimSpace(string(out))
	if err != nil || !hexName.MatchString(commit) {
		return "", fmt.Errorf("the commits %s and %s have no common history in this clone", short(a), short(b))
	}
	return commit, nil
}
