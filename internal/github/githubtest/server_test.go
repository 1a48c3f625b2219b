package githubtest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A reply is what came back.
type reply struct {
	status     int
	link, body string
}

func ask(t *testing.T, s *Server, method, path, body string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer t0ken")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header.Get("Link"), string(raw)}
}

func TestReportsWhatItHasNoPageFor(t *testing.T) {
	t.Parallel()
	var reports []string
	s := Start(t, Options{Report: func(format string, args ...any) { reports = append(reports, fmt.Sprintf(format, args...)) }})
	s.AddRepo("a/b")
	for _, request := range []string{"GET /rate_limit", "PUT /repos/a/b/pulls", "GET /repos/a/b/pulls/1/files"} {
		method, path, _ := strings.Cut(request, " ")
		resp := ask(t, s, method, path, "")
		if n := len(reports); resp.status != http.StatusNotFound || n == 0 || !strings.Contains(reports[n-1], request+": no such page") {
			t.Errorf("%s: %d, reports %v", request, resp.status, reports)
		}
	}
	if resp := ask(t, s, "GET", "/repos/a/b/pulls", ""); resp.status != http.StatusOK || len(reports) != 3 {
		t.Errorf("a page that it has: %d, reports %v", resp.status, reports)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	s.AddPull("a/b", Pull{Number: 1})
	for i := range 65 {
		s.AddComment("a/b", Comment{Number: 1, Author: "ann", Body: fmt.Sprint(i)})
	}
	for path, want := range map[string]struct{ link, last string }{
		"":                      {`<URL?page=2>; rel="next", <URL?page=3>; rel="last"`, `"29"`},
		"?page=2":               {`<URL?page=1>; rel="prev", <URL?page=3>; rel="next", <URL?page=3>; rel="last", <URL?page=1>; rel="first"`, `"59"`},
		"?page=3":               {`<URL?page=2>; rel="prev", <URL?page=1>; rel="first"`, `"64"`},
		"?per_page=100":         {"", `"64"`},
		"?per_page=1000":        {"", `"64"`},
		"?per_page=65&page=999": {`<URL?page=998&per_page=65>; rel="prev", <URL?page=1&per_page=65>; rel="first"`, "[]"},
	} {
		const list = "/repos/a/b/issues/1/comments"
		resp := ask(t, s, "GET", list+path, "")
		link := strings.ReplaceAll(resp.link, s.URL()+list, "URL")
		if link != want.link || !strings.Contains(resp.body, want.last) || strings.Contains(resp.body, `"65"`) {
			t.Errorf("%q: Link %s, want %s and %s", path, link, want.link, want.last)
		}
	}
}

// What is not asked for by internal/github, but is what GitHub does to a client
// that leaves a setting out.
func TestDeploymentsByDefault(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	s.AddBranch("a/b", "main", "c0ffee")
	const set = `{"ref":"c0ffee","auto_merge":false,"required_contexts":[],"environment":"pr-1","production_environment":false`
	for body, want := range map[string]int{
		`{`:                                   http.StatusBadRequest,
		`{"ref":"none"}`:                      http.StatusUnprocessableEntity,
		`{"ref":"c0ffee"}`:                    http.StatusAccepted,
		`{"ref":"c0ffee","auto_merge":false}`: http.StatusConflict,
	} {
		if resp := ask(t, s, "POST", "/repos/a/b/deployments", body); resp.status != want {
			t.Errorf("%s: %+v, want %d", body, resp, want)
		}
	}
	for _, transient := range []string{"}", `,"transient_environment":true}`, "}"} {
		if resp := ask(t, s, "POST", "/repos/a/b/deployments", set+transient); resp.status != http.StatusCreated {
			t.Fatalf("%+v", resp)
		}
		all := s.Deployments("a/b")
		ask(t, s, "POST", fmt.Sprintf("/repos/a/b/deployments/%d/statuses", all[len(all)-1].ID), `{"state":"success"}`)
	}
	for i, want := range []string{"inactive", "success", "success"} {
		if got := s.Deployments("a/b")[i].State(); got != want {
			t.Errorf("deployment %d is %s, want %s", i, got, want)
		}
	}
}

func TestHeldAndHealed(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{Login: "ann"})
	gate := make(chan struct{})
	s.Inject(Fault{Do: Held(gate)})
	done := make(chan string)
	go func() {
		defer close(done)
		done <- ask(t, s, "GET", "/user", "").body
	}()
	select {
	case body := <-done:
		t.Errorf("it was not held: %s", body)
	case gate <- struct{}{}:
	}
	if body := <-done; !strings.Contains(body, `"ann"`) {
		t.Errorf("then %s", body)
	}
	s.Heal()
	if resp := ask(t, s, "GET", "/user", ""); resp.status != http.StatusOK {
		t.Errorf("healed: %d", resp.status)
	}
}
