package action

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/sethvargo/go-githubactions"

	"github.com/candlefish/deploy-action/internal/redact"
)

// A Level is the severity of an annotation.
type Level string

// The levels of annotations.
const (
	Notice  Level = "notice"
	Warning Level = "warning"
	Error   Level = "error"
)

// An Annotation is a message that GitHub shows beside the run, and in the diff
// when it has a place.
type Annotation struct {
	Level   Level
	Title   string
	Message string
	File    string // relative to the repository; "" for none
	Line    int    // from 1; 0 for none
}

// An Action is one run's interface to the runner or the terminal. Its methods
// may be called by several goroutines. Print errors are ignored: a closed pipe
// must not end a rollout. Errors writing the files that later steps read are
// returned.
type Action struct {
	env    Env
	runner bool // GitHub's runner reads the output
	debug  bool
	red    *redact.Redactor
	gh     *githubactions.Action

	mu        sync.Mutex
	group     string // the open group; "" for none
	shown     map[Level]int
	left      map[Level]int
	delimiter func() string
}

// Clean returns a copy of v in which every string is without the secrets that a
// knows.
func Clean[T any](a *Action, v T) T { return redact.Deep(v, a.Redact) }

// newAction returns an Action that masks the secrets of secretEnv.
func newAction(env Env) *Action {
	a := &Action{
		env:       env,
		runner:    env.Getenv("GITHUB_ACTIONS") == "true",
		debug:     env.Getenv("RUNNER_DEBUG") == "1",
		red:       redact.New(),
		shown:     map[Level]int{},
		left:      map[Level]int{},
		delimiter: randomDelimiter,
	}
	a.gh = githubactions.New(githubactions.WithWriter(quiet{env.Stdout}), githubactions.WithGetenv(env.Getenv))
	for _, name := range secretEnv {
		a.Mask(env.Getenv(name))
	}
	return a
}

// secretEnv lists environment variables whose values are always masked.
var secretEnv = []string{
	"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_RUNTIME_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"DATADOG_API_KEY", "GH_TOKEN", "GITHUB_TOKEN", "NETLIFY_AUTH_TOKEN", "SLACK_SECURITY_WEBHOOK_URL", "SLACK_WEBHOOK_URL",
	"SNYK_TOKEN",
}

// quiet is a writer that never fails: the library panics on an error.
type quiet struct{ w io.Writer }

func (q quiet) Write(p []byte) (int, error) {
	_, _ = q.w.Write(p)
	return len(p), nil
}

// Getenv reads the run's environment.
func (a *Action) Getenv(name string) string { return a.env.Getenv(name) }

// OnRunner reports whether GitHub's runner reads the output.
func (a *Action) OnRunner() bool { return a.runner }

// Stdout returns standard output if it is a file and no runner reads it, else
// nil. Callers use it to detect a terminal; they must pass text through Redact
// before writing to it.
func (a *Action) Stdout() *os.File {
	file, ok := a.env.Stdout.(*os.File)
	if !ok || a.runner {
		return nil
	}
	return file
}

// Redact returns text with all known secrets removed.
func (a *Action) Redact(text string) string { return a.red.String(text) }

// RunURL is the page of the workflow run, or "" when there is none.
func (a *Action) RunURL() string {
	server, repo, id := a.Getenv("GITHUB_SERVER_URL"), a.Getenv("GITHUB_REPOSITORY"), a.Getenv("GITHUB_RUN_ID")
	if server == "" || repo == "" || id == "" {
		return ""
	}
	return fmt.Sprintf("%s/%s/actions/runs/%s", strings.TrimRight(server, "/"), repo, id)
}

// Mask removes a secret from all output from now on and tells the runner to do
// the same. It ignores an empty secret.
func (a *Action) Mask(secret string) {
	if strings.TrimSpace(secret) == "" {
		return
	}
	a.red.Add(secret)
	if !a.runner {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, line := range redact.Lines(secret) {
		a.gh.AddMask(line)
	}
}

// Print shows text, line by line.
func (a *Action) Print(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.print(text)
}

// Printf is Print with formatting.
func (a *Action) Printf(format string, args ...any) { a.Print(fmt.Sprintf(format, args...)) }

func (a *Action) print(text string) {
	text = a.red.String(strings.TrimSuffix(text, "\n"))
	if a.runner {
		text = disarm(text)
	}
	_, _ = fmt.Fprintln(a.env.Stdout, text)
}

// disarm breaks up workflow commands in text: "::" at the start of a line,
// "##[" anywhere.
func disarm(text string) string {
	text = strings.NewReplacer("##[", "# #[", "\r\n", "\n", "\r", "\n").Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if trimmed := strings.TrimLeft(line, " \t\v\f\u0085\u00a0\u2028\u2029\ufeff"); strings.HasPrefix(trimmed, "::") {
			lines[i] = ": :" + strings.TrimPrefix(trimmed, "::")
		}
	}
	return strings.Join(lines, "\n")
}

// Debug shows text when the runner's debug mode (RUNNER_DEBUG=1) is on.
func (a *Action) Debug(text string) {
	if !a.debug {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.runner {
		a.gh.Debugf("%s", a.red.String(text))
		return
	}
	a.print("debug: " + text)
}

// Group opens a foldable group of lines and closes the one before. [Run] always
// closes the last one.
func (a *Action) Group(title string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endGroup()
	title = strings.Join(strings.Fields(title), " ")
	a.group = title
	if a.runner {
		a.gh.Group(a.red.String(title))
		return
	}
	a.print("== " + title)
}

// EndGroup closes the open group, if any.
func (a *Action) EndGroup() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endGroup()
}

func (a *Action) endGroup() {
	if a.group != "" && a.runner {
		a.gh.EndGroup()
	}
	a.group = ""
}

// Annotate shows an annotation. Above the runner's limit it prints a plain line
// instead and counts it; see [Action.LeftOut].
func (a *Action) Annotate(n Annotation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	message := a.red.String(n.Message)
	if !a.runner || a.shown[n.Level] >= AnnotationLimit {
		if a.runner {
			a.left[n.Level]++
		}
		a.print(plain(n))
		return
	}
	a.shown[n.Level]++
	gh := a.gh.WithFieldsMap(a.fields(n))
	switch n.Level {
	case Error:
		gh.Errorf("%s", message)
	case Warning:
		gh.Warningf("%s", message)
	default:
		gh.Noticef("%s", message)
	}
}

func (a *Action) fields(n Annotation) map[string]string {
	fields := map[string]string{}
	if n.Title != "" {
		fields["title"] = a.red.String(n.Title)
	}
	if n.File != "" {
		fields["file"] = a.red.String(n.File)
	}
	if n.Line > 0 {
		fields["line"] = fmt.Sprint(n.Line)
	}
	return fields
}

func plain(n Annotation) string {
	var b strings.Builder
	b.WriteString(string(n.Level) + ": ")
	if n.File != "" {
		fmt.Fprintf(&b, "%s:%d: ", n.File, n.Line)
	}
	if n.Title != "" {
		b.WriteString(n.Title + ": ")
	}
	return b.String() + n.Message
}

// LeftOut returns a sentence with the number of annotations above the runner's
// limit, "" for none.
func (a *Action) LeftOut() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var parts []string
	for _, l := range []Level{Error, Warning, Notice} {
		if n := a.left[l]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d more of level %s", n, l))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "GitHub shows 10 annotations per level; the log has the rest: " + strings.Join(parts, ", ") + "."
}

// SetOutput passes a value to the steps that follow. Without a runner, [Run]
// prints it at the end.
func (a *Action) SetOutput(name, value string) error {
	return a.entry("GITHUB_OUTPUT", "output", name, value)
}

// SaveState passes a value to this action's own post step.
func (a *Action) SaveState(name, value string) error {
	return a.entry("GITHUB_STATE", "state", name, value)
}

// SetEnv sets an environment variable for the steps that follow.
func (a *Action) SetEnv(name, value string) error {
	return a.entry("GITHUB_ENV", "environment variable", name, value)
}

func (a *Action) entry(file, what, name, value string) error {
	path := a.Getenv(file)
	if path == "" {
		if a.runner {
			return fmt.Errorf("set %s %s: %s is not set", what, name, file)
		}
		return nil
	}
	text, err := heredoc(name, a.red.String(value), a.delimiter)
	if err == nil {
		err = appendFile(path, text)
	}
	if err != nil {
		return fmt.Errorf("set %s %s: %w", what, name, err)
	}
	return nil
}

// AddSummary appends Markdown to the step's summary, cut to the runner's limit.
// Without a runner it does nothing.
func (a *Action) AddSummary(markdown string) error {
	path := a.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		if a.runner {
			return fmt.Errorf("add summary: GITHUB_STEP_SUMMARY is not set")
		}
		return nil // the log has the same content
	}
	var used int64
	if info, err := os.Stat(path); err == nil {
		used = info.Size()
	}
	text := a.red.String(strings.TrimRight(markdown, "\n")) + "\n"
	if err := appendFile(path, fit(text, used)); err != nil {
		return fmt.Errorf("add summary: %w", err)
	}
	return nil
}
