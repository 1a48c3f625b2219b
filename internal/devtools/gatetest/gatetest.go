// Package gatetest has what scripts of a whole gate have around the program: a
// repository, a GitHub and a Slack in this process, and commands to use them.
package gatetest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/notify/slack/slacktest"
)

// Repository is the one on GitHub whose commits a script makes.
const Repository = "candlefish/website"

// Token is the one that the command token sets.
const Token = "ghs_planted"

// A World is what one script has around the program.
type World struct {
	GitHub  *githubtest.Server
	Slack   *slacktest.Server
	Secrets []string // that were planted
	// Committed is told of each new commit.
	Committed func(sha string)
	// Texts are what the servers have of one kind, by the kind's name. Comments of pull
	// request 7, messages and requests are there from the start.
	Texts   map[string]func() []string
	program string
}

// Of returns the world of a script.
func Of(ts *testscript.TestScript) *World { return ts.Value("world").(*World) }

// A Command is one of a script.
type Command = func(ts *testscript.TestScript, neg bool, args []string)

// Commands are those that all gates share, and those of one gate:
//
//	commit TAG                    commits all files, and gives the commit a tag
//	event NAME [BASE] [HEAD]      writes the event of the commits; BASE is "new" for a new branch
//	exits STATUS ARGUMENT...      runs the program and checks its exit status
//	output NAME PATTERN           checks an output of the last run
//	count WHAT N                  counts comments, messages, requests, and what else the world has texts of
//	says WHAT PATTERN             looks into these
//	unseen FOLDER...              checks that no planted credential was printed, written or sent
//	running TEXT                  waits until a process with the text in its arguments runs; with ! none may
//	terminate TEXT                sends SIGTERM to the program with the text in its arguments
//	lock FILE TOOL@VERSION PROGRAM  writes a lock file with a stand-in for a tool
//	token read-only|valid         what the token may do from now on
func Commands(own map[string]Command) map[string]Command {
	all := map[string]Command{
		"commit": commit, "event": event, "exits": exits, "output": output, "count": count, "says": says,
		"unseen": unseen, "running": running, "terminate": terminate, "token": token, "lock": lock,
	}
	maps.Copy(all, own)
	return all
}

// New makes the world of a script of a program, and its environment.
func New(t *testing.T, env *testscript.Env, program string) (*World, error) {
	hub := githubtest.Start(t, githubtest.Options{})
	hub.AddRepo(Repository)
	w := &World{GitHub: hub, Slack: slacktest.Start(), Committed: func(string) {}, program: program}
	env.Defer(w.Slack.Close)
	w.Texts = map[string]func() []string{"comments": w.comments, "messages": w.messages, "requests": w.requests}
	env.Values["world"] = w
	for name, value := range map[string]string{
		"HOME": env.WorkDir + "/home", "XDG_CACHE_HOME": env.WorkDir + "/cache", "TMPDIR": env.WorkDir + "/temp",
		"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "ann", "GIT_AUTHOR_EMAIL": "ann@example.com",
		"GIT_COMMITTER_NAME": "ann", "GIT_COMMITTER_EMAIL": "ann@example.com",
		"GITHUB_ACTIONS": "true", "GITHUB_API_URL": hub.URL(), "GITHUB_REPOSITORY": Repository, "GITHUB_SERVER_URL": "https://github.com", "GITHUB_RUN_ID": "4711",
		"GITHUB_WORKSPACE": env.WorkDir + "/repo", "GITHUB_OUTPUT": env.WorkDir + "/output", "GITHUB_STEP_SUMMARY": env.WorkDir + "/summary",
		"SLACK": w.Slack.URL(),
	} {
		env.Setenv(name, value)
	}
	for _, name := range []string{"home", "cache", "temp", "repo"} {
		if err := os.MkdirAll(env.WorkDir+"/"+name, 0o700); err != nil {
			return nil, err
		}
	}
	env.Cd = env.WorkDir + "/repo"
	create := exec.CommandContext(t.Context(), "git", "init", "-q", "-b", "main", env.Cd)
	create.Env = env.Vars
	return w, create.Run()
}

// comments are those of pull request 7.
func (w *World) comments() []string {
	var all []string
	for _, c := range w.GitHub.Comments(Repository, 7) {
		all = append(all, c.Body)
	}
	return all
}

// messages are those in the Slack channel.
func (w *World) messages() []string {
	var all []string
	for _, m := range w.Slack.Messages() {
		all = append(all, fmt.Sprintf("%+v", m))
	}
	return all
}

func (w *World) requests() []string {
	return append(w.GitHub.Requests(), make([]string, w.Slack.Requests())...)
}

// Want ends the script if a command was not used as it is meant.
func Want(ts *testscript.TestScript, ok bool, usage string) {
	if !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

// texts are what the servers have of one kind.
func texts(ts *testscript.TestScript, what string) []string {
	of, ok := Of(ts).Texts[what]
	if !ok {
		ts.Fatalf("there are no %s", what)
	}
	return of()
}
