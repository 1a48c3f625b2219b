package main

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/github/githubtest/codescanningtest"
	"github.com/candlefish/deploy-action/internal/github/githubtest/issuestest"
	"github.com/candlefish/deploy-action/internal/notify/slack/slacktest"
)

const repository = "candlefish/website"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"security-gate": main})
}

// A world is what one script has around the program.
type world struct {
	github  *githubtest.Server
	issues  *issuestest.Issues
	alerts  *codescanningtest.Scanning
	slack   *slacktest.Server
	secrets []string // that were planted
}

// Whole runs of the program in a repository of the script, against a GitHub and a
// Slack in this process. No tool is installed: what the level needs of them is missing
// or called optional. The scripts have these commands beside testscript's own:
//
//	commit TAG                    commits all files, and gives the commit a tag
//	event NAME [BASE] [HEAD]      writes the event of the commits; BASE is "new" for a new branch
//	plant KIND FILE               adds a credential to a file, that nobody ever gave out
//	mark FILE                     adds a comment to the last line that accepts its secret
//	today DAYS FILE               replaces DATE in a file by a day from today
//	lock FILE PROGRAM             writes a lock file with a stand-in for gitleaks
//	exits STATUS ARGUMENT...      runs the program and checks its exit status
//	output NAME PATTERN           checks an output of the last run
//	count WHAT N                  counts comments, issues, open issues, uploads, alerts, messages, requests
//	says WHAT PATTERN             looks into comments, issues, alerts, messages
//	unseen FOLDER...              checks that no planted credential was printed, written or sent
//	running TEXT                  waits until a process with the text in its arguments runs; with ! none may
//	terminate TEXT                sends SIGTERM to the program with the text in its arguments
//	token read-only|valid         what the token may do from now on
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "../../testdata/script/security-gate", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error { return setup(t, env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"commit": commit, "event": event, "plant": plant, "exits": exits, "output": output,
			"count": count, "says": says, "unseen": unseen, "running": running, "token": token,
			"mark": mark, "today": today, "lock": lock, "terminate": terminate,
		},
	})
}

func setup(t *testing.T, env *testscript.Env) error {
	hub := githubtest.Start(t, githubtest.Options{})
	hub.AddRepo(repository)
	w := &world{github: hub, issues: issuestest.New(hub), alerts: codescanningtest.New(hub), slack: slacktest.Start()}
	env.Defer(w.slack.Close)
	env.Values["world"] = w
	for name, value := range map[string]string{
		"HOME": env.WorkDir + "/home", "XDG_CACHE_HOME": env.WorkDir + "/cache", "TMPDIR": env.WorkDir + "/temp",
		"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "ann", "GIT_AUTHOR_EMAIL": "ann@example.com",
		"GIT_COMMITTER_NAME": "ann", "GIT_COMMITTER_EMAIL": "ann@example.com",
		"GITHUB_ACTIONS": "true", "GITHUB_API_URL": hub.URL(), "GITHUB_REPOSITORY": repository, "GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "4711",
		"GITHUB_WORKSPACE": env.WorkDir + "/repo", "GITHUB_OUTPUT": env.WorkDir + "/output", "GITHUB_STEP_SUMMARY": env.WorkDir + "/summary",
		"SLACK": w.slack.URL(), "TOOLS": "gitleaks\ntrufflehog\nactionlint\nzizmor",
	} {
		env.Setenv(name, value)
	}
	for _, name := range []string{"home", "cache", "temp", "repo"} {
		if err := os.MkdirAll(env.WorkDir+"/"+name, 0o700); err != nil {
			return err
		}
	}
	env.Cd = env.WorkDir + "/repo"
	create := exec.CommandContext(t.Context(), "git", "init", "-q", "-b", "main", env.Cd)
	create.Env = env.Vars
	return create.Run()
}

func of(ts *testscript.TestScript) *world { return ts.Value("world").(*world) }

// want ends the script if a command was not used as it is meant.
func want(ts *testscript.TestScript, ok bool, usage string) {
	if !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) > 0, "exits STATUS ARGUMENT...")
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	for _, file := range []string{"output", "summary"} { // the runner has new ones for each step
		ts.Check(os.WriteFile(ts.Getenv("WORK")+"/"+file, nil, 0o600))
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec("security-gate", args[1:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != status {
		ts.Fatalf("exit status %d, want %d", got, status)
	}
}

func output(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, len(args) == 2, "output NAME PATTERN")
	all, err := actiontest.ParseEntries(ts.ReadFile(ts.Getenv("WORK") + "/output"))
	ts.Check(err)
	got, ok := all[args[0]]
	if !ok {
		ts.Fatalf("there is no output %q", args[0])
	}
	if regexp.MustCompile(`(?s)^(?:`+args[1]+`)$`).MatchString(got) == neg {
		ts.Fatalf("the output %s is %q", args[0], got)
	}
}

// texts are what the servers have of one kind.
func (w *world) texts(what string) []string {
	var all []string
	switch what {
	case "comments":
		for _, c := range w.github.Comments(repository, 7) {
			all = append(all, c.Body)
		}
	case "issues", "open":
		for _, i := range w.issues.All(repository) {
			if what == "issues" || i.State == "open" {
				all = append(all, i.Title+"\n"+i.Body)
			}
		}
		for _, i := range w.issues.All(repository) {
			if what == "issues" {
				for _, c := range w.github.Comments(repository, i.Number) {
					all = append(all[:len(all)-1], all[len(all)-1]+"\n"+c.Body)
				}
			}
		}
	case "uploads", "alerts":
		return w.scanned(what)
	case "messages":
		return w.posted()
	case "requests":
		return append(w.github.Requests(), make([]string, w.slack.Requests())...)
	}
	return all
}

func count(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 2, "count WHAT N")
	if got := of(ts).texts(args[0]); strconv.Itoa(len(got)) != args[1] {
		ts.Fatalf("%d %s:\n%s", len(got), args[0], strings.Join(got, "\n---\n"))
	}
}

func says(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, len(args) == 2, "says WHAT PATTERN")
	all := of(ts).texts(args[0])
	if slices.ContainsFunc(all, regexp.MustCompile(`(?m)`+args[1]).MatchString) == neg {
		ts.Fatalf("the %s are:\n%s", args[0], strings.Join(all, "\n---\n"))
	}
}
