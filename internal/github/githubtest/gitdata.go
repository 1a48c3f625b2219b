package githubtest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// A gitAPI answers the requests about Git's own objects. It knows trees of new files,
// and commits of such trees that have no parent.
type gitAPI struct{ hub *hub }

func (a gitAPI) blob(repo *repository, r *http.Request) answer {
	for _, files := range repo.files {
		for _, content := range files {
			if blob(content) == r.PathValue("sha") {
				return answer{status: http.StatusOK, body: map[string]any{"sha": blob(content), "size": len(content), "encoding": "base64", "content": lines(base64.StdEncoding.EncodeToString(content))}}
			}
		}
	}
	return notFound
}

func (a gitAPI) createTree(repo *repository, r *http.Request) answer {
	var q struct {
		Tree []struct{ Path, Mode, Type, Content string }
	}
	switch {
	case !decode(r, &q):
		return problems
	case len(repo.branches) == 0:
		return refuse(http.StatusConflict, "Git Repository is empty.")
	case len(q.Tree) == 0:
		return refuse(http.StatusUnprocessableEntity, "Invalid tree info")
	}
	files := tree{}
	for _, e := range q.Tree {
		if e.Path == "" || strings.HasPrefix(e.Path, "/") || e.Mode != "100644" || e.Type != "blob" {
			return refuse(http.StatusUnprocessableEntity, "tree.path or tree.mode is malformed")
		}
		files[e.Path] = []byte(e.Content)
	}
	sha := fmt.Sprintf("%040x", a.hub.id())
	repo.objects[sha] = files
	return answer{status: http.StatusCreated, body: map[string]any{"sha": sha}}
}

func (a gitAPI) createCommit(repo *repository, r *http.Request) answer {
	var q struct {
		Message, Tree string
		Parents       []string
	}
	switch {
	case !decode(r, &q) || q.Message == "":
		return problems
	case repo.objects[q.Tree] == nil:
		return refuse(http.StatusUnprocessableEntity, "Tree SHA does not exist")
	case len(q.Parents) > 0:
		return refuse(http.StatusUnprocessableEntity, "Parent SHA does not exist or is not a commit object")
	}
	sha := fmt.Sprintf("%040x", a.hub.id())
	repo.objects[sha] = repo.objects[q.Tree]
	for name := range repo.objects[sha] {
		repo.orphans = append(repo.orphans, Commit{sha, name, q.Message})
	}
	return answer{status: http.StatusCreated, body: map[string]any{"sha": sha}}
}
