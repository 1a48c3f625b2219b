// Package actiontest simulates GitHub's runner for tests: the environment and
// files it gives a step, how it reads them back, the limits it enforces, and
// the signals of a cancelled job. If the runner would reject what a step wrote,
// the test fails.
package actiontest

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/candlefish/deploy-action/internal/action"
)

// A Step is one step of a job, ready to run, with new and empty files.
type Step struct {
	Dir       string // RUNNER_TEMP: holds file_commands, workspace, home and workflow
	Workspace string
	env       map[string]string
	tb        testing.TB
	watch     []watcher
}

// A watcher waits for text in a step's output.
type watcher struct {
	text string
	once func()
}

// fileCommands are the files in which a step writes to the runner.
var fileCommands = []string{"GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH"}

// NewStep returns a step with the inputs given, named as in action.yml.
func NewStep(tb testing.TB, inputs map[string]string) *Step {
	tb.Helper()
	dir := tb.TempDir()
	s := &Step{Dir: dir, Workspace: filepath.Join(dir, "workspace"), tb: tb}
	for _, sub := range []string{"file_commands", "workspace", "home", "workflow"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o777); err != nil {
			tb.Fatal(err)
		}
	}
	s.env = map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com",
		"GITHUB_REPOSITORY": "candlefish/website", "GITHUB_RUN_ID": "4711", "GITHUB_RUN_ATTEMPT": "1",
		"GITHUB_JOB": "deploy", "GITHUB_ACTOR": "octocat", "GITHUB_SHA": strings.Repeat("0", 40),
		"GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_NAME": "push", "GITHUB_WORKFLOW": "Deploy",
		"GITHUB_WORKSPACE": s.Workspace, "HOME": filepath.Join(dir, "home"), "RUNNER_TEMP": dir,
		"GITHUB_EVENT_PATH": filepath.Join(dir, "workflow", "event.json"), "RUNNER_OS": "Linux",
	}
	s.write(s.env["GITHUB_EVENT_PATH"], "{}")
	for _, name := range fileCommands {
		s.env[name] = filepath.Join(dir, "file_commands", strings.ToLower(name))
		s.write(s.env[name], "")
	}
	for name, value := range inputs {
		// The runner replaces spaces only; hyphens stay.
		s.env["INPUT_"+strings.ToUpper(strings.ReplaceAll(name, " ", "_"))] = value
	}
	return s
}

func (s *Step) write(path, text string) {
	s.tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		s.tb.Fatal(err)
	}
}

// Setenv adds to the step's environment, as `env:` does.
func (s *Step) Setenv(name, value string) { s.env[name] = value }

// WhenPrinted calls f once, when the step has printed text.
func (s *Step) WhenPrinted(text string, f func()) {
	s.watch = append(s.watch, watcher{text, sync.OnceFunc(f)})
}

// Environ returns a copy of the step's environment.
func (s *Step) Environ() map[string]string { return maps.Clone(s.env) }

// A Result is the result of a step, as the runner reads it.
type Result struct {
	Code    int
	Log     string // the visible log: masks applied, commands included
	Raw     string // the step's output
	Outputs map[string]string
	State   map[string]string
	Env     map[string]string
	Summary string
	Masks   []string
	// Annotations by level: "error", "warning", "notice".
	Annotations map[string][]string
}

// Run runs a main function in this process.
func (s *Step) Run(main func(action.Env, []string) int, args ...string) Result {
	s.tb.Helper()
	out := buffer{watch: s.watch}
	code := main(action.Env{
		Getenv: func(name string) string { return s.env[name] },
		Stdout: &out, Stderr: &out,
		Exit: func(int) { panic("a second signal came") },
	}, args)
	return s.Read(code, out.String())
}

// Read returns the result of the step, given its exit status and output.
func (s *Step) Read(code int, raw string) Result {
	s.tb.Helper()
	r := Result{
		Code: code, Raw: raw, Annotations: map[string][]string{},
		Outputs: s.entries("GITHUB_OUTPUT"), State: s.entries("GITHUB_STATE"), Env: s.entries("GITHUB_ENV"),
		Summary: s.read("GITHUB_STEP_SUMMARY"),
	}
	if n := len(r.Summary); n > action.SummaryLimit {
		s.tb.Errorf("the summary has %d bytes; the runner's limit is %d", n, action.SummaryLimit)
	}
	if err := r.scan(raw); err != nil {
		s.tb.Errorf("%v", err)
	}
	return r
}

func (s *Step) read(name string) string {
	s.tb.Helper()
	if s.env[name] == "" {
		return "" // the test unset it
	}
	b, err := os.ReadFile(s.env[name])
	if err != nil {
		s.tb.Fatal(err)
	}
	return string(b)
}

func (s *Step) entries(name string) map[string]string {
	s.tb.Helper()
	entries, err := ParseEntries(s.read(name))
	if err != nil {
		s.tb.Errorf("%s: %v", name, err)
	}
	return entries
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	watch []watcher
	mu    sync.Mutex
	b     bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.b.Write(p)
	for _, w := range b.watch {
		if bytes.Contains(b.b.Bytes(), []byte(w.text)) {
			w.once()
		}
	}
	return n, err
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
