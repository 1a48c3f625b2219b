package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/netlify/netlifytest"
)

const repository = "candlefish/website"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"pr-preview": main})
}

// The servers of one script.
type servers struct {
	github  *githubtest.Server
	netlify *netlifytest.Server
}

// Whole runs of the program against a GitHub and a Netlify in this process. The
// scripts have these commands beside testscript's own:
//
//	pull NUMBER STATE COMMIT REPOSITORY   sets a pull request, and writes its event to event.json
//	exits STATUS PROGRAM [ARGUMENT...]    runs a program and checks its exit status
//	same FILE WANT                        compares two files, without what differs in each run
//	hides TEXT                            checks that the last program printed no TEXT, other than to mask it
//	requests N                            checks how many requests GitHub and Netlify got
//	deploys N                             checks how many deploys the site has
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "../../testdata/script/pr-preview", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			s := servers{github: githubtest.Start(t, githubtest.Options{}), netlify: netlifytest.NewT(t, netlifytest.Options{Token: "nfp_planted"})}
			env.Values["servers"] = s
			env.Setenv("GITHUB_ACTIONS", "true")
			env.Setenv("GITHUB_API_URL", s.github.URL())
			env.Setenv("NETLIFY_API_URL", s.netlify.URL())
			env.Setenv("GITHUB_REPOSITORY", repository)
			env.Setenv("GITHUB_EVENT_PATH", env.WorkDir+"/event.json")
			env.Setenv("GITHUB_EVENT_NAME", "pull_request")
			env.Setenv("GITHUB_OUTPUT", env.WorkDir+"/output")
			env.Setenv("GITHUB_STEP_SUMMARY", env.WorkDir+"/summary")
			return os.CopyFS(env.WorkDir+"/out", os.DirFS("../../testdata/preview/site"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"pull": pull, "exits": exits, "same": same, "hides": hides, "requests": requests, "deploys": deploys,
		},
	})
}

func of(ts *testscript.TestScript) servers { return ts.Value("servers").(servers) }

func pull(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: pull NUMBER open|closed COMMIT REPOSITORY")
	}
	number, err := strconv.Atoi(args[0])
	ts.Check(err)
	state, commit, from := args[1], args[2], args[3]
	of(ts).github.AddPull(repository, githubtest.Pull{Number: number, State: state, HeadSHA: commit, HeadRef: "feature", HeadRepo: from})
	action := map[string]string{"open": "opened", "closed": "closed"}[state]
	repo := func(name string) map[string]any { return map[string]any{"full_name": name} }
	event, err := json.Marshal(map[string]any{"action": action, "number": number, "repository": repo(repository), "pull_request": map[string]any{
		"number": number, "state": state, "head": map[string]any{"sha": commit, "repo": repo(from)}, "base": map[string]any{"repo": repo(repository)},
	}})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("event.json"), event, 0o600))
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// varying is what differs in each run.
var varying = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "HOST"},
	{regexp.MustCompile(`\b[0-9]+(\.[0-9]+)?(ms|s)\b`), "TIME"},
	{regexp.MustCompile(`[0-9]+ [A-Z][a-z]+ [0-9]{4}, [0-9:]+ UTC`), "DATE"},
	{regexp.MustCompile(`delimiter_[0-9a-f]{32}`), "DELIMITER"},
}

func same(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: same FILE WANT")
	}
	got, want := ts.ReadFile(args[0]), ts.ReadFile(args[1])
	for _, v := range varying {
		got = v.pattern.ReplaceAllString(got, v.with)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		ts.Fatalf("%s (-want +got):\n%s", args[0], diff)
	}
}

func hides(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hides TEXT")
	}
	for line := range strings.Lines(ts.ReadFile("stdout") + ts.ReadFile("stderr")) {
		if !strings.HasPrefix(line, "::add-mask::") && strings.Contains(line, args[0]) {
			ts.Fatalf("it prints %q: %s", args[0], line)
		}
	}
}

func requests(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	check(ts, args, len(s.github.Requests())+len(s.netlify.Requests()))
}

func deploys(ts *testscript.TestScript, _ bool, args []string) {
	check(ts, args, len(of(ts).netlify.Deploys()))
}

func check(ts *testscript.TestScript, args []string, got int) {
	if len(args) != 1 || args[0] != fmt.Sprint(got) {
		ts.Fatalf("got %d, want %q", got, args)
	}
}
