package github

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const events = "../../testdata/events"

func payload(t testing.TB, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(events, file))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestParseEvent(t *testing.T) {
	t.Parallel()
	const (
		hello, octo = "Codertocat/Hello-World", "octo-org/octo-repo"
		head, run   = "ec26c3e57ca3a959ca5aad62de7213c562f8c821", "3484a3fb816e0859fd6e1cea078d76385ff50625"
	)
	pull := func(action string) Event {
		return Event{Name: "pull_request", Action: action, Repo: hello, Number: 2, HeadSHA: head, HeadRepo: hello, Closed: action == "closed"}
	}
	forked := pull("opened")
	forked.Name, forked.HeadRepo, forked.Fork = "pull_request_target", "mallory/Hello-World", true
	for _, test := range []struct {
		file string
		want Event
	}{
		{"pull_request.opened.json", pull("opened")},
		{"pull_request.synchronize.json", pull("synchronize")},
		{"pull_request.reopened.json", pull("reopened")},
		{"pull_request.closed.json", pull("closed")},
		{"pull_request.opened.fork.json", forked},
		{"workflow_run.completed.json", Event{Name: "workflow_run", Action: "completed", Repo: octo, HeadSHA: run, HeadRepo: octo, HeadBranch: "master", RunID: 289782451, Trigger: "repository_dispatch", Conclusion: "success"}},
		{"workflow_run.completed.fork.json", Event{Name: "workflow_run", Action: "completed", Repo: octo, HeadSHA: run, HeadRepo: "mallory/octo-repo", HeadBranch: "master", Fork: true, RunID: 289782451, Trigger: "pull_request", Conclusion: "success"}},
		{"workflow_dispatch.json", Event{Name: "workflow_dispatch", Repo: octo}},
		{"schedule.json", Event{Name: "schedule", Repo: octo}},
	} {
		got, err := ParseEvent(test.want.Name, payload(t, test.file))
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", test.file, err, diff)
		}
	}
}

func TestParseEventOfADeletedFork(t *testing.T) {
	t.Parallel()
	raw := `{"action":"closed","number":3,"repository":{"full_name":"a/b"},"pull_request":{"number":3,"state":"closed","head":{"sha":"` + sha1 + `","repo":null},"base":{"repo":{"full_name":"a/b"}}}}`
	got, err := ParseEvent("pull_request", []byte(raw))
	want := Event{Name: "pull_request", Action: "closed", Repo: "a/b", Number: 3, HeadSHA: sha1, Fork: true, Closed: true}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestParseEventRefuses(t *testing.T) {
	t.Parallel()
	// edit replaces one piece of a real event.
	edit := func(file, old, with string) string {
		raw := string(payload(t, file))
		if !strings.Contains(raw, old) {
			t.Errorf("%s does not hold %s", file, old)
		}
		return strings.ReplaceAll(raw, old, with)
	}
	const pull, run = "pull_request.opened.json", "workflow_run.completed.json"
	for _, test := range []struct{ name, event, payload, want string }{
		{"another event", "push", "{}", "want pull_request"},
		{"nothing", "schedule", "", "unexpected end"},
		{"null", "schedule", "null", "repository.full_name"},
		{"a list", "schedule", "[]", "cannot unmarshal"},
		{"two", "schedule", "{}{}", "after top-level value"},
		{"deep", "schedule", strings.Repeat("[", 20_000), "exceeded max depth"},
		{"huge", "schedule", strings.Repeat(" ", MaxEvent+1), "the maximum is"},
		{"of another kind", "pull_request", string(payload(t, run)), "missing"},
		{"of another kind too", "workflow_run", string(payload(t, pull)), "missing"},
		{"no action", "pull_request", edit(pull, `"action": "opened"`, `"action": ""`), "missing"},
		{"text for a number", "pull_request", edit(pull, `"number": 2`, `"number": "2"`), "cannot unmarshal"},
		{"huge number", "pull_request", edit(pull, `"number": 2`, `"number": 1e99`), "cannot unmarshal"},
		{"no number", "pull_request", edit(pull, `"number": 2`, `"number": 0`), "number 0"},
		{"below 0", "pull_request", edit(pull, `"number": 2`, `"number": -2`), "number -2"},
		{"a path for a commit", "pull_request", edit(pull, "ec26c3e57ca3a959ca5aad62de7213c562f8c821", "../../x"), "not a full commit"},
		{"a path for a repository", "pull_request", edit(pull, "Codertocat/Hello-World", "a/../b"), "not of the form owner/name"},
		{"state", "pull_request", edit(pull, `"state": "open"`, `"state": "merged"`), `state is "merged"`},
		{"closed and open", "pull_request", edit(pull, `"action": "opened"`, `"action": "closed"`), "its state is open"},
		{"no run", "workflow_run", edit(run, `"id": 289782451`, `"id": 0`), "id or event"},
		{"a run elsewhere", "workflow_run", string(payload(t, "workflow_run.mixed.json")), "not the repository"},
	} {
		e, err := ParseEvent(test.event, []byte(test.payload))
		if err == nil || !strings.Contains(err.Error(), test.want) || e != (Event{}) {
			t.Errorf("%s: %+v, error %v, want %q", test.name, e, err, test.want)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	files, err := os.ReadDir(events)
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if name, _, ok := strings.Cut(file.Name(), "."); ok {
			f.Add(name, payload(f, file.Name()))
		}
	}
	f.Add("pull_request", []byte(`{"action":"x","number":1,"repository":{},"pull_request":{"number":1,"head":{"repo":{}}}}`))
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		e, err := ParseEvent(name, raw)
		if err != nil {
			if e != (Event{}) {
				t.Errorf("%+v with error %v", e, err)
			}
			return
		}
		pull, run := strings.HasPrefix(name, "pull_request"), name == "workflow_run"
		if !isRepo(e.Repo) || e.HeadRepo != "" && !isRepo(e.HeadRepo) || pull != (e.Number > 0) || run != (e.RunID > 0) ||
			(pull || run) != commitID.MatchString(e.HeadSHA) || e.HeadRepo == "" && (pull || run) && !e.Fork {
			t.Errorf("ParseEvent(%q) = %+v", name, e)
		}
	})
}
