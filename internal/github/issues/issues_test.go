package issues

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/github"
	"github.com/candlefish/deploy-action/internal/github/githubtest"
	"github.com/candlefish/deploy-action/internal/github/githubtest/issuestest"
)

const (
	repo   = "acme/shop"
	marker = "<!-- candlefish:test -->"
)

// A hub is a GitHub with issues.
type hub struct {
	*githubtest.Server
	issues *issuestest.Issues
}

func tracker(t *testing.T, server *hub) Tracker {
	t.Helper()
	client, err := github.New(github.Options{Token: "token-of-a-test", BaseURL: server.URL(), After: func(time.Duration) <-chan time.Time { c := make(chan time.Time); close(c); return c }})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := New(client, repo)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func start(t *testing.T, o githubtest.Options) (*hub, Tracker) {
	t.Helper()
	server := &hub{Server: githubtest.Start(t, o)}
	server.issues = issuestest.New(server.Server)
	server.AddRepo(repo)
	return server, tracker(t, server)
}

// want is what a whole deep scan says that found problems.
func want(ids ...string) Want {
	w := Want{Marker: marker, Title: "Critical", Depth: 3, Whole: true, Run: "https://github.com/acme/shop/actions/runs/1",
		Labels: []Label{{"security", "d73a4a", "Security"}, {"critical", "b60205", ""}, {"P0", "b60205", ""}}}
	w.Body = fmt.Sprintf("%d problems: %s\n", len(ids), strings.Join(ids, ", "))
	for _, id := range ids {
		w.Problems = append(w.Problems, Problem{ID: id, Line: "problem " + id})
	}
	return w
}

// less is what a scan says that saw less: shallower, or not all.
func less(depth int, whole bool, ids ...string) Want {
	w := want(ids...)
	w.Depth, w.Whole = depth, whole
	return w
}

func keep(t *testing.T, tr Tracker, w Want, did string) Outcome {
	t.Helper()
	o, err := tr.Keep(t.Context(), w)
	if err != nil || o.Did != did {
		t.Fatalf("%q, %v, want %q", o.Did, err, did)
	}
	return o
}

func writes(server *hub) int {
	n := 0
	for _, r := range server.Requests() {
		if !strings.HasPrefix(r, "GET ") && r != "POST /graphql" {
			n++
		}
	}
	return n
}

func bodyOf(server *hub, n int) string {
	for _, i := range server.issues.All(repo) {
		if i.Number == n {
			return i.Body
		}
	}
	return ""
}

// The life of an issue over many nights: one issue, and no write without a change.
func TestLife(t *testing.T) {
	t.Parallel()
	server, tr := start(t, githubtest.Options{})
	for i := range 120 { // others, on more than a page
		server.issues.Add(repo, issuestest.Issue{Title: fmt.Sprint(i), Author: githubtest.Bot, Labels: []string{"security"}})
	}
	server.issues.Add(repo, issuestest.Issue{Title: "a pull request", Author: githubtest.Bot, Body: marker, Labels: []string{"security"}, Pull: true})
	server.issues.Add(repo, issuestest.Issue{Title: "a copy", Author: "mallory", Body: marker, Labels: []string{"security"}})
	keep(t, tr, want(), Nothing)
	made := keep(t, tr, want("a", "b"), Created)
	if labels := strings.Join(server.issues.Labels(repo), " "); labels != "P0 critical security" || len(made.Notes) > 0 {
		t.Errorf("labels %q, notes %q", labels, made.Notes)
	}
	before := writes(server)
	if o := keep(t, tr, want("b", "a"), Updated); o.Number != made.Number { // another text
		t.Errorf("%+v", o)
	}
	for range 2 {
		w := want("b", "a")
		w.Run = "https://github.com/acme/shop/actions/runs/2"
		keep(t, tr, w, Unchanged)
	}
	if got := writes(server) - before; got != 1 {
		t.Errorf("%d writes for one change", got)
	}
	keep(t, tr, want("a"), Updated)
	if body := bodyOf(server, made.Number); !strings.Contains(body, "1 problems: a\n") || !strings.HasPrefix(body, marker+"\n<!-- candlefish:record ") {
		t.Errorf("%q", body)
	}
	keep(t, tr, want(), Closed)
	before = writes(server)
	keep(t, tr, want(), Nothing)
	if writes(server) != before {
		t.Error("writes although nothing is to do")
	}
	if c := server.Comments(repo, made.Number); len(c) != 1 || !strings.Contains(c[0].Body, "a complete scan finds none") {
		t.Errorf("%+v", c)
	}
	// What is back reopens the issue; what is new gets a new one.
	if o := keep(t, tr, want("a", "c"), Reopened); o.Number != made.Number {
		t.Errorf("%+v", o)
	}
	keep(t, tr, want(), Closed)
	if o := keep(t, tr, want("d"), Created); o.Number == made.Number {
		t.Errorf("%+v", o)
	}
	open := 0
	for _, i := range server.issues.All(repo) {
		if i.State == "open" && !i.Pull && i.Author == githubtest.Bot && strings.Contains(i.Body, marker) {
			open++
		}
	}
	if open != 1 {
		t.Errorf("%d open issues of ours", open)
	}
}

// A scan that saw less than the one behind the issue takes nothing off it.
func TestLesserScan(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]func(...string) Want{
		"shallower":    func(ids ...string) Want { return less(1, true, ids...) },
		"inconclusive": func(ids ...string) Want { return less(3, false, ids...) },
	} {
		server, tr := start(t, githubtest.Options{})
		n := keep(t, tr, want("a", "b"), Created).Number
		before := writes(server)
		keep(t, tr, w(), Kept)
		keep(t, tr, w("a"), Unchanged)
		if writes(server) != before || len(server.Comments(repo, n)) > 0 {
			t.Errorf("%s: it writes", name)
		}
		keep(t, tr, w("a", "c"), Added)
		keep(t, tr, w("c"), Unchanged)
		if c := server.Comments(repo, n); len(c) != 1 || !strings.Contains(c[0].Body, "problem c") || strings.Contains(c[0].Body, "problem a") {
			t.Errorf("%s: %+v", name, c)
		}
		if body := bodyOf(server, n); !strings.Contains(body, "2 problems: a, b") {
			t.Errorf("%s: %q", name, body)
		}
		keep(t, tr, w("a", "b", "c", "d"), Updated) // it found all there was, and more
		keep(t, tr, w(), Kept)
		keep(t, tr, want("c"), Updated)
		keep(t, tr, want(), Closed)
	}
}

func TestFirstScanIsInconclusive(t *testing.T) {
	t.Parallel()
	_, tr := start(t, githubtest.Options{})
	keep(t, tr, less(1, false), Nothing)
	keep(t, tr, less(1, false, "a"), Created)
	keep(t, tr, less(1, false), Kept)
	keep(t, tr, less(1, true), Closed)
}

// A person closed it while the problems are there.
func TestClosedByAPerson(t *testing.T) {
	t.Parallel()
	server, tr := start(t, githubtest.Options{})
	n := keep(t, tr, want("a", "b"), Created).Number
	server.issues.Change(repo, n, func(i *issuestest.Issue) { i.State, i.StateReason, i.ClosedBy = "closed", "not_planned", "ann" })
	before := writes(server)
	keep(t, tr, want("a", "b"), Left)
	keep(t, tr, want("a"), Left)
	keep(t, tr, want(), Nothing)
	if writes(server) != before {
		t.Error("it writes")
	}
	keep(t, tr, want("a", "c"), Reopened)
	c := server.Comments(repo, n)
	if len(c) != 1 || !strings.Contains(c[0].Body, "problem c") || strings.Contains(c[0].Body, "problem a") || !strings.Contains(c[0].Body, "New since") {
		t.Errorf("%+v", c)
	}
	keep(t, tr, want("a", "c"), Unchanged)
	for _, i := range server.issues.All(repo) {
		if i.Number == n && (i.State != "open" || i.StateReason != "reopened") {
			t.Errorf("%+v", i)
		}
	}
}

// People remove labels, rename the issue, and break what they don't see.
func TestPeopleChangeIt(t *testing.T) {
	t.Parallel()
	server, tr := start(t, githubtest.Options{})
	n := keep(t, tr, want("a"), Created).Number
	server.issues.Change(repo, n, func(i *issuestest.Issue) { i.Labels, i.Title = nil, "our problem" })
	keep(t, tr, want("a", "b"), Updated)
	server.issues.Change(repo, n, func(i *issuestest.Issue) { i.Body = marker + "\nmine now" })
	keep(t, tr, less(2, true, "a"), Added) // what it was about is not known
	keep(t, tr, less(3, false), Kept)
	keep(t, tr, want("a"), Updated)
	if all := server.issues.All(repo); len(all) != 1 || all[0].Title != "our problem" || len(all[0].Labels) > 0 {
		t.Errorf("%+v", all)
	}
}

// Two scans at the same moment: both create one, and one stays.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	server, first := start(t, githubtest.Options{})
	gate := make(chan struct{})
	server.Inject(githubtest.Fault{Method: "POST", Path: "/shop/issues", Times: 2, Do: githubtest.Held(gate)})
	var group sync.WaitGroup
	numbers := make([]int, 2)
	for i, tr := range []Tracker{first, tracker(t, server)} {
		group.Go(func() {
			o, err := tr.Keep(context.WithoutCancel(t.Context()), want("a"))
			if err != nil {
				t.Error(err)
			}
			numbers[i] = o.Number
		})
	}
	for { // until both are at the gate
		n := 0
		for _, r := range server.Requests() {
			if r == "POST /repos/acme/shop/issues" {
				n++
			}
		}
		if n == 2 {
			break
		}
	}
	close(gate)
	group.Wait()
	keep(t, first, want("a"), Unchanged)
	all := server.issues.All(repo)
	if len(all) != 2 || all[0].State != "open" || all[1].State != "closed" || all[1].StateReason != "not_planned" || !strings.Contains(all[1].Body, "Duplicate of #1") {
		t.Errorf("%+v", all)
	}
	keep(t, first, want(), Closed)
	if o := keep(t, first, want("a"), Reopened); o.Number != 1 {
		t.Errorf("the duplicate is back: %+v", o)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	post := githubtest.Fault{Method: "POST", Path: "/shop/issues"}
	with := func(f githubtest.Fault, times int, do githubtest.Failure) githubtest.Fault {
		f.Times, f.Do = times, do
		return f
	}
	for name, test := range map[string]struct {
		fault githubtest.Fault
		fails string
		posts int
	}{
		"one 502":                  {with(post, 1, githubtest.Answer(502, "")), "", 2},
		"made, the answer is lost": {with(post, 1, githubtest.Lost()), "", 1},
		"always 502":               {with(post, 0, githubtest.Answer(502, "")), "502", 3},
		"forbidden":                {with(post, 0, githubtest.Forbidden("Resource not accessible by integration")), "403", 1},
		"the list is forbidden":    {githubtest.Fault{Method: "GET", Path: "/shop/issues", Do: githubtest.Forbidden("no")}, "403", 0},
		"the list ends in a 500":   {githubtest.Fault{Method: "GET", Path: "/shop/issues", Skip: 1, Do: githubtest.Answer(500, "")}, "500", 0},
	} {
		server, tr := start(t, githubtest.Options{})
		server.Inject(test.fault)
		_, err := tr.Keep(t.Context(), want("a"))
		if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s: %v, want %q", name, err, test.fails)
		}
		posts := 0
		for _, r := range server.Requests() {
			if r == "POST /repos/acme/shop/issues" {
				posts++
			}
		}
		if all := server.issues.All(repo); posts != test.posts || err == nil && len(all) != 1 {
			t.Errorf("%s: %d creates, want %d; %d issues", name, posts, test.posts, len(all))
		}
		if f, ok := errors.AsType[*github.ForbiddenError](err); strings.HasPrefix(test.fails, "403") && (!ok || !strings.Contains(f.Hint, "issues: ")) {
			t.Errorf("%s: no hint: %v", name, err)
		}
	}
}

func TestReadOnlyToken(t *testing.T) {
	t.Parallel()
	server, tr := start(t, githubtest.Options{ReadOnly: true})
	_, err := tr.Keep(t.Context(), want("a"))
	f, ok := errors.AsType[*github.ForbiddenError](err)
	if !ok || !strings.Contains(f.Hint, "issues: write") || len(server.issues.All(repo)) != 0 {
		t.Errorf("%v", err)
	}
	keep(t, tr, want(), Nothing)
}

func TestDisabled(t *testing.T) {
	t.Parallel()
	server, tr := start(t, githubtest.Options{})
	server.issues.Disable(repo)
	for _, w := range []Want{want("a"), want()} {
		if _, err := tr.Keep(t.Context(), w); !errors.Is(err, ErrDisabled) {
			t.Errorf("%v", err)
		}
	}
}

func TestLabelsAndAssignees(t *testing.T) {
	t.Parallel()
	server, tr := start(t, githubtest.Options{})
	server.issues.AddLabels(repo, "security")
	server.issues.AddAssignable(repo, "ann", "bob")
	server.Inject(githubtest.Fault{Method: "POST", Path: "/labels", Do: githubtest.Forbidden("no")})
	w := want("a")
	w.Assignees = []string{"@ann", "security-team", "acme/security", "../../x"}
	o := keep(t, tr, w, Created)
	all := server.issues.All(repo)
	if len(all) != 1 || strings.Join(all[0].Labels, " ") != "security" || strings.Join(all[0].Assignees, " ") != "ann" {
		t.Errorf("%+v", all)
	}
	notes := strings.Join(o.Notes, "\n")
	for _, has := range []string{"without the label critical", "without the label P0", "security-team is not assigned", `"acme/security" is not assigned`, `"../../x" is not assigned`, "a team can't be assigned"} {
		if !strings.Contains(notes, has) {
			t.Errorf("no %q in:\n%s", has, notes)
		}
	}
}

func TestManyProblems(t *testing.T) {
	t.Parallel()
	server, tr := start(t, githubtest.Options{})
	var ids []string
	for i := range 30000 {
		ids = append(ids, fmt.Sprintf("problem-%d", i))
	}
	w := want(ids...)
	w.Body = strings.Repeat("ü", 70000)
	n := keep(t, tr, w, Created).Number
	keep(t, tr, w, Unchanged)
	if size := len([]rune(bodyOf(server, n))); size > maxBody {
		t.Errorf("%d characters", size)
	}
	w.Whole = false
	keep(t, tr, w, Unchanged)
	w.Problems = w.Problems[:29999]
	keep(t, tr, w, Added) // more than the record holds, and another list
	keep(t, tr, w, Unchanged)
	if c := server.Comments(repo, n); len(c) != 1 || len(c[0].Body) > 5000 {
		t.Errorf("%d comments", len(c))
	}
}
