package repotest

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rhysd/actionlint"

	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/preview"
)

// callers returns the workflows of docs/preview.md that call the shared ones.
func callers(t *testing.T) []block {
	t.Helper()
	return callersIn(t, "docs/preview.md")
}

func callersIn(t *testing.T, file string) (found []block) {
	t.Helper()
	for _, b := range blocks(t) {
		if b.file == filepath.Join(root, file) && strings.Contains(b.text, "uses: candlefish/deploy-action/.github/workflows/") {
			found = append(found, b)
		}
	}
	return found
}

// The action's own page shows the same two workflows: it is all that some people read.
func TestReadmeShowsTheCallers(t *testing.T) {
	t.Parallel()
	texts := func(file string) (all []string) {
		for _, b := range callersIn(t, file) {
			all = append(all, b.text)
		}
		return all
	}
	if diff := cmp.Diff(texts("docs/preview.md"), texts("actions/pr-preview/README.md")); diff != "" {
		t.Errorf("(-docs/preview.md +README):\n%s", diff)
	}
}

// Previews of branches and forks, their removal and the sweep need two workflows of at most
// ten lines each.
func TestPreviewsNeedFewLines(t *testing.T) {
	t.Parallel()
	all := callers(t)
	if len(all) != 2 {
		t.Fatalf("%d callers, want the build and the publication", len(all))
	}
	total := 0
	var events []string
	for _, b := range all {
		lines := strings.Count(b.text, "\n")
		if total += lines; lines > 10 {
			t.Errorf("a caller has %d lines:\n%s", lines, b.text)
		}
		w, errs := actionlint.Parse([]byte(b.text))
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, e := range w.On {
			events = append(events, e.EventName())
		}
	}
	if total > 16 {
		t.Errorf("the callers have %d lines", total)
	}
	slices.Sort(events)
	if diff := cmp.Diff([]string{"pull_request", "pull_request_target", "schedule", "workflow_run"}, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if !strings.Contains(all[1].text, "forks: true") || !strings.Contains(all[1].text, "workflows: [Preview build]") || !strings.Contains(all[0].text, "name: Preview build\n") {
		t.Errorf("the publication does not follow the build, forks' too:\n%s\n%s", all[0].text, all[1].text)
	}
}

// A caller has to grant what the jobs of the shared workflow ask for: GitHub does not start
// it otherwise.
func TestCallersGrantPermissions(t *testing.T) {
	t.Parallel()
	asked := map[string]string{}
	for _, job := range shared(t, "preview.yml").Jobs {
		for name, p := range job.Permissions.Scopes {
			asked[name] = max(asked[name], p.Value.Value) // "write" is above "read"
		}
	}
	w, _ := actionlint.Parse([]byte(callers(t)[1].text))
	granted := map[string]string{}
	for name, p := range w.Jobs["preview"].Permissions.Scopes {
		granted[name] = p.Value.Value
	}
	if diff := cmp.Diff(asked, granted); diff != "" {
		t.Errorf("permissions (-asked +granted):\n%s", diff)
	}
}

// The action's table of permissions has what the shared workflow asks for.
func TestPermissionsAreListed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "actions/pr-preview/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range shared(t, "preview.yml").Jobs {
		for name, p := range job.Permissions.Scopes {
			if row := "| GitHub token | `" + name + ": " + p.Value.Value + "` |"; !strings.Contains(string(text), row) {
				t.Errorf("it lacks %s", row)
			}
		}
	}
}

// The publication that docs/preview.md shows to be changed does what the shared one does by
// default.
func TestShownPublication(t *testing.T) {
	t.Parallel()
	var shown map[string]*actionlint.Input
	for _, b := range blocks(t) {
		if b.file == filepath.Join(root, "docs/preview.md") && strings.Contains(b.text, "\n  publish:\n") {
			w, errs := actionlint.Parse([]byte(b.text))
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			shown = inputsOf(t, w)
		}
	}
	defaults := map[string]string{}
	for _, e := range shared(t, "preview.yml").On {
		for _, in := range e.(*actionlint.WorkflowCallEvent).Inputs {
			if in.Default != nil {
				defaults[in.Name.Value] = in.Default.Value
			}
		}
	}
	own := preview.Spec().Inputs
	for name := range inputsOf(t, shared(t, "preview.yml")) {
		i := slices.IndexFunc(own, func(d input.Def) bool { return d.Name == name })
		want, given := defaults[name]
		if in := shown[name]; given && own[i].Default != "" && want != own[i].Default && (in == nil || in.Value.Value != want) {
			t.Errorf("%s is not %s as in preview.yml", name, want)
		}
	}
}

// inputsOf returns the inputs of pr-preview in the job publish.
func inputsOf(t *testing.T, w *actionlint.Workflow) map[string]*actionlint.Input {
	t.Helper()
	for _, s := range w.Jobs["publish"].Steps {
		if e, ok := s.Exec.(*actionlint.ExecAction); ok && strings.Contains(e.Uses.Value, "actions/pr-preview@") {
			return e.Inputs
		}
	}
	t.Fatal("the job publish has no pr-preview")
	return nil
}

// docs/preview.md explains each input of the shared workflows.
func TestSharedInputsAreExplained(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs/preview.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"preview-build.yml", "preview.yml"} {
		_, table, _ := strings.Cut(string(text), "| Input of `"+file+"`")
		table, _, _ = strings.Cut(table, "\n\n")
		for _, e := range shared(t, file).On {
			call := e.(*actionlint.WorkflowCallEvent)
			names := slices.Collect(maps.Keys(call.Secrets))
			for _, in := range call.Inputs {
				names = append(names, in.Name.Value)
			}
			for _, name := range names {
				if !strings.Contains(table, "`"+name+"`") {
					t.Errorf("the table of %s lacks %s", file, name)
				}
			}
		}
	}
}

func shared(t *testing.T, file string) *actionlint.Workflow {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".github/workflows", file))
	if err != nil {
		t.Fatal(err)
	}
	w, errs := actionlint.Parse(text)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return w
}

// Which job of the shared workflow runs for which event.
func TestSharedJobsByEvent(t *testing.T) {
	t.Parallel()
	built := func(from, trigger, conclusion string) map[string]any {
		return map[string]any{"workflow_run": map[string]any{"event": trigger, "conclusion": conclusion, "head_repository": map[string]any{"full_name": from}}}
	}
	const own, fork = "candlefish/website", "mallory/website"
	site, withForks, withAPI := map[string]any{"aws-role": "", "forks": false}, map[string]any{"aws-role": "", "forks": true}, map[string]any{"aws-role": "arn:x", "forks": true}
	for _, c := range []struct {
		name, event string
		payload     map[string]any
		inputs      map[string]any
		want        string
	}{
		{"a branch", "workflow_run", built(own, "pull_request", "success"), site, "publish"},
		{"a branch with an API", "workflow_run", built(own, "pull_request", "success"), withAPI, "publish-with-api"},
		{"a fork", "workflow_run", built(fork, "pull_request", "success"), withForks, "publish"},
		{"a fork where there is an API", "workflow_run", built(fork, "pull_request", "success"), withAPI, "publish"},
		{"a fork, not allowed", "workflow_run", built(fork, "pull_request", "success"), site, ""},
		{"a failed build", "workflow_run", built(own, "pull_request", "failure"), withAPI, ""},
		{"a build of a push", "workflow_run", built(own, "push", "success"), withAPI, ""},
		{"closed", "pull_request_target", map[string]any{"action": "closed"}, withAPI, "remove"},
		{"opened by a fork", "pull_request_target", map[string]any{"action": "opened"}, withAPI, ""},
		{"its own pull request event", "pull_request", map[string]any{"action": "opened"}, withAPI, ""},
		{"the schedule", "schedule", map[string]any{}, site, "sweep"},
	} {
		context := map[string]any{"inputs": c.inputs, "github": map[string]any{"event_name": c.event, "repository": own, "event": c.payload}}
		var ran []string
		jobs := shared(t, "preview.yml").Jobs
		for _, id := range slices.Sorted(maps.Keys(jobs)) {
			if truthy(evaluate(t, jobs[id].If.Value, context)) {
				ran = append(ran, id)
			}
		}
		if got := strings.Join(ran, " "); got != c.want {
			t.Errorf("%s: runs %q, want %q", c.name, got, c.want)
		}
	}
}

// evaluate is the value of an expression of GitHub's, without functions.
func evaluate(t *testing.T, text string, context map[string]any) any {
	t.Helper()
	node, err := actionlint.NewExprParser().Parse(actionlint.NewExprLexer(text + "}}"))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var eval func(actionlint.ExprNode) any
	eval = func(n actionlint.ExprNode) any {
		switch n := n.(type) {
		case *actionlint.VariableNode:
			return context[n.Name]
		case *actionlint.ObjectDerefNode:
			object, _ := eval(n.Receiver).(map[string]any)
			return object[n.Property]
		case *actionlint.StringNode:
			return n.Value
		case *actionlint.CompareOpNode:
			return (eval(n.Left) == eval(n.Right)) == (n.Kind == actionlint.CompareOpNodeKindEq)
		case *actionlint.LogicalOpNode:
			if left := eval(n.Left); truthy(left) == (n.Kind == actionlint.LogicalOpNodeKindOr) {
				return left
			}
			return eval(n.Right)
		}
		t.Fatalf("%s: %T is not evaluated here", text, n)
		return nil
	}
	return eval(node)
}

func truthy(v any) bool { return v != nil && v != false && v != "" }

// The scripts of the shared build run the user's commands and collect what they built.
func TestSharedBuildCollects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "netlify.toml"), []byte("[build]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(dir, "temp", "preview")
	env := append(os.Environ(), "BUILD=mkdir -p out/.well-known f api && touch out/index.html out/.well-known/x f/a.mjs && ln -s ../out/index.html api/index.mjs"+
		" && ln -s /etc/passwd out/passwd && ln -s nothing out/dangling && ln -s out out/circle && ln -s .. out/.well-known/up && ln -s a.mjs f/b.mjs",
		"DIR=out", "FUNCTIONS=f", "API=api", "BUNDLE="+bundle)
	var said string
	for _, s := range shared(t, "preview-build.yml").Jobs["build"].Steps {
		run, ok := s.Exec.(*actionlint.ExecRun)
		if !ok {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-e", "-c", run.Run.Value) // as the runner does
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", s.Name.Value, err, out)
		}
		said += string(out)
	}
	var got []string
	err := fs.WalkDir(os.DirFS(bundle), ".", func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			got = append(got, path)
		}
		return err
	})
	want := []string{"api/index.mjs", "functions/a.mjs", "site/.well-known/x", "site/index.html", "site/netlify.toml"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, collected (-want +got):\n%s", err, diff)
	}
	for _, link := range []string{"passwd", "dangling", "circle", ".well-known/up", "b.mjs"} {
		if !strings.Contains(said, "::warning") || !strings.Contains(said, link) {
			t.Errorf("the link %s is not named:\n%s", link, said)
		}
	}
}
