package githubtest

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // Git's IDs are SHA-1
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// A tree has the files of a branch, by path.
type tree map[string][]byte

// Files are the files of a repository, on its branches.
type Files struct {
	server *Server
	repo   string
}

// Files returns the files of a repository.
func (s *Server) Files(repo string) Files { return Files{s, repo} }

// Set writes a file of a branch, as a push by somebody does.
func (f Files) Set(branch, name string, content []byte) {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	f.server.hub.repo(f.repo).push(branch, name, content, f.server.hub.id())
}

// Get returns a file of a branch, nil for none.
func (f Files) Get(branch, name string) []byte {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	return slices.Clone(f.server.hub.repo(f.repo).files[branch][name])
}

// A Commit is what the contents API committed.
type Commit struct{ Branch, Path, Message string }

// Commits returns the commits by the contents API, oldest first.
func (f Files) Commits() []Commit {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	return slices.Clone(f.server.hub.repo(f.repo).commits)
}

// Pulls returns the pull requests of a repository, by number.
func (s *Server) Pulls(repo string) []Pull {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Pull
	for _, n := range slices.Sorted(maps.Keys(s.hub.repo(repo).pulls)) {
		all = append(all, *s.hub.repo(repo).pulls[n])
	}
	return all
}

// Protect makes a branch refuse commits, as a rule that wants pull requests does.
func (f Files) Protect(branch string) {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	f.server.hub.repo(f.repo).protected[branch] = true
}

func (repo *repository) push(branch, name string, content []byte, id int64) string {
	if repo.files[branch] == nil {
		repo.files[branch] = tree{}
	}
	repo.files[branch][name] = slices.Clone(content)
	repo.branches[branch] = fmt.Sprintf("%040x", id)
	return repo.branches[branch]
}

// blob is Git's ID of a content.
func blob(content []byte) string {
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// A contentsAPI answers the requests about files, references and new pull requests.
type contentsAPI struct{ hub *hub }

func (a contentsAPI) repository(repo *repository, _ *http.Request) answer {
	return answer{status: http.StatusOK, body: map[string]any{"full_name": repo.name, "default_branch": "main"}}
}

func (a contentsAPI) get(repo *repository, r *http.Request) answer {
	branch, name := cmp.Or(r.URL.Query().Get("ref"), "main"), r.PathValue("path")
	if _, ok := repo.branches[branch]; !ok {
		return refuse(http.StatusNotFound, "No commit found for the ref "+branch)
	}
	content, ok := repo.files[branch][name]
	if !ok {
		for other := range repo.files[branch] {
			if strings.HasPrefix(other, name+"/") {
				return answer{status: http.StatusOK, body: []any{map[string]any{"type": "file", "path": other}}}
			}
		}
		return notFound
	}
	body := map[string]any{"type": "file", "path": name, "name": path.Base(name), "sha": blob(content), "size": len(content), "encoding": "none", "content": ""}
	if len(content) <= 1<<20 {
		body["encoding"], body["content"] = "base64", lines(base64.StdEncoding.EncodeToString(content))
	}
	return answer{status: http.StatusOK, body: body}
}

// lines breaks text as GitHub breaks base64.
func lines(text string) string {
	var b strings.Builder
	for len(text) > 60 {
		b.WriteString(text[:60] + "\n")
		text = text[60:]
	}
	return b.String() + text + "\n"
}

func (a contentsAPI) put(repo *repository, r *http.Request) answer {
	var q struct{ Message, Content, SHA, Branch string }
	if !decode(r, &q) || q.Message == "" {
		return problems
	}
	branch, name := cmp.Or(q.Branch, "main"), r.PathValue("path")
	raw, err := base64.StdEncoding.DecodeString(q.Content)
	old, exists := repo.files[branch][name]
	switch {
	case err != nil:
		return refuse(http.StatusUnprocessableEntity, "content is not valid Base64")
	case repo.branches[branch] == "":
		return refuse(http.StatusNotFound, "Branch "+branch+" not found")
	case repo.protected[branch]:
		return refuse(http.StatusConflict, "Repository rule violations found\n\nChanges must be made through a pull request.\n\n")
	case exists && q.SHA == "":
		return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n\"sha\" wasn't supplied.")
	case exists && q.SHA != blob(old), !exists && q.SHA != "":
		return refuse(http.StatusConflict, name+" does not match "+q.SHA)
	}
	sha := repo.push(branch, name, raw, a.hub.id())
	repo.commits = append(repo.commits, Commit{branch, name, q.Message})
	status := http.StatusOK
	if !exists {
		status = http.StatusCreated
	}
	return answer{status: status, body: map[string]any{
		"content": map[string]any{"path": name, "sha": blob(raw)},
		"commit":  map[string]any{"sha": sha, "html_url": "https://github.com/" + repo.name + "/commit/" + sha},
	}}
}

func (a contentsAPI) ref(repo *repository, r *http.Request) answer {
	sha, ok := repo.branches[r.PathValue("branch")]
	if !ok {
		return notFound
	}
	return answer{status: http.StatusOK, body: map[string]any{"ref": "refs/heads/" + r.PathValue("branch"), "object": map[string]any{"type": "commit", "sha": sha}}}
}

func (a contentsAPI) createRef(repo *repository, r *http.Request) answer {
	var q struct{ Ref, SHA string }
	if !decode(r, &q) {
		return problems
	}
	name, ok := strings.CutPrefix(q.Ref, "refs/heads/")
	from := ""
	for branch, sha := range repo.branches {
		if sha == q.SHA {
			from = branch
		}
	}
	switch {
	case !ok || name == "" || strings.ContainsAny(name, " ~^:?*[\\") || strings.HasSuffix(name, "/") || strings.Contains(name, ".."):
		return refuse(http.StatusUnprocessableEntity, q.Ref+" is not a valid ref name.")
	case repo.branches[name] != "":
		return refuse(http.StatusUnprocessableEntity, "Reference already exists")
	case from == "" && repo.objects[q.SHA] == nil:
		return refuse(http.StatusUnprocessableEntity, "Object does not exist")
	case from == "":
		repo.branches[name], repo.files[name] = q.SHA, maps.Clone(repo.objects[q.SHA])
		for _, c := range repo.orphans {
			if c.Branch == q.SHA {
				repo.commits = append(repo.commits, Commit{name, c.Path, c.Message})
			}
		}
		return answer{status: http.StatusCreated, body: map[string]any{"ref": q.Ref, "object": map[string]any{"type": "commit", "sha": q.SHA}}}
	}
	repo.branches[name], repo.files[name] = q.SHA, maps.Clone(repo.files[from])
	return answer{status: http.StatusCreated, body: map[string]any{"ref": q.Ref, "object": map[string]any{"type": "commit", "sha": q.SHA}}}
}

func (a contentsAPI) createPull(repo *repository, r *http.Request) answer {
	var q struct{ Title, Head, Base, Body string }
	switch {
	case !decode(r, &q):
		return problems
	case a.hub.options.NoPulls:
		return refuse(http.StatusForbidden, "GitHub Actions is not permitted to create or approve pull requests.")
	case repo.branches[q.Base] == "":
		return invalid("PullRequest", "base", "base is invalid")
	case repo.branches[q.Head] == "":
		return invalid("PullRequest", "head", "head is invalid")
	case repo.branches[q.Head] == repo.branches[q.Base]:
		return invalid("PullRequest", "", "No commits between "+q.Base+" and "+q.Head)
	}
	for _, p := range repo.pulls {
		if p.State == "open" && p.HeadRef == q.Head && p.BaseRef == q.Base {
			owner, _, _ := strings.Cut(repo.name, "/")
			return invalid("PullRequest", "", "A pull request already exists for "+owner+":"+q.Head+".")
		}
	}
	p := &Pull{Number: len(repo.pulls) + 1, Title: q.Title, Author: a.hub.options.Login, State: "open", HeadSHA: repo.branches[q.Head], HeadRef: q.Head, HeadRepo: repo.name, BaseRef: q.Base}
	repo.pulls[p.Number] = p
	return answer{status: http.StatusCreated, body: p.wire(repo)}
}
