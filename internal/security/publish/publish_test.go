package publish

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/github/githubtest/issuestest"
	"github.com/candlefish/deploy-action/internal/github/issues"
	"github.com/candlefish/deploy-action/internal/github/publishing"
	"github.com/candlefish/deploy-action/internal/notify/slack"
	"github.com/candlefish/deploy-action/internal/notify/slack/slacktest"
	"github.com/candlefish/deploy-action/internal/report/plain/plaintest"
	"github.com/candlefish/deploy-action/internal/security/securitytest"
	"github.com/candlefish/deploy-action/internal/security/view"
)

const repo = "acme/shop"

var page = view.Page{Run: "https://github.com/acme/shop/actions/runs/7"}

// uploads is code scanning.
type uploads struct{ err error }

func (u uploads) Upload(context.Context, verdict.Result) (did, url string, err error) {
	return "uploaded", "https://github.com/acme/shop/security/code-scanning", u.err
}

type world struct {
	github *githubtest.Server
	issues *issuestest.Issues
	slack  *slacktest.Server
	to     Targets
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{github: githubtest.Start(t, githubtest.Options{}), slack: slacktest.Start()}
	t.Cleanup(w.slack.Close)
	w.issues = issuestest.New(w.github)
	w.github.AddPull(repo, githubtest.Pull{Number: 7, HeadSHA: securitytest.Head, HeadRef: "x"})
	client, err := github.New(github.Options{Token: "token-of-a-test", BaseURL: w.github.URL(), After: func(time.Duration) <-chan time.Time { c := make(chan time.Time); close(c); return c }})
	if err != nil {
		t.Fatal(err)
	}
	tracker, err := issues.New(client, repo)
	if err != nil {
		t.Fatal(err)
	}
	hook, err := slack.New(w.slack.URL(), slack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.to = Targets{Upload: uploads{}, Comment: publishing.PullComment{Client: client, Repo: repo, Number: 7, Marker: view.Marker}, Issue: tracker, Channel: hook}
	return w
}

func (w *world) publish(t *testing.T, r verdict.Result, p view.Page) string {
	t.Helper()
	var did []string
	for _, l := range Publish(t.Context(), r, p, nil, w.to) {
		if l.Failed {
			did = append(did, "failed")
		} else {
			did = append(did, l.Did)
		}
	}
	return strings.Join(did, ", ")
}

func (w *world) writes() int {
	n := 0
	for _, r := range w.github.Requests() {
		if !strings.HasPrefix(r, "GET ") && r != "POST /graphql" {
			n++
		}
	}
	return n
}

// Everybody is told, and told once: another run that says the same writes nothing.
func TestTwice(t *testing.T) {
	t.Parallel()
	w, cases := start(t), securitytest.Cases()
	if got := w.publish(t, cases["refused"], page); got != "uploaded, written, created, posted" {
		t.Errorf("first: %s", got)
	}
	before := w.writes()
	later := cases["refused"]
	later.At, later.Took = later.At.Add(24*time.Hour), 9
	if got := w.publish(t, later, view.Page{Run: page.Run + "7"}); got != "uploaded, unchanged, unchanged, posted" || w.writes() != before {
		t.Errorf("second: %s, %d writes", got, w.writes()-before)
	}
	if got := w.publish(t, cases["inconclusive"], page); got != "uploaded, written, left open, posted" {
		t.Errorf("inconclusive: %s", got)
	}
	if got := w.publish(t, cases["pass"], page); got != "uploaded, written, closed, posted" {
		t.Errorf("pass: %s", got)
	}
	if got := w.publish(t, cases["pass"], page); got != "uploaded, unchanged, nothing to report, posted" {
		t.Errorf("pass again: %s", got)
	}
	all := w.issues.All(repo)
	if comments := w.github.Comments(repo, 7); len(comments) != 1 || len(all) != 1 || all[0].Title != "🔥 Critical Security Issues Detected" || strings.Join(all[0].Labels, " ") != "security critical P0" || all[0].State != "closed" {
		t.Errorf("%d comments, issues %+v", len(comments), all)
	}
}

func TestSlackMessage(t *testing.T) {
	t.Parallel()
	w, cases := start(t), securitytest.Cases()
	for name, want := range map[string]string{
		"refused":      "warning|🚨 Security Scan Complete|acme/shop|85/100|needs-attention|quick",
		"pass":         "good|🛡️ Security Scan Complete|acme/shop|100/100|excellent|quick",
		"inconclusive": "|at most 100/100, not all was scanned|at best needs-attention|",
		"both":         "|at most 85/100, not all was scanned|at best needs-attention|",
	} {
		w.publish(t, cases[name], page)
		all := w.slack.Messages()
		a := all[len(all)-1].Attachments[0]
		got := []string{a.Color, a.Title}
		for _, f := range a.Fields {
			got = append(got, f.Value)
		}
		if text := strings.Join(got, "|"); !strings.Contains(text, want) || a.Footer != "Candlefish Security Pipeline" || a.TitleLink != page.Run {
			t.Errorf("%s: %s, want %s", name, text, want)
		}
		if name == "both" && (!strings.Contains(a.Text, "AWS access key: config/prod.env:3") || !strings.Contains(a.Text, "npm-audit: timed out") || !strings.Contains(a.Text, "refused")) {
			t.Errorf("%s", a.Text)
		}
	}
	for _, h := range plaintest.Hostiles {
		if got := w.publish(t, securitytest.Hostile(h), page); strings.Contains(got, "failed") {
			t.Errorf("%.20q: %s", h, got)
		}
	}
}

// A pull request of a fork has a read-only token: that is said, and fails nothing.
func TestReadOnlyToken(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.github.SetReadOnly(true)
	lines := Publish(t.Context(), securitytest.Cases()["refused"], page, nil, w.to)
	if len(lines) != 4 || lines[0].Failed || !lines[1].Failed || !lines[2].Failed || lines[3].Failed {
		t.Fatalf("%v", lines)
	}
	if s := lines[1].String(); !strings.Contains(s, "403") || !strings.Contains(s, "pull-requests: write") || !strings.Contains(s, "fork") {
		t.Error(s)
	}
	if s := lines[2].String(); !strings.Contains(s, "issues: write") {
		t.Error(s)
	}
}

// One that fails does not stop the others.
func TestEachFailsAlone(t *testing.T) {
	t.Parallel()
	for i, breakOne := range []func(*world){
		func(w *world) { w.to.Upload = uploads{errors.New("413")} },
		func(w *world) {
			w.github.Inject(githubtest.Fault{Path: "/issues/7/comments", Do: githubtest.Answer(422, `{"message":"no"}`)})
		},
		func(w *world) { w.issues.Disable(repo) },
		func(w *world) { w.slack.Fail(slacktest.Say(404, "no_service")) },
	} {
		w := start(t)
		breakOne(w)
		for j, l := range Publish(t.Context(), securitytest.Cases()["refused"], page, []string{"acme/security"}, w.to) {
			if l.Failed != (i == j) || strings.Contains(l.String(), "secret-of-the-webhook") {
				t.Errorf("target %d broken: %s", i, l)
			}
			if i == 2 && j == 2 && !strings.Contains(l.String(), "enable issues in the repository's settings") {
				t.Error(l)
			}
			if i != 2 && j == 2 && !strings.Contains(l.String(), "a team can't be assigned") {
				t.Error(l)
			}
		}
	}
	if lines := Publish(t.Context(), securitytest.Cases()["pass"], page, nil, Targets{}); len(lines) != 0 {
		t.Errorf("nobody to tell: %v", lines)
	}
}
