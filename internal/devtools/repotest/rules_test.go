package repotest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

// No workflow that the documents and examples show, and none of this repository, lets a
// repository's code run where credentials are.
func TestCredentialsStayFromCode(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, b := range slices.Concat(blocks(t), examples(t), ownWorkflows(t)) {
		if b.lang != "yaml" || !strings.Contains(b.text, "uses:") {
			continue
		}
		checked++
		for _, v := range violations(t, whole(b.text)) {
			t.Errorf("%s: %s, in\n%s", b.file, v, b.text)
		}
	}
	if checked < 8 {
		t.Errorf("%d workflows were checked", checked)
	}
}

func TestViolationsAreFound(t *testing.T) {
	t.Parallel()
	const build = "      - uses: actions/checkout@v4\n        with: { persist-credentials: false }\n      - run: npm ci\n"
	for name, c := range map[string]struct{ text, want string }{
		"a secret before the build":  {"on: pull_request\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    env: { T: \"${{ secrets.T }}\" }\n    steps:\n" + build, "secrets"},
		"a secret after the build":   {"on: push\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n" + build + "      - uses: o/r@v1\n        with: { token: \"${{ secrets.T }}\" }\n", "secrets"},
		"the token in the build":     {"on: push\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n" + build + "        env: { T: \"${{ github.token }}\" }\n", "token"},
		"a cloud's role":             {"on: push\npermissions: { id-token: write }\njobs:\n  a:\n    runs-on: x\n    steps:\n" + build, "id-token"},
		"every permission":           {"on: push\npermissions: write-all\njobs:\n  a:\n    runs-on: x\n    steps:\n" + build, "write-all"},
		"no permissions":             {"on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n" + build, "default permissions"},
		"kept in the checkout":       {"on: push\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n", "persist-credentials"},
		"an artifact that is run":    {"on: workflow_run\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: actions/download-artifact@v4\n      - run: ./out/x\n        env: { T: \"${{ secrets.T }}\" }\n", "secrets"},
		"an action of the checkout":  {"on: push\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: actions/checkout@v4\n        with: { persist-credentials: false }\n      - uses: ./mine\n        with: { t: \"${{ secrets.T }}\" }\n", "secrets"},
		"privileged, and checks out": {"on: pull_request_target\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: actions/checkout@v4\n", "checks out"},
		"an injection":               {"on: pull_request\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: echo ${{ github.event.pull_request.title }}\n", "expression"},
		"all secrets":                {"on: push\njobs:\n  a:\n    uses: o/r/.github/workflows/x.yml@v1\n    secrets: inherit\n", "inherits"},
		"secrets for the build":      {"on: pull_request\njobs:\n  a:\n    uses: o/r/.github/workflows/preview-build.yml@v1\n    secrets: { t: \"${{ secrets.T }}\" }\n", "preview-build"},
	} {
		got := strings.Join(violations(t, c.text), "; ")
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: found %q, want %q", name, got, c.want)
		}
	}
	for name, text := range map[string]string{
		"a build alone": "on: pull_request\npermissions: { contents: read }\njobs:\n  a:\n    runs-on: x\n    steps:\n" + build,
		"a secret written to a file beside a checkout": "on: push\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: actions/checkout@v4\n" +
			"      - run: printf '%s' \"$K\" > kubeconfig\n        env: { K: \"${{ secrets.K }}\" }\n",
	} {
		if got := violations(t, text); len(got) > 0 {
			t.Errorf("%s: found %q", name, got)
		}
	}
}

// violations lists what a workflow must not do.
func violations(t *testing.T, text string) (found []string) {
	t.Helper()
	w, errs := actionlint.Parse([]byte(text))
	if len(errs) > 0 {
		t.Fatalf("%v in\n%s", errs, text)
	}
	privileged := slices.ContainsFunc(w.On, func(e actionlint.Event) bool {
		return e.EventName() == "pull_request_target" || e.EventName() == "workflow_run"
	})
	for _, id := range slices.Sorted(maps.Keys(w.Jobs)) {
		job := w.Jobs[id]
		say := func(format string, args ...any) { found = append(found, "job "+id+" "+fmt.Sprintf(format, args...)) }
		if c := job.WorkflowCall; c != nil {
			checkCall(c, say)
			continue
		}
		if privileged && slices.ContainsFunc(job.Steps, checksOut) {
			say("has credentials and checks out code")
		}
		for _, s := range job.Steps {
			if run, ok := s.Exec.(*actionlint.ExecRun); ok && strings.Contains(run.Run.Value, "${{") {
				say("has an expression in a script: %s", run.Run.Value)
			}
		}
		if runsCode(job) {
			for _, c := range credentials(w, job) {
				say("runs the repository's code and has %s", c)
			}
		}
	}
	return found
}

func checkCall(c *actionlint.WorkflowCall, say func(string, ...any)) {
	if c.InheritSecrets {
		say("inherits all secrets")
	}
	if strings.Contains(c.Uses.Value, "preview-build") && len(c.Secrets) > 0 {
		say("gives secrets to preview-build")
	}
}

func uses(s *actionlint.Step, name string) bool {
	a, ok := s.Exec.(*actionlint.ExecAction)
	return ok && strings.HasPrefix(a.Uses.Value, name)
}

func checksOut(s *actionlint.Step) bool { return uses(s, "actions/checkout@") }

// harmless matches a script that only prints, writes, and copies an image.
var harmless = regexp.MustCompile(`^(\s*(printf|echo|mkdir|chmod|docker (load|login|logout|push)) [^;|&$(]*("\$[A-Z_]+"[^;|&$(]*|\$[A-Z_]+[^;|&$(]*)*\n?)+$`)

// runsCode reports whether a job may run code that it checked out or downloaded.
func runsCode(job *actionlint.Job) bool {
	has := false
	for _, s := range job.Steps {
		run, isScript := s.Exec.(*actionlint.ExecRun)
		switch {
		case checksOut(s), uses(s, "actions/download-artifact@"):
			has = true
		case isScript && regexp.MustCompile(`\bgit (clone|fetch)|\bgh (pr checkout|run download)`).MatchString(run.Run.Value):
			has = true
		}
		if has && (uses(s, "./") || isScript && !harmless.MatchString(run.Run.Value)) {
			return true
		}
	}
	return false
}

// credentials lists what of a job's environment must not get into the hands of code.
func credentials(w *actionlint.Workflow, job *actionlint.Job) (found []string) {
	found = append(permitted(w, job), named(w.Env, job.Env)...)
	for _, s := range job.Steps {
		found = append(found, named(s.Env)...)
		a, ok := s.Exec.(*actionlint.ExecAction)
		if !ok {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(a.Inputs)) {
			if v := a.Inputs[name].Value.Value; secret.MatchString(v) {
				found = append(found, name+" "+v)
			}
		}
		if in := a.Inputs["persist-credentials"]; checksOut(s) && (in == nil || in.Value.Value != "false") {
			found = append(found, "the checkout's token: persist-credentials is not false")
		}
	}
	return found
}

// secret matches an expression that yields a credential.
var secret = regexp.MustCompile(`\$\{\{.*\b(secrets\b|github\.token)`)

// named lists the credentials among variables.
func named(envs ...*actionlint.Env) (found []string) {
	for _, e := range envs {
		if e == nil {
			continue
		}
		for _, v := range e.Vars {
			if secret.MatchString(v.Value.Value) {
				found = append(found, "variable "+v.Value.Value)
			}
		}
	}
	return found
}

// permitted lists what the job's token may write.
func permitted(w *actionlint.Workflow, job *actionlint.Job) (found []string) {
	p := job.Permissions
	if p == nil {
		p = w.Permissions
	}
	switch {
	case p == nil:
		return []string{"the repository's default permissions"}
	case p.All != nil && p.All.Value != "read-all":
		return []string{"permission " + p.All.Value}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Scopes)) {
		if p.Scopes[name].Value.Value == "write" {
			found = append(found, "permission "+name+": write")
		}
	}
	return found
}

// Each job of this repository's workflows names its permissions and its limit, and does not
// run twice at once.
func TestOwnJobsAreBounded(t *testing.T) {
	t.Parallel()
	for _, b := range ownWorkflows(t) {
		w, errs := actionlint.Parse([]byte(b.text))
		if len(errs) > 0 {
			t.Fatalf("%s: %v", b.file, errs)
		}
		if w.Permissions == nil || w.Permissions.All != nil || len(w.Permissions.Scopes) > 0 {
			t.Errorf("%s: its jobs begin with permissions, want none", b.file)
		}
		for id, job := range w.Jobs {
			if job.Permissions == nil || job.TimeoutMinutes == nil || job.Concurrency == nil && w.Concurrency == nil {
				t.Errorf("%s: job %s lacks permissions, timeout-minutes or concurrency", b.file, id)
			}
		}
	}
}
