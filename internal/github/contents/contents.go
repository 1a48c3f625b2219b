// Package contents reads and writes files of a repository on GitHub, with branches
// and pull requests: a gitops.Repository.
//
// A write names the blob that it replaces, so it never undoes somebody's push.
package contents

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/gitops"
)

// A Repository is one on GitHub.
type Repository struct {
	client *github.Client
	name   string // owner/name
}

var _ gitops.Repository = Repository{}

// New returns the repository owner/name.
func New(client *github.Client, name string) (Repository, error) {
	if !github.IsRepository(name) {
		return Repository{}, fmt.Errorf("repository %q: want owner/name", name)
	}
	return Repository{client, name}, nil
}

// send sends a request about the repository.
func (r Repository) send(ctx context.Context, method, path, needs string, body, answer any, format string, args ...any) error {
	return r.client.Send(ctx, github.Request{
		What: fmt.Sprintf(format, args...) + " of " + r.name, Needs: needs, Method: method, Path: "repos/" + r.name + path, Body: body, Once: method == http.MethodPost,
	}, answer)
}

// DefaultBranch implements gitops.Repository.
func (r Repository) DefaultBranch(ctx context.Context) (string, error) {
	var a struct {
		Branch string `json:"default_branch"`
	}
	err := r.send(ctx, http.MethodGet, "", "contents: read", nil, &a, "read the default branch")
	if err == nil && a.Branch == "" {
		err = fmt.Errorf("read the default branch of %s: the response has none", r.name)
	}
	return a.Branch, err
}

// escape escapes the parts of a path.
func escape(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// File implements gitops.Repository. GitHub sends the content of a file over 1 MB only
// as a blob.
func (r Repository) File(ctx context.Context, branch, path string) (gitops.File, error) {
	var a struct {
		Type, Encoding, Content, SHA string
	}
	what := fmt.Sprintf("read %s on branch %s", path, branch)
	err := r.send(ctx, http.MethodGet, "/contents/"+escape(path)+"?ref="+url.QueryEscape(branch), "contents: read", nil, &a, "%s", what)
	switch {
	case err != nil:
		return gitops.File{}, err
	case a.Type != "file" || a.SHA == "":
		return gitops.File{}, fmt.Errorf("%s of %s: it is a %s, want a file", what, r.name, a.Type)
	case a.Encoding == "none":
		if err := r.send(ctx, http.MethodGet, "/git/blobs/"+url.PathEscape(a.SHA), "contents: read", nil, &a, "%s", what); err != nil {
			return gitops.File{}, err
		}
	}
	if a.Encoding != "base64" {
		return gitops.File{}, fmt.Errorf("%s of %s: its encoding is %q, want base64", what, r.name, a.Encoding)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(a.Content, "\n", ""))
	if err != nil {
		return gitops.File{}, fmt.Errorf("%s of %s: %w", what, r.name, err)
	}
	return gitops.File{Content: raw, ID: a.SHA}, nil
}

// Commit implements gitops.Repository; a File without ID is a new one. A lost response
// is no error if the file has the content then: the next attempt finds it.
func (r Repository) Commit(ctx context.Context, branch, path string, f gitops.File, message string) (string, error) {
	body := map[string]string{"message": message, "content": base64.StdEncoding.EncodeToString(f.Content), "branch": branch}
	if f.ID != "" {
		body["sha"] = f.ID
	}
	var a struct {
		Commit struct {
			Page string `json:"html_url"`
		}
	}
	err := r.send(ctx, http.MethodPut, "/contents/"+escape(path), "contents: write", body, &a, "commit %s to branch %s", path, branch)
	if s, ok := errors.AsType[*github.StatusError](err); ok && s.Status == http.StatusConflict || refused(err, `"sha" wasn't supplied`) {
		err = fmt.Errorf("%w: %w", gitops.ErrConflict, err)
	}
	return a.Commit.Page, err
}

// Branch implements gitops.Repository.
func (r Repository) Branch(ctx context.Context, name, from string) error {
	var head struct{ Object struct{ SHA string } }
	if err := r.send(ctx, http.MethodGet, "/git/ref/heads/"+escape(from), "contents: read", nil, &head, "read branch %s", from); err != nil {
		return err
	}
	body := map[string]string{"ref": "refs/heads/" + name, "sha": head.Object.SHA}
	err := r.send(ctx, http.MethodPost, "/git/refs", "contents: write", body, nil, "create branch %s", name)
	if refused(err, "Reference already exists") {
		return nil
	}
	return err
}

// refused reports whether GitHub answered 422 with these words.
func refused(err error, said string) bool {
	s, ok := errors.AsType[*github.StatusError](err)
	return ok && s.Status == http.StatusUnprocessableEntity && strings.Contains(s.Said, said)
}

// Propose implements gitops.Repository.
func (r Repository) Propose(ctx context.Context, branch, into, title, body string) (string, error) {
	type pull struct {
		Page string `json:"html_url"`
	}
	var made pull
	request := map[string]string{"title": title, "head": branch, "base": into, "body": body}
	err := r.send(ctx, http.MethodPost, "/pulls", "pull-requests: write", request, &made, "open a pull request for branch %s", branch)
	if !refused(err, "A pull request already exists") {
		return made.Page, err
	}
	owner, _, _ := strings.Cut(r.name, "/")
	var open []pull
	query := "?state=open&head=" + url.QueryEscape(owner+":"+branch) + "&base=" + url.QueryEscape(into)
	if err := r.send(ctx, http.MethodGet, "/pulls"+query, "pull-requests: read", nil, &open, "find the pull request for branch %s", branch); err != nil {
		return "", err
	}
	if len(open) == 0 {
		return "", err
	}
	return open[0].Page, nil
}
