package contents_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/gitops"
)

// A branch of its own begins without a parent, and only once.
func TestOrphan(t *testing.T) {
	t.Parallel()
	server, r := start(t, githubtest.Options{})
	if has, err := r.HasBranch(t.Context(), "results"); has || err != nil {
		t.Errorf("before: %v, %v", has, err)
	}
	if err := r.Orphan(t.Context(), "results", "a.json", []byte("{}"), "first"); err != nil {
		t.Fatal(err)
	}
	if has, err := r.HasBranch(t.Context(), "results"); !has || err != nil || string(server.Files(repo).Get("results", "a.json")) != "{}" || server.Files(repo).Get("results", path) != nil {
		t.Errorf("after: %v, %v", has, err)
	}
	if err := r.Orphan(t.Context(), "results", "a.json", []byte("[]"), "second"); !errors.Is(err, gitops.ErrConflict) {
		t.Errorf("the second: %v, want a conflict", err)
	}
	if _, err := r.Commit(t.Context(), "results", "a.json", gitops.File{Content: []byte("[]")}, "third"); !errors.Is(err, gitops.ErrConflict) {
		t.Errorf("a new file where there is one: %v, want a conflict", err)
	}
	if _, err := r.Commit(t.Context(), "results", "b.json", gitops.File{Content: []byte("[]")}, "fourth"); err != nil {
		t.Errorf("another file: %v", err)
	}
}

func TestAFileOverOneMegabyte(t *testing.T) {
	t.Parallel()
	server, r := start(t, githubtest.Options{})
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	server.Files(repo).Set("main", path, large)
	if f, err := r.File(t.Context(), "main", path); err != nil || !bytes.Equal(f.Content, large) || f.ID == "" {
		t.Errorf("%d bytes, %v", len(f.Content), err)
	}
}

// A token without the permission sees nothing: that is no missing file.
func TestReadable(t *testing.T) {
	t.Parallel()
	server, r := start(t, githubtest.Options{})
	if err := r.Readable(t.Context()); err != nil {
		t.Error(err)
	}
	server.Inject(githubtest.Fault{Method: http.MethodGet, Path: "/git/ref/", Do: githubtest.Answer(http.StatusNotFound, `{"message":"Not Found"}`)})
	if err := r.Readable(t.Context()); err == nil {
		t.Error("without contents: read: no error")
	}
}
