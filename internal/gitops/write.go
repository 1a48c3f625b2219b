package gitops

import (
	"context"
	"errors"
	"fmt"
)

// A Mode says how the image gets into the repository.
type Mode string

// The modes.
const (
	ModeCommit      Mode = "commit"       // onto the branch
	ModePullRequest Mode = "pull-request" // as a proposal
)

// A File is a file of a branch.
type File struct {
	Content []byte
	ID      string // changes with the content
}

// ErrConflict is in the error for a commit whose file somebody changed meanwhile, or
// which a rule of the branch refuses.
var ErrConflict = errors.New("conflict")

// A Repository is a Git repository at a host.
type Repository interface {
	// DefaultBranch returns the branch that an empty name means.
	DefaultBranch(ctx context.Context) (string, error)
	// File reads a file of a branch.
	File(ctx context.Context, branch, path string) (File, error)
	// Commit replaces a file that has the ID, and returns the commit's page. It
	// returns ErrConflict if the file has another ID now.
	Commit(ctx context.Context, branch, path string, f File, message string) (page string, err error)
	// Branch creates a branch at the head of another. One that exists is left as it is.
	Branch(ctx context.Context, name, from string) error
	// Propose opens a pull request, or returns the page of the open one.
	Propose(ctx context.Context, branch, into, title, body string) (page string, err error)
}

// A Change is an image to write.
type Change struct {
	Branch string // "" for the repository's default
	Path   string
	Field  Field
	Image  string
	Mode   Mode
	// Proposal is the name of the branch of a pull request. The same name again goes on
	// with the same pull request.
	Proposal string
	// Title is the first line of the commit's message, Body the rest.
	Title, Body string
}

// A Written is the result of Write.
type Written struct {
	Page      string // of the commit or the pull request
	Unchanged bool   // the file had the image already; nothing was written
}

// attempts bounds how often a commit is tried again after somebody's push.
const attempts = 5

// Write writes a change. A push by somebody else meanwhile is read and edited again.
func Write(ctx context.Context, to Repository, c Change) (Written, error) {
	base := c.Branch
	if base == "" {
		var err error
		if base, err = to.DefaultBranch(ctx); err != nil {
			return Written{}, err
		}
	}
	if c.Mode != ModePullRequest {
		return commit(ctx, to, c, base)
	}
	_, edited, err := c.edited(ctx, to, base)
	if err != nil || edited == nil {
		return Written{Unchanged: err == nil}, err
	}
	if err := to.Branch(ctx, c.Proposal, base); err != nil {
		return Written{}, err
	}
	if _, err := commit(ctx, to, c, c.Proposal); err != nil {
		return Written{}, err
	}
	page, err := to.Propose(ctx, c.Proposal, base, c.Title, c.Body)
	return Written{Page: page}, err
}

// edited reads the file of a branch, and edits it. The result is nil if the file has
// the image already.
func (c Change) edited(ctx context.Context, to Repository, branch string) (file File, edited []byte, err error) {
	if file, err = to.File(ctx, branch, c.Path); err != nil {
		return file, nil, err
	}
	if edited, err = Edit(file.Content, c.Field, c.Image); err != nil {
		return file, nil, fmt.Errorf("edit %s: %w", c.Path, err)
	}
	if string(edited) == string(file.Content) {
		return file, nil, nil
	}
	return file, edited, nil
}

func commit(ctx context.Context, to Repository, c Change, branch string) (Written, error) {
	message := c.Title
	if c.Body != "" {
		message += "\n\n" + c.Body
	}
	refused := ""
	for n := 1; ; n++ {
		file, edited, err := c.edited(ctx, to, branch)
		if err != nil || edited == nil {
			return Written{Unchanged: err == nil}, err
		}
		page, err := to.Commit(ctx, branch, c.Path, File{Content: edited, ID: file.ID}, message)
		switch {
		case err == nil:
			return Written{Page: page}, nil
		case !errors.Is(err, ErrConflict) || n == attempts:
			return Written{}, err
		case file.ID == refused: // not a push: the file is the one that was refused before
			return Written{}, fmt.Errorf("%w (branch %s takes no commit; a pull request may do)", err, branch)
		}
		refused = file.ID
	}
}
