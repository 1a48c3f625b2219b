package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/scanner/scannertest"
)

// git runs git in the repository and returns what it prints.
func git(ts *testscript.TestScript, args ...string) string {
	ts.Check(ts.Exec("git", append([]string{"-C", ts.Getenv("GITHUB_WORKSPACE")}, args...)...))
	return strings.TrimSpace(ts.ReadFile("stdout"))
}

func commit(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 1, "commit TAG")
	git(ts, "add", "-A")
	git(ts, "commit", "-q", "--allow-empty", "-m", args[0])
	git(ts, "tag", args[0])
	of(ts).alerts.AddCommit(git(ts, "rev-parse", "HEAD"))
}

const none = "0000000000000000000000000000000000000000"

func event(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) > 0, "event NAME [BASE] [HEAD]")
	var ends [2]string
	for i, name := range args[1:] {
		if ends[i] = none; name != "new" {
			ends[i] = git(ts, "rev-parse", name+"^{commit}")
		}
	}
	base, head := ends[0], ends[1]
	payload := map[string]any{"repository": map[string]any{"full_name": repository}}
	ref := "refs/heads/main"
	switch args[0] {
	case "pull_request", "fork":
		ref = "refs/pull/7/merge"
		payload["pull_request"] = pull(of(ts).github, args[0], base, head)
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
	ts.Setenv("GITHUB_SHA", git(ts, "rev-parse", "HEAD"))
}

// pull opens pull request 7, and returns it as an event has it.
func pull(hub *githubtest.Server, event, base, head string) map[string]any {
	from := repository
	if event == "fork" {
		from = "mallory/website"
	}
	hub.AddPull(repository, githubtest.Pull{Number: 7, HeadSHA: head, HeadRef: "feature", HeadRepo: from})
	repo := func(name string) map[string]any { return map[string]any{"full_name": name} }
	return map[string]any{
		"number": 7, "head": map[string]any{"sha": head, "repo": repo(from)}, "base": map[string]any{"sha": base, "repo": repo(repository)},
	}
}

func plant(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 2, "plant github|stripe|slack|sendgrid|npm FILE")
	all := scannertest.NewCredentials(scannertest.Seed)
	secret := map[string]string{"github": all.GitHub, "stripe": all.Stripe, "slack": all.Slack, "sendgrid": all.SendGrid, "npm": all.NPM}[args[0]]
	want(ts, secret != "", "plant github|stripe|slack|sendgrid|npm FILE")
	f, err := os.OpenFile(ts.MkAbs(args[1]), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	ts.Check(err)
	_, err = fmt.Fprintf(f, "const %s = %q;\n", args[0], secret)
	ts.Check(err)
	ts.Check(f.Close())
	of(ts).secrets = append(of(ts).secrets, secret)
}

func mark(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 1, "mark FILE")
	text := strings.TrimSuffix(ts.ReadFile(args[0]), "\n") + " // gitleaks:allow\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func today(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 2, "today DAYS FILE")
	days, err := strconv.Atoi(args[0])
	ts.Check(err)
	date := time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.ReplaceAll(ts.ReadFile(args[1]), "DATE", date)), 0o600))
}

func lock(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 2, "lock FILE PROGRAM")
	file := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
	text := fmt.Sprintf("version: 1\ntools:\n  gitleaks:\n    path: %s\n    version: 8.30.1\n    sha256: %x\n", args[1], sha256.Sum256([]byte(ts.ReadFile(args[1]))))
	ts.Check(os.WriteFile(file, []byte(text), 0o600))
}

func token(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 1, "token read-only|valid")
	of(ts).github.SetReadOnly(args[0] == "read-only")
	ts.Setenv("GITHUB_TOKEN", "ghs_planted")
}

// scanned are the uploads of code scanning, or the open alerts of the last ref.
func (w *world) scanned(what string) []string {
	var all []string
	refs := map[string]bool{}
	for _, u := range w.alerts.Uploads() {
		refs[u.Ref] = true
		if what == "uploads" {
			all = append(all, fmt.Sprintf("%+v", u))
		}
	}
	for ref := range refs {
		for _, a := range w.alerts.Alerts(repository, ref) {
			if what == "alerts" {
				all = append(all, fmt.Sprintf("%s %+v", ref, a))
			}
		}
	}
	return all
}

// posted are the messages in the Slack channel.
func (w *world) posted() []string {
	var all []string
	for _, m := range w.slack.Messages() {
		all = append(all, fmt.Sprintf("%+v", m))
	}
	return all
}

func unseen(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) > 0 && len(of(ts).secrets) > 0, "unseen FOLDER..., after plant")
	check := func(where, text string) {
		for _, secret := range append(of(ts).secrets, "ghs_planted", strings.TrimPrefix(ts.Getenv("SLACK"), "http://")) {
			if strings.Contains(text, secret) {
				ts.Fatalf("%s has the credential %q", where, secret)
			}
		}
	}
	for line := range strings.Lines(ts.ReadFile("stdout") + ts.ReadFile("stderr")) {
		if !strings.HasPrefix(line, "::add-mask::") {
			check("the log", line)
		}
	}
	for _, what := range []string{"comments", "issues", "uploads", "messages"} {
		check(what, strings.Join(of(ts).texts(what), "\n"))
	}
	for _, file := range []string{"output", "summary"} {
		check(file, ts.ReadFile(ts.Getenv("WORK")+"/"+file))
	}
	for _, folder := range args {
		n := 0
		ts.Check(filepath.WalkDir(ts.MkAbs(folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			n++
			check(path, ts.ReadFile(path))
			return nil
		}))
		if n == 0 {
			ts.Fatalf("%s is empty", folder)
		}
	}
}

// process returns the first process that has a text in its arguments, and these; 0
// for none.
func process(text string) (pid int, args string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range all {
		raw, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(raw), text) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			return pid, strings.ReplaceAll(string(raw), "\x00", " ")
		}
	}
	return 0, ""
}

func terminate(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 1 && strings.HasPrefix(args[0], ts.Getenv("WORK")), "terminate TEXT, which begins with $WORK")
	pid, _ := process(args[0])
	want(ts, pid > 1, "terminate TEXT of a program that runs")
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
}

func running(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, len(args) == 1, "running TEXT")
	if neg {
		if pid, got := process(args[0]); pid != 0 {
			ts.Fatalf("it still runs: %s", got)
		}
		return
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if pid, _ := process(args[0]); pid != 0 {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nothing runs with %s", args[0])
		}
	}
}
