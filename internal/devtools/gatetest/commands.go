package gatetest

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/candlefish/deploy-action/internal/action/actiontest"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
)

// Git runs git in the Repository and returns what it prints.
func Git(ts *testscript.TestScript, args ...string) string {
	ts.Check(ts.Exec("git", append([]string{"-C", ts.Getenv("GITHUB_WORKSPACE")}, args...)...))
	return strings.TrimSpace(ts.ReadFile("stdout"))
}

func commit(ts *testscript.TestScript, neg bool, args []string) {
	Want(ts, !neg && len(args) == 1, "commit TAG")
	Git(ts, "add", "-A")
	Git(ts, "commit", "-q", "--allow-empty", "-m", args[0])
	Git(ts, "tag", args[0])
	Of(ts).Committed(Git(ts, "rev-parse", "HEAD"))
}

const none = "0000000000000000000000000000000000000000"

func event(ts *testscript.TestScript, neg bool, args []string) {
	Want(ts, !neg && len(args) > 0, "event NAME [BASE] [HEAD]")
	var ends [2]string
	for i, name := range args[1:] {
		if ends[i] = none; name != "new" {
			ends[i] = Git(ts, "rev-parse", name+"^{commit}")
		}
	}
	base, head := ends[0], ends[1]
	payload := map[string]any{"repository": map[string]any{"full_name": Repository, "default_branch": "main"}}
	ref := "refs/heads/main"
	switch args[0] {
	case "pull_request", "fork":
		ref = "refs/pull/7/merge"
		payload["pull_request"] = pull(Of(ts).GitHub, args[0], base, head)
	case "push":
		payload["before"], payload["after"] = base, head
	case "delete":
		payload["before"], payload["after"], payload["deleted"] = base, none, true
	case "merge_group":
		ref = "refs/heads/gh-readonly-queue/main/pr-7"
		payload["merge_group"] = map[string]any{"base_sha": base, "head_sha": head}
	}
	raw, err := json.Marshal(payload)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.Getenv("WORK")+"/event.json", raw, 0o600))
	ts.Setenv("GITHUB_EVENT_PATH", ts.Getenv("WORK")+"/event.json")
	name := map[string]string{"fork": "pull_request", "delete": "push"}[args[0]]
	ts.Setenv("GITHUB_EVENT_NAME", cmp.Or(name, args[0]))
	ts.Setenv("GITHUB_REF", ref)
	ts.Setenv("GITHUB_SHA", Git(ts, "rev-parse", "HEAD"))
}

// pull opens pull request 7, and returns it as an event has it.
func pull(hub *githubtest.Server, event, base, head string) map[string]any {
	from := Repository
	if event == "fork" {
		from = "mallory/website"
	}
	hub.AddPull(Repository, githubtest.Pull{Number: 7, HeadSHA: head, HeadRef: "feature", HeadRepo: from})
	repo := func(name string) map[string]any { return map[string]any{"full_name": name} }
	return map[string]any{
		"number": 7, "head": map[string]any{"sha": head, "repo": repo(from)}, "base": map[string]any{"sha": base, "repo": repo(Repository)},
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	Want(ts, !neg && len(args) > 0, "exits STATUS ARGUMENT...")
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	for _, file := range []string{"output", "summary"} { // the runner has new ones for each step
		ts.Check(os.WriteFile(ts.Getenv("WORK")+"/"+file, nil, 0o600))
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(Of(ts).program, args[1:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != status {
		ts.Fatalf("exit status %d, want %d", got, status)
	}
}

func output(ts *testscript.TestScript, neg bool, args []string) {
	Want(ts, len(args) == 2, "output NAME PATTERN")
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

func count(ts *testscript.TestScript, neg bool, args []string) {
	Want(ts, !neg && len(args) == 2, "count WHAT N")
	if got := texts(ts, args[0]); strconv.Itoa(len(got)) != args[1] {
		ts.Fatalf("%d %s:\n%s", len(got), args[0], strings.Join(got, "\n---\n"))
	}
}

func says(ts *testscript.TestScript, neg bool, args []string) {
	Want(ts, len(args) == 2, "says WHAT PATTERN")
	all := texts(ts, args[0])
	if slices.ContainsFunc(all, regexp.MustCompile(`(?m)`+args[1]).MatchString) == neg {
		ts.Fatalf("the %s are:\n%s", args[0], strings.Join(all, "\n---\n"))
	}
}

func token(ts *testscript.TestScript, neg bool, args []string) {
	Want(ts, !neg && len(args) == 1, "token read-only|valid")
	Of(ts).GitHub.SetReadOnly(args[0] == "read-only")
	ts.Setenv("GITHUB_TOKEN", Token)
}

func lock(ts *testscript.TestScript, neg bool, args []string) {
	Want(ts, !neg && len(args) == 3 && strings.Contains(args[1], "@"), "lock FILE TOOL@VERSION PROGRAM")
	file := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
	name, version, _ := strings.Cut(args[1], "@")
	text := fmt.Sprintf("version: 1\ntools:\n  %s:\n    path: %s\n    version: %s\n    sha256: %x\n", name, args[2], version, sha256.Sum256([]byte(ts.ReadFile(args[2]))))
	ts.Check(os.WriteFile(file, []byte(text), 0o600))
}
