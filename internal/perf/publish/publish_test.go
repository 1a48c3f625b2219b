package publish

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/github/publishing"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/notify/slack"
	"github.com/candlefish/deploy-action/internal/notify/slack/slacktest"
	"github.com/candlefish/deploy-action/internal/perf/perftest"
	"github.com/candlefish/deploy-action/internal/perf/view"
	"github.com/candlefish/deploy-action/internal/report/plain/plaintest"
)

const repo = "acme/shop"

var page = view.Page{Run: "https://github.com/acme/shop/actions/runs/7"}

// told keeps what it was told, as GitHub does.
type told struct {
	err  error
	last view.Check
}

func (d *told) Check(_ context.Context, c view.Check) (url string, changed bool, err error) {
	changed = d.last != c
	d.last = c
	return "https://github.com/acme/shop/runs/3", changed, d.err
}

func (d *told) Status(ctx context.Context, c view.Check) (url string, changed bool, err error) {
	return d.Check(ctx, c)
}

type world struct {
	github *githubtest.Server
	slack  *slacktest.Server
	check  *told
	to     Targets
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{github: githubtest.Start(t, githubtest.Options{}), slack: slacktest.Start(), check: &told{}}
	t.Cleanup(w.slack.Close)
	w.github.AddPull(repo, githubtest.Pull{Number: 7, HeadSHA: perftest.Head, HeadRef: "x"})
	client, err := github.New(github.Options{Token: "token-of-a-test", BaseURL: w.github.URL(), After: func(time.Duration) <-chan time.Time { c := make(chan time.Time); close(c); return c }})
	if err != nil {
		t.Fatal(err)
	}
	hook, err := slack.New(w.slack.URL(), slack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.to = Targets{Comment: publishing.PullComment{Client: client, Repo: repo, Number: 7, Marker: view.Marker}, Check: w.check, Deployment: &told{}, Channel: hook}
	return w
}

func (w *world) publish(t *testing.T, r verdict.Result, p view.Page) string {
	t.Helper()
	var did []string
	for _, l := range Publish(t.Context(), r, p, w.to) {
		if l.Failed {
			did = append(did, "failed: "+l.Why)
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

// Everybody is told, and told once: another run that says the same writes no comment.
func TestTwice(t *testing.T) {
	t.Parallel()
	w, cases := start(t), perftest.Cases()
	if got := w.publish(t, cases["worse"], page); got != "written, written, written, posted" {
		t.Errorf("first: %s", got)
	}
	before := w.writes()
	if got := w.publish(t, perftest.Cases()["worse"], page); got != "unchanged, unchanged, unchanged, posted" || w.writes() != before {
		t.Errorf("second: %s, %d writes", got, w.writes()-before)
	}
	later := perftest.Cases()["worse"]
	later.At, later.Took = later.At.Add(time.Hour), 9
	if got := w.publish(t, later, view.Page{Run: page.Run + "7"}); !strings.HasPrefix(got, "unchanged, ") || w.writes() != before {
		t.Errorf("another run: %s, %d writes", got, w.writes()-before)
	}
	if got := w.publish(t, cases["pass"], page); got != "written, written, written, posted" || !w.check.last.Passed {
		t.Errorf("pass: %s", got)
	}
	if comments := w.github.Comments(repo, 7); len(comments) != 1 {
		t.Errorf("%d comments", len(comments))
	}
}

func TestSlackMessage(t *testing.T) {
	t.Parallel()
	w, cases := start(t), perftest.Cases()
	for name, want := range map[string]string{
		"pass":  "good|✅ Performance Test Results|staging|healthy|0/1 failing|https://staging.shop.example",
		"worse": "warning|⚠️ Performance Test Results|staging|degraded|1/1 failing|https://staging.shop.example",
		"sick":  "danger|❓ Performance Test Results|staging|unknown|0/1 failing, which can't be believed|https://staging.shop.example",
		"empty": "danger|❓ Performance Test Results|staging|unknown|0/0 failing|–",
	} {
		w.publish(t, cases[name], page)
		all := w.slack.Messages()
		a := all[len(all)-1].Attachments[0]
		got := []string{a.Color, a.Title}
		for _, f := range a.Fields {
			got = append(got, f.Value)
		}
		if text := strings.Join(got, "|"); text != want || a.Footer != "Candlefish Performance Pipeline" || a.TitleLink != page.Run {
			t.Errorf("%s: %s, want %s", name, text, want)
		}
		if name == "worse" && !strings.Contains(a.Text, "Request duration, 95th percentile of load basic is worse than base: 213 ms to 297 ms") {
			t.Error(a.Text)
		}
	}
	for _, h := range plaintest.Hostiles {
		if got := w.publish(t, perftest.Hostile(h), page); strings.Contains(got, "failed") {
			t.Errorf("%s: %s", plaintest.Name(h), got)
		}
	}
	for _, n := range []int{0, 3000} {
		if got := w.publish(t, perftest.Flood(n), page); strings.Contains(got, "failed") {
			t.Errorf("%d series: %s", n, got)
		}
	}
}

// A pull request of a fork has a read-only token: that is said, and stops nobody else.
func TestEachFailsAlone(t *testing.T) {
	t.Parallel()
	for i, breakOne := range []func(*world){
		func(w *world) { w.github.SetReadOnly(true) },
		func(w *world) { w.check.err = errors.New("422") },
		func(w *world) { w.to.Deployment = &told{err: errors.New("404")} },
		func(w *world) { w.slack.Fail(slacktest.Say(404, "no_service")) },
	} {
		w := start(t)
		breakOne(w)
		lines := Publish(t.Context(), perftest.Cases()["both"], page, w.to)
		if len(lines) != 4 {
			t.Fatalf("%v", lines)
		}
		for j, l := range lines {
			if l.Failed != (i == j) {
				t.Errorf("target %d broken: %s", i, l)
			}
		}
		if s := lines[0].String(); i == 0 && (!strings.Contains(s, "pull-requests: write") || !strings.Contains(s, "fork")) {
			t.Error(s)
		}
	}
	if lines := Publish(t.Context(), perftest.Pass(), page, Targets{}); len(lines) != 0 {
		t.Errorf("nobody to tell: %v", lines)
	}
}
