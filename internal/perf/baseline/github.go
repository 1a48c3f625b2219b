package baseline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/contents"
	"github.com/candlefish/deploy-action/internal/gitops"
)

// A hosted has the file on a branch of the repository on GitHub. The branch begins
// without a parent: it shares nothing with the code.
type hosted struct {
	files                         contents.Repository
	repository, branch, name, why string
}

func (h hosted) where() string {
	return fmt.Sprintf("%s on branch %s of %s", h.name, h.branch, h.repository)
}

func (h hosted) reset() string { return "git push origin --delete " + h.branch }

// noBranch is the token of a branch that does not exist: no blob has this name.
const noBranch = "no branch"

func (h hosted) read(ctx context.Context) ([]byte, string, error) {
	file, err := h.files.File(ctx, h.branch, h.name)
	if err == nil {
		return file.Content, file.ID, nil
	}
	if !errors.Is(err, github.ErrNotFound) {
		return nil, "", err
	}
	// A token that may not read the repository sees nothing either.
	if err := h.files.Readable(ctx); err != nil {
		return nil, "", err
	}
	switch has, err := h.files.HasBranch(ctx, h.branch); {
	case err != nil:
		return nil, "", err
	case !has:
		return nil, noBranch, nil
	}
	return nil, "", nil
}

func (h hosted) write(ctx context.Context, content []byte, token string) error {
	message := "Performance baseline: " + h.why
	var err error
	if token == noBranch {
		err = h.files.Orphan(ctx, h.branch, h.name, content, message)
	} else {
		_, err = h.files.Commit(ctx, h.branch, h.name, gitops.File{Content: content, ID: token}, message)
	}
	switch {
	case err == nil, !errors.Is(err, gitops.ErrConflict):
		return err
	case strings.Contains(err.Error(), "rule violations"):
		return fmt.Errorf("the rules of branch %s forbid it: let GitHub Actions bypass them, or use a branch without rules: %s", h.branch, err) //nolint:errorlint // no conflict: it would be tried again
	}
	return fmt.Errorf("%w: %w", errConflict, err)
}
